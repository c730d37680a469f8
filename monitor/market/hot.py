"""Which markets are busiest now: trades and turnover of the last five minutes.

Counts slide by the points of the line that is shown beside them: a step that leaves the window is
subtracted, nothing is counted again, and only markets with a trade in the window are ranked.
"""

from collections import deque
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter
from typing import Any

from monitor.market.decimals import quote_text
from monitor.market.market import Market
from monitor.market.sparkline import POINT_MS, POINTS
from monitor.market.view import Sections

SHOWN = 12


@dataclass(slots=True, order=True)
class Activity:
    trades: int = 0
    value: int = 0
    """Turnover at QUOTE_DECIMALS."""


class HotMarkets:
    """A sliding count of trades and turnover by market."""

    def __init__(self) -> None:
        self.version = 0
        self._time_ms = 0
        self._totals: dict[Market, Activity] = {}
        self._steps: deque[tuple[int, dict[Market, Activity]]] = deque()

    def add(self, market: Market, value: int, time_ms: int) -> None:
        """Count a trade; one that is late by less than the window counts as of now."""
        step = time_ms // POINT_MS
        self._slide(step)
        newest, counts = self._steps[-1]
        if step <= newest - POINTS:
            return
        for counted in (counts, self._totals):
            activity = counted.get(market)
            if activity is None:
                activity = counted[market] = Activity()
            activity.trades += 1
            activity.value += value
        self._time_ms = max(time_ms, self._time_ms)
        self.version += 1

    def sections(self) -> Sections:
        """By market, the busiest first: by trades, then by turnover.

        What changes with every trade stands apart from what changes with every point, or never.
        """
        ranked = nlargest(SHOWN, self._totals.items(), key=itemgetter(1))
        since = self._steps[-1][0] - POINTS if self._steps else 0
        return {
            "time": self._time_ms or None,
            "markets": {market.key: _figures(market, activity) for market, activity in ranked},
            "titles": {market.key: market.title for market, _ in ranked},
            "points": {market.key: market.sparkline.past_texts(since) for market, _ in ranked},
        }

    def _slide(self, step: int) -> None:
        steps = self._steps
        if steps and step <= steps[-1][0]:
            return
        steps.append((step, {}))
        while steps[0][0] <= step - POINTS:
            self._forget(steps.popleft()[1])

    def _forget(self, counts: dict[Market, Activity]) -> None:
        for market, activity in counts.items():
            total = self._totals[market]
            total.trades -= activity.trades
            total.value -= activity.value
            if not total.trades:
                del self._totals[market]


def _figures(market: Market, activity: Activity) -> dict[str, Any]:
    return {
        "price": market.sparkline.last_text(),
        "volume": quote_text(activity.value),
        "trades": activity.trades,
    }
