"""How numbers, sizes and times are written: short, so that columns line up and stay calm.

Every text has a width that does not jump between two refreshes of about the same value.
"""

import time
from decimal import Decimal

UNKNOWN = "-"

AMOUNT_PLACES = 4
_KILO = 1_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def count_text(count: int) -> str:
    """`1,204`, from ten million on `12.3M`."""
    return f"{count:,}" if count < 10_000_000 else _scaled(count)


def rate_text(rate: float) -> str:
    """Per second: `0`, `0.4`, `312`, `12.3k`."""
    if rate == 0:
        return "0"
    if rate < 99.95:
        return f"{rate:.1f}"
    return f"{rate:,.0f}" if rate < 9_999.5 else _scaled(rate)


def share_text(part: float, whole: float) -> str:
    """`12.3 %`; a dash where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else UNKNOWN


def bytes_text(size: float) -> str:
    """Decimal units: `0 B`, `1.2 kB`, `66.1 MB`."""
    if size < _KILO:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= _KILO
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / _KILO:.1f} TB"


def ms_text(duration_ms: float | None) -> str:
    """`0.04`, `3.2`, `120`, `1,204`; a dash when it is unknown."""
    if duration_ms is None:
        return UNKNOWN
    if duration_ms < 0.995:
        return f"{duration_ms:.2f}"
    return f"{duration_ms:.1f}" if duration_ms < 99.95 else f"{duration_ms:,.0f}"


def span_text(seconds: float) -> str:
    """`8s`, `3m04s`, `2h05m`, `4d03h`."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def age_text(age_ms: float | None) -> str:
    """Below ten seconds with a tenth, as freshness is judged there: `0.3s`, `42s`."""
    if age_ms is None:
        return UNKNOWN
    return f"{age_ms / _KILO:.1f}s" if age_ms < 10_000 else span_text(age_ms / _KILO)


def clock_text(time_ms: int) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(time_ms / _KILO))


def moment_text(time_ms: int, now: float) -> str:
    """Local time of day, `14:02:11`; of another day with its date, `11-20 14:02`."""
    then = time.localtime(time_ms / _KILO)
    is_today = then[:3] == time.localtime(now)[:3]
    return time.strftime("%H:%M:%S" if is_today else "%m-%d %H:%M", then)


def utc_text(time_ms: int) -> str:
    """Time of day of a log's line, as in its file, and as what it says of times."""
    return time.strftime("%H:%M:%SZ", time.gmtime(time_ms / _KILO))


def printable(text: str) -> str:
    """What others named (clients, venues) without what would steer the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "·" for c in text)


def is_decimal(text: str) -> bool:
    """Whether it is a price or a size as the server writes them: `-0.25`."""
    return text.removeprefix("-").replace(".", "", 1).isdecimal()


def amount_text(text: str) -> str:
    """A decimal text to four places, as sums of money are read; any other text as it is."""
    if not is_decimal(text) or len(text.partition(".")[2]) <= AMOUNT_PLACES:
        return text
    return f"{Decimal(text):.{AMOUNT_PLACES}f}"


def _scaled(number: float) -> str:
    for unit in ("k", "M", "G"):
        number /= _KILO
        if number < 999.95:
            return f"{number:.1f}{unit}"
    return f"{number / _KILO:.1f}T"
