from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.market.decimals import decimal_text, quote_text, quote_value


@given(st.integers(-(10**20), 10**20), st.integers(0, 18))
def test_text_is_exact_and_has_no_trailing_zeros(scaled: int, decimals: int) -> None:
    text = decimal_text(scaled, decimals)
    assert Decimal(text) == Decimal(scaled).scaleb(-decimals)
    assert "e" not in text.lower()
    assert not ("." in text and text[-1] in ".0")


@pytest.mark.parametrize(
    ("scaled", "decimals", "text"),
    [(6183763000000, 8, "61837.63"), (0, 8, "0"), (1, 8, "0.00000001"), (100, 0, "100"), (-5, 1, "-0.5")],
)
def test_known_texts(scaled: int, decimals: int, text: str) -> None:
    assert decimal_text(scaled, decimals) == text


def test_turnover_of_any_scale_adds_up_at_one() -> None:
    assert quote_value(150, 2) == quote_value(1_500_000_000_000, 12) == 150_000_000


def test_turnover_is_shown_in_rounded_cents() -> None:
    assert quote_text(12_345_500_000) == "123.46"
