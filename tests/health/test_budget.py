import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.budget import BUDGET_SECONDS, Budget, Tally

Second = tuple[int, int, int]
"""Deliveries, those of them near the threshold, those of them late."""
SECONDS = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20)).map(
    lambda second: tuple(sorted(second, reverse=True))
)


def budget_after(*seconds: Second) -> Budget:
    budget = Budget()
    total = near = late = 0
    for more_total, more_near, more_late in seconds:
        total, near, late = total + more_total, near + more_near, late + more_late
        budget.read(total, near, late)
    return budget


def test_nothing_delivered_has_no_budget() -> None:
    assert budget_after((0, 0, 0)).left is None


def test_one_late_in_a_hundred_is_all_of_the_budget() -> None:
    assert budget_after((100, 0, 0)).left == 1
    assert budget_after((200, 1, 1)).left == pytest.approx(0.5)
    assert budget_after((100, 1, 1)).left == pytest.approx(0)
    assert budget_after((100, 2, 2)).left == pytest.approx(-1)


def test_what_was_late_an_hour_ago_is_forgiven() -> None:
    budget = budget_after((100, 5, 5), *[(1, 0, 0)] * (BUDGET_SECONDS - 1))
    assert budget.last(BUDGET_SECONDS).late == 5
    budget.read(100 + BUDGET_SECONDS, 5, 5)
    assert budget.left == 1


@given(st.lists(SECONDS, max_size=40), st.integers(1, 50))
def test_a_window_is_what_its_seconds_add_up_to(seconds: list[Second], window: int) -> None:
    seen = seconds[-window:]
    assert budget_after(*seconds).last(window) == Tally(
        total=sum(total for total, _, _ in seen),
        near=sum(near for _, near, _ in seen),
        late=sum(late for _, _, late in seen),
        near_seconds=sum(near > 0 for _, near, _ in seen),
        late_seconds=sum(late > 0 for _, _, late in seen),
    )


def test_an_hour_of_readings_takes_no_memory_that_was_not_there_at_the_start() -> None:
    budget = Budget()
    tracemalloc.start()
    for second in range(1, BUDGET_SECONDS):
        budget.read(1_000 * second, 0, 0)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1_000
    assert budget.last(10).total == 10_000
