"""Whose turn it is among lanes that wait: the highest one's, but none waits for ever.

Strict priority starves: with a busy immediate lane the low one got nine fan-outs in six seconds.
A lane that has waited for its bound gets one turn, and never two such turns follow each other
closely, so what is urgent waits behind at most one frame of something else.
"""

from collections.abc import Collection

from monitor.config import Lane

LONGEST_WAIT_MS = 50
"""A waiting lane is served at least this often, or every twelfth turn where turns are rarer than that."""
STRICT_TURNS = 3
"""By priority alone, after each that was not: so three starved lanes take a quarter of the turns at most."""

LONGEST_WAIT_NS = LONGEST_WAIT_MS * 1_000_000


class Turns:
    __slots__ = ("_strict", "_waits_since_ns")

    def __init__(self) -> None:
        self._waits_since_ns: dict[Lane, int] = {}
        """For each lane that waited at the last turn and did not get it, since which turn it does."""
        self._strict = 0
        """Turns to come that go by priority alone."""

    def next(self, waiting: Collection[Lane], now_ns: int) -> Lane | None:
        """The lane that is served now, None if none waits; `now_ns` is monotonic."""
        if len(waiting) < 2:
            self._waits_since_ns, self._strict = {}, max(0, self._strict - 1)
            return next(iter(waiting), None)
        return self._choose(waiting, now_ns)

    def _choose(self, waiting: Collection[Lane], now_ns: int) -> Lane:
        since_ns = {lane: self._waits_since_ns.get(lane, now_ns) for lane in waiting}
        self._waits_since_ns = since_ns
        highest, longest = min(since_ns), min(since_ns, key=since_ns.__getitem__)
        is_overdue = now_ns - since_ns[longest] >= LONGEST_WAIT_NS
        picked = longest if is_overdue and not self._strict else highest
        self._strict = STRICT_TURNS if picked is not highest else max(0, self._strict - 1)
        del since_ns[picked]
        return picked
