import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.figures import (
    age_text,
    amount_text,
    bytes_text,
    count_text,
    moment_text,
    ms_text,
    printable,
    rate_text,
    span_text,
)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0"),
        (0.04, "0.0"),
        (12.34, "12.3"),
        (99.97, "100"),
        (1_234, "1,234"),
        (12_345, "12.3k"),
        (2e9, "2.0G"),
    ],
)
def test_rate_keeps_three_figures(rate: float, text: str) -> None:
    assert rate_text(rate) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (66_000_000, "66.0 MB"),
        (2e15, "2000.0 TB"),
    ],
)
def test_sizes_are_decimal(size: float, text: str) -> None:
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(None, "-"), (0, "0.00"), (0.996, "1.0"), (9.96, "10.0"), (100, "100"), (1_234.4, "1,234")],
)
def test_unknown_latency_is_a_dash_and_never_zero(duration_ms: float | None, text: str) -> None:
    assert ms_text(duration_ms) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (59.9, "59s"), (184, "3m04s"), (7_500, "2h05m"), (97 * 3_600, "4d01h")],
)
def test_spans_have_two_units(seconds: float, text: str) -> None:
    assert span_text(seconds) == text


def test_time_of_another_day_has_its_date() -> None:
    noon = time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1))
    assert moment_text(int(noon * 1_000), noon + 3_600) == "12:00:00"
    assert moment_text(int(noon * 1_000), noon + 13 * 3_600) == "11-20 12:00"


def test_ages_below_ten_seconds_have_a_tenth() -> None:
    assert [age_text(age) for age in (None, 40, 9_999, 10_000)] == ["-", "0.0s", "10.0s", "10s"]


@given(st.integers(0, 10**15))
def test_counts_fit_their_column(count: int) -> None:
    assert len(count_text(count)) <= 10


def test_what_would_steer_the_terminal_is_taken_out() -> None:
    assert printable("bot\x1b[31m\r\nevil\x9b2J") == "bot·[31m··evil·2J"
    assert printable("naïve 市場") == "naïve 市場"


def test_amounts_are_read_to_four_places_and_keep_what_is_no_amount() -> None:
    texts = ("1.30603891", "-13.00225", "5", "0.25", "-", "about 1.23456")
    assert [amount_text(text) for text in texts] == ["1.3060", "-13.0022", "5", "0.25", "-", "about 1.23456"]
