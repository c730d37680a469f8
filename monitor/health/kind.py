"""The latency of one kind of event, held against what is promised for it: how long, where, and to whom.

A delivery's time is the sum of four stages, so their means show where it went, and each window
names the client that waited longest. Recording costs a few additions for each publication and
nothing for each client; what a report needs is put together when it is made.
"""

from collections import deque
from typing import NamedTuple

from monitor.config import Lane
from monitor.health.budget import Budget
from monitor.health.end_to_end import EndToEndMeter
from monitor.health.latency import LONG_ROTATIONS, NS_PER_MS, SHORT_ROTATIONS, Histogram, LatencyMeter


class Stages(NamedTuple):
    """Where the time of a delivery went, in nanoseconds."""

    receive: int
    """From the venue's socket to `publish`."""
    wait: int
    """For its commit, its tick, and for what its channel had to send before it."""
    encode: int
    """Making its frames."""
    write: int
    """From there until the last client's socket had it, or the one client's this is about."""

    @property
    def costliest(self) -> str:
        return self._fields[self.index(max(self))]


class Delay(NamedTuple):
    """The longest that a client waited for a publication."""

    latency_ns: int
    client: str
    stage: str
    """The one that cost most of it."""


class Window(NamedTuple):
    """A stretch of time up to now."""

    latency: Histogram
    stages: Stages
    """Of all fan-outs in it, added up."""
    worst: Delay | None


_NO_TIME = Stages(0, 0, 0, 0)
NEAR_SHARE = 0.8
"""Of a threshold: beyond it an operator is warned."""


class KindMeter:
    __slots__ = (
        "_delays",
        "_rotations",
        "_spent",
        "_spent_before",
        "_worst",
        "_worst_ever",
        "budget",
        "count",
        "end_to_end",
        "is_journaled",
        "lane",
        "late",
        "latency",
        "name",
        "threshold_ns",
        "worst_ns",
    )

    def __init__(
        self, name: str, lane: Lane | None, threshold_ms: float | None, *, is_journaled: bool = False
    ) -> None:
        self.name = name
        self.lane = lane
        self.is_journaled = is_journaled
        """Its publications wait for their commit, which is part of `wait`."""
        self.threshold_ns = None if threshold_ms is None else round(threshold_ms * NS_PER_MS)
        self.count = 0
        """Publications, whoever they were for."""
        self.late = 0
        """What reached its last socket, or a client that was behind, after the threshold. The latter is not
        in the figures: one client's slowness is not the server's."""
        self.latency = LatencyMeter()
        """From when it counts until the last client's socket had it."""
        self.budget = Budget()
        """Of what is in those figures; it stays untouched where nothing is promised."""
        self.end_to_end = EndToEndMeter()
        self.worst_ns = 0
        """Of the current quarter second; a client that waited no longer need not be recorded."""
        self._worst: Delay | None = None
        self._worst_ever: Delay | None = None
        self._rotations = 0
        self._delays: deque[tuple[int, Delay]] = deque()
        """Of the last minute's quarter seconds, by number, those in which a client was noted."""
        self._spent = list(_NO_TIME)
        """By stage; a list, because a record of it for each publication would cost more than counting it."""
        self._spent_before: deque[Stages] = deque(
            [_NO_TIME] * (LONG_ROTATIONS + 1), maxlen=LONG_ROTATIONS + 1
        )

    def record(self, stages: Stages) -> None:
        """Count a fan-out that ended."""
        receive, wait, encode, write = stages
        latency_ns = receive + wait + encode + write
        self.latency.record(latency_ns)
        if self.threshold_ns is not None and latency_ns > self.threshold_ns:
            self.late += 1
        spent = self._spent
        spent[0] += receive
        spent[1] += wait
        spent[2] += encode
        spent[3] += write

    def record_client(self, client: str, stages: Stages) -> None:
        """Note how long one client waited, if nobody waited longer in this quarter second."""
        latency_ns = sum(stages)
        if latency_ns > self.worst_ns:
            self.worst_ns = latency_ns
            self._worst = Delay(latency_ns, client, stages.costliest)

    def rotate(self) -> None:
        """Close the current quarter second; called `ROTATIONS_PER_SECOND` times a second."""
        self.latency.rotate()
        self.end_to_end.rotate()
        self._rotations += 1
        if self._delays and self._delays[0][0] <= self._rotations - LONG_ROTATIONS:
            self._delays.popleft()
        if self._worst is not None:
            self._delays.append((self._rotations, self._worst))
            self._worst_ever = max(self._worst, self._worst_ever or self._worst)
            self._worst, self.worst_ns = None, 0
        self._spent_before.append(Stages(*self._spent))

    def end_second(self) -> None:
        """Hold what was recorded against the threshold; called once a second, after `rotate`."""
        if self.threshold_ns is not None:
            all_time = self.latency.since_start
            near = all_time.count_above(round(NEAR_SHARE * self.threshold_ns))
            self.budget.read(all_time.count, near, all_time.count_above(self.threshold_ns))

    def last_10s(self) -> Window:
        return self._window(self.latency.last_10s, SHORT_ROTATIONS)

    def last_minute(self) -> Window:
        return self._window(self.latency.last_minute, LONG_ROTATIONS)

    def since_start(self) -> Window:
        return Window(self.latency.since_start, self._spent_before[-1], self._worst_ever)

    def _window(self, latency: Histogram, rotations: int) -> Window:
        before, now = self._spent_before[-rotations - 1], self._spent_before[-1]
        stages = Stages(*(new - old for old, new in zip(before, now, strict=True)))
        oldest = self._rotations - rotations
        worst = max((delay for number, delay in self._delays if number > oldest), default=None)
        return Window(latency, stages, worst)
