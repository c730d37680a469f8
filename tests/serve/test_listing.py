from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.serve.listing import ROWS_MAX, SLICE, Listing, ListParams
from monitor.serve.protocol import CommandError

NUMBERS: Listing[int] = Listing(
    keys={"size": lambda number: number, "last": lambda number: number % 10},
    texts=lambda number: (str(number),),
    row=lambda number: {"number": number},
)


def run(slices: Generator[None, None, dict[str, Any]]) -> tuple[dict[str, Any], int]:
    """What comes of it, and in how many slices."""
    count = 0
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return end.value, count
        count += 1


@given(
    st.lists(st.integers(0, 9_999), max_size=3_000),
    st.booleans(),
    st.sampled_from(["", "7", "42"]),
    st.integers(-1, 300),
)
def test_rows_are_the_first_of_all_that_match(
    numbers: list[int], descending: bool, text: str, limit: int
) -> None:
    params = ListParams(sort="size", descending=descending, filter=text, limit=limit)
    report, _ = run(NUMBERS.report(numbers, params))
    matching = [number for number in numbers if text in str(number)]
    first = sorted(matching, reverse=descending)[: max(0, min(limit, ROWS_MAX))]
    assert report == {"total": len(matching), "rows": [{"number": number} for number in first]}


@pytest.mark.parametrize("descending", [True, False])
def test_what_is_not_known_comes_last_whichever_way(descending: bool) -> None:
    listing: Listing[int] = Listing(
        keys={"odd": lambda number: number if number % 2 else None}, texts=lambda _: (), row=NUMBERS.row
    )
    report, _ = run(
        listing.report(range(1_000), ListParams(sort="odd", descending=descending, limit=ROWS_MAX))
    )
    shown = [row["number"] for row in report["rows"]]
    odd = sorted(range(1, 1_000, 2), reverse=descending)
    assert shown == odd[:ROWS_MAX]
    report, _ = run(listing.report([2, 5, 4, 3], ListParams(sort="odd", descending=descending)))
    assert [row["number"] for row in report["rows"]] == [*sorted([5, 3], reverse=descending), 2, 4]


def test_long_list_is_looked_at_in_slices() -> None:
    _, slices = run(NUMBERS.report(range(5_000), ListParams()))
    assert slices >= 5_000 / SLICE


def test_sorting_by_nothing_that_is_known_is_refused_with_what_is() -> None:
    with pytest.raises(CommandError, match="'colour': must be one of size, last"):
        run(NUMBERS.report([1], ListParams(sort="colour")))
