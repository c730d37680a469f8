"""Which rows a filter, the troubles alone and a column to sort by leave, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.row import Cell, Row, Tone
from tui.sift import Filter, Order, Sift


def row(key: str, *contents: str, parent: str = "", tone: Tone = Tone.PLAIN, value: int | None = None) -> Row:
    return Row(key, tuple(Cell(content, tone, value) for content in contents or (key,)), parent)


ROWS = [row("BTCUSDT"), row("ethusdt"), row("a.b"), row("axb")]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", ["BTCUSDT", "ethusdt", "a.b", "axb"]),
        ("USDT", ["BTCUSDT", "ethusdt"]),
        ("a.b", ["a.b"]),
        ("~a.b", ["a.b", "axb"]),
        ("~^btc|b$", ["BTCUSDT", "a.b", "axb"]),
        ("!usdt", ["a.b", "axb"]),
        ("!~usdt$|^a", []),
        ("!", ["BTCUSDT", "ethusdt", "a.b", "axb"]),
        ("~", ["BTCUSDT", "ethusdt", "a.b", "axb"]),
    ],
)
def test_filter_takes_text_regular_expression_and_inverse(text: str, keys: list[str]) -> None:
    assert [found.key for found in Filter(text)(ROWS)] == keys


def test_filter_that_is_no_regular_expression_hides_nothing_and_says_so() -> None:
    sift = Sift(Filter("~("))
    assert sift(ROWS) == ROWS
    assert sift.notes == ["not a regular expression: missing ), unterminated subpattern at position 0"]


def test_what_matches_below_a_row_shows_that_row_too() -> None:
    rows = [row("feed"), row("btc", parent="feed"), row("eth", parent="feed"), row("other")]
    assert [found.key for found in Filter("btc")(rows)] == ["feed", "btc"]


def test_only_troubles_are_left() -> None:
    rows = [row("good", tone=Tone.GOOD), row("near", tone=Tone.WARNING), row("bad", tone=Tone.BAD)]
    assert [found.key for found in Sift(only_trouble=True)(rows)] == ["near", "bad"]


def test_rows_are_sorted_by_what_their_texts_stand_for() -> None:
    rows = [row("a", "1.2 kB", value=1_200), row("b", "900 B", value=900), row("c", "-"), row("d", "9.5")]
    assert [found.key for found in Order(0, is_descending=False)(rows)] == ["d", "b", "a", "c"]
    assert [found.key for found in Order(0, is_descending=True)(rows)] == ["a", "b", "d", "c"]


def test_what_stands_below_a_row_stays_there() -> None:
    rows = [row("a"), row("z", parent="a"), row("y", parent="a"), row("b")]
    assert [found.key for found in Order(0, is_descending=True)(rows)] == ["b", "a", "z", "y"]


texts = st.text("ab.-19~!", max_size=4)


@given(st.lists(texts, unique=True), texts, st.booleans(), st.booleans())
def test_a_sift_loses_and_makes_up_no_row(keys: list[str], text: str, trouble: bool, down: bool) -> None:
    rows = [row(f"r{key}", key) for key in keys]
    sifted = Sift(Filter(text), trouble, Order(0, down))(rows)
    assert len(set(sifted)) == len(sifted)
    assert set(sifted) <= set(rows)
    inverse = Filter(text.removeprefix("!") if text.startswith("!") else f"!{text}")
    if text.strip("!~") and not Filter(text).error and text[:2] != "!!":
        assert set(inverse(rows)) | set(Filter(text)(rows)) == set(rows)
