"""How long a publication took until its client had it in hand, on one clock: the server's.

A few clients answer a marked publication. Half the round trip is taken off, and the same half is
the error, which always stands beside the figure. A client's word counts for its own row, and for
its kind only as part of a median: who lies can't bend more than his own figure.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from monitor.health.latency import LatencyMeter

ANSWER_SECONDS = 5
"""An answer that comes later is none; so at most five samples of a kind are open at a time."""
SAMPLE_SECONDS = 1
"""From one sample of a kind to the next."""
CLIENTS_PER_SAMPLE = 10


class Estimate(NamedTuple):
    latency_ns: int
    error_ns: int
    """It lies within so much of the latency, to either side."""


def estimate(answered_ns: int, round_trip_ns: int) -> Estimate:
    """What is known of a latency when the answer came `answered_ns` after the publish."""
    shortest_ns = max(0, answered_ns - round_trip_ns)
    return Estimate((answered_ns + shortest_ns) // 2, (answered_ns - shortest_ns) // 2)


class EndToEndMeter:
    """The sampled latencies of one kind, with their errors."""

    __slots__ = ("due_ns", "errors", "latency", "unanswered")

    def __init__(self) -> None:
        self.latency = LatencyMeter()
        self.errors = LatencyMeter()
        self.due_ns = 0
        """From when on the next sample may be taken."""
        self.unanswered = 0
        """How many answers never came: the client was behind, gone, or had a newer one."""

    def rotate(self) -> None:
        self.latency.rotate()
        self.errors.rotate()


@dataclass(slots=True)
class _Sample:
    meter: EndToEndMeter
    published_ns: int
    waiting: set[str]
    """Clients that have not answered yet."""
    estimates: list[Estimate] = field(default_factory=list)

    def settle(self) -> None:
        """Let the median answer stand for all."""
        self.meter.unanswered += len(self.waiting)
        if self.estimates:
            middle = sorted(self.estimates)[(len(self.estimates) - 1) // 2]
            self.meter.latency.record(middle.latency_ns)
            self.meter.errors.record(middle.error_ns)


class Samples:
    """Those that wait for answers, by their salt."""

    def __init__(self) -> None:
        self._open: dict[str, _Sample] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, salt: str, meter: EndToEndMeter, published_ns: int, clients: set[str]) -> None:
        """Wait for the answers of these clients."""
        self._open[salt] = _Sample(meter, published_ns, clients)

    def answer(self, salt: str, client: str, now_ns: int, round_trip_ns: int) -> Estimate | None:
        """Take an answer; None if it was not asked for, or not any more."""
        sample = self._open.get(salt)
        if sample is None or client not in sample.waiting:
            return None
        sample.waiting.discard(client)
        found = estimate(now_ns - sample.published_ns, round_trip_ns)
        sample.estimates.append(found)
        if not sample.waiting:
            self._open.pop(salt).settle()
        return found

    def expire(self, now_ns: int) -> None:
        """Settle the samples whose time is up."""
        limit_ns = now_ns - ANSWER_SECONDS * 1_000_000_000
        for salt in [salt for salt, sample in self._open.items() if sample.published_ns <= limit_ns]:
            self._open.pop(salt).settle()
