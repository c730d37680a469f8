import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.dialect import DIGITS_LIMIT, Garbage, moment, plain, scaled, signed, text, whole


@given(st.integers(0, 10**20), st.integers(0, 8))
def test_decimals_are_exact(value: int, decimals: int) -> None:
    number = f"{value // 10**decimals}.{value % 10**decimals:0{decimals}}" if decimals else str(value)
    assert scaled(number, 8) == value * 10 ** (8 - decimals)
    assert signed(f"-{number}", 8) == -scaled(number, 8)


@pytest.mark.parametrize(
    "number",
    [
        "",
        ".",
        "-1",
        "+1",
        "1e5",
        "1_0",
        " 1",
        "1 ",
        "0x1",
        "٣",
        "²",
        "1.2.3",
        "NaN",
        "1.123",
        "9" * (DIGITS_LIMIT + 1),
    ],
)
def test_what_is_no_plain_decimal_is_garbage(number: str) -> None:
    with pytest.raises(Garbage):
        scaled(number, 2)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_only_whole_numbers_are_whole(value: object) -> None:
    with pytest.raises(Garbage):
        whole(value)


@pytest.mark.parametrize("value", [-1, 2**53, 2**64 - 1, 1.5])
def test_what_no_clock_says_is_no_time(value: object) -> None:
    assert moment(1_700_000_000_000) == 1_700_000_000_000
    with pytest.raises(Garbage):
        moment(value)


def test_only_texts_are_texts() -> None:
    assert text("x") == "x"
    with pytest.raises(Garbage):
        text(1)


@pytest.mark.parametrize(
    ("number", "expected"),
    [("0.0100", "0.01"), ("10", "10"), ("1.000", "1"), ("0.0", "0"), ("-0.50", "-0.5")],
)
def test_plain_numbers_have_no_trailing_zeros(number: str, expected: str) -> None:
    assert plain(number) == expected


@pytest.mark.parametrize("number", ["", "x", "1e3", "1.2.3", "٣"])
def test_plain_refuses_what_is_no_number(number: str) -> None:
    with pytest.raises(Garbage):
        plain(number)
