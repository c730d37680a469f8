"""The last 20 price points of each market, shown again only when the eye would notice.

A point is the last price of a quarter of a minute in which there was a trade, so 20 of them
span five minutes or more: hot markets, who look back on as many, ask for the points since then.
Sending them with every trade was most of an older program's traffic; every new point of a young
line was a tenth of ours.
"""

from collections import deque

from monitor.market.decimals import decimal_text
from monitor.market.view import Sections

POINTS = 20
POINT_MS = 15_000
_MOVE_DIVISOR = 20
"""A point has moved when it differs by at least a twentieth, 5 %."""
_GROWTH_DIVISOR = 4
"""A line has grown when it is longer by at least a quarter, or has all its points."""


class Sparkline:
    """One market's points, and those that were last published."""

    def __init__(self, price_decimals: int) -> None:
        self._decimals = price_decimals
        self._points: deque[int] = deque(maxlen=POINTS)
        self._slots: deque[int] = deque(maxlen=POINTS)
        """When each of them was, in quarters of a minute."""
        self._published: list[int] = []

    def add(self, price: int, time_ms: int) -> bool:
        """Take a trade's price; True when the line has to be published again."""
        slot = time_ms // POINT_MS
        if not self._slots or slot > self._slots[-1]:
            self._slots.append(slot)
            self._points.append(price)
            is_changed = self._has_grown() or any(map(_is_far, self._points, self._published))
        else:
            self._points[-1] = price
            is_changed = _is_far(price, self._published[-1])
        if is_changed:
            self._published = list(self._points)
        return is_changed

    def texts(self) -> list[str]:
        return [decimal_text(price, self._decimals) for price in self._points]

    def past_texts(self, since: int) -> list[str]:
        """The price at the end of slot `since`, and the points after it but the newest, which trades move."""
        later = sum(slot > since for slot in self._slots)
        return self.texts()[-later - 1 : -1]

    def last_text(self) -> str:
        return decimal_text(self._points[-1], self._decimals)

    def _has_grown(self) -> bool:
        longer = len(self._points) - len(self._published)
        is_complete = longer > 0 and len(self._points) == POINTS
        return is_complete or longer * _GROWTH_DIVISOR >= len(self._published)


def _is_far(now: int, then: int) -> bool:
    return now != then and abs(now - then) * _MOVE_DIVISOR >= then


class SparklineBoard:
    """The published lines of all markets."""

    def __init__(self) -> None:
        self.version = 0
        self._lines: dict[str, list[str]] = {}

    def publish(self, market: str, line: Sparkline) -> None:
        self._lines[market] = line.texts()
        self.version += 1

    def sections(self) -> Sections:
        return {"points": dict(self._lines)}
