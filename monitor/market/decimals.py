"""Scaled integers as exact decimal text, without a binary float in between.

The same few thousand prices and sizes are shown again and again, so the text is kept; the
cache is bounded, because a quiet market's old prices are of no use.
"""

from functools import lru_cache

QUOTE_DECIMALS = 8
"""Turnover of all markets is added up at this scale, whatever theirs is."""
_SHOWN_QUOTE_DECIMALS = 2


@lru_cache(maxsize=32_768)
def decimal_text(scaled: int, decimals: int) -> str:
    """`6183763000000` with 8 decimals is `61837.63`: no trailing zeros, no exponent."""
    digits = str(abs(scaled)).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    text = f"{whole}.{fraction}" if fraction else whole
    return f"-{text}" if scaled < 0 else text


def quote_value(scaled: int, decimals: int) -> int:
    """A price times a size, brought from their common `decimals` to QUOTE_DECIMALS, rounded down."""
    if decimals > QUOTE_DECIMALS:
        return scaled // int(10 ** (decimals - QUOTE_DECIMALS))
    return scaled * int(10 ** (QUOTE_DECIMALS - decimals))


def quote_text(value: int) -> str:
    """A turnover at QUOTE_DECIMALS, rounded to the cents that a person reads."""
    cent = 10 ** (QUOTE_DECIMALS - _SHOWN_QUOTE_DECIMALS)
    return decimal_text((value + cent // 2) // cent, _SHOWN_QUOTE_DECIMALS)
