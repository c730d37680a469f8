"""How many clients a server bears: which number is tried next, and when the answer is known.

Four times as many find the order, halving what lies between the last that held and the first that did not.
A number breaks only if it breaks twice: one slow second of a machine is no limit of a server. Where it was
the probe's doing, the first that surely broke is the answer, if there is one.
"""

from monitor.probe.report import Knee, Limit, Step
from monitor.probe.verdict import fault_of

FIRST_CLIENTS = 50
GROWTH = 4
"""Times, as long as nothing breaks: each number takes seconds, and most of them say nothing."""
CLOSE_ENOUGH = 0.15
"""Between the last number that held and the first that did not, as a share of the latter."""


class Ramp:
    """The numbers of clients that are tried, one after the other."""

    def __init__(self, limit: int) -> None:
        """At most so many clients."""
        self._limit = limit
        self._next = min(FIRST_CLIENTS, limit)
        self._held = 0
        self._broke = 0
        self._limited: tuple[int, Limit, str] | None = None
        """By what broke: the fewest clients that surely did, else the fewest."""
        self._is_doubted = False

    def next(self) -> int | None:
        """How many are to be tried now; None once the knee is known."""
        if self._is_doubted:
            return self._next
        if not self._broke:
            return None if self._held == self._limit else self._next
        gap = self._broke - self._held
        if self._broke <= FIRST_CLIENTS or gap <= max(1, CLOSE_ENOUGH * self._broke):
            return None
        return (self._held + self._broke) // 2

    def take(self, step: Step, clients: int) -> bool:
        """Take in what was measured with so many; whether the knee is told by it now."""
        fault = fault_of(step)
        if fault is not None and not self._is_doubted:
            self._next, self._is_doubted = clients, True
            return False
        self._is_doubted = False
        if fault is None:
            self._held = max(self._held, clients)
            self._next = min(GROWTH * clients, self._limit)
            return False
        self._broke = clients
        is_told = self._limited is None or self._limited[1] is Limit.PROBE or fault[0] is not Limit.PROBE
        if is_told:
            self._limited = clients, *fault
        return is_told

    def knee(self) -> Knee:
        """What is known of it so far."""
        if self._limited is not None:
            return Knee(self._held, *self._limited)
        if self._held == self._limit:
            return Knee(self._held, None, Limit.BOUND, f"the probe has no more than {self._limit} clients")
        return Knee(self._held, None, Limit.TIME, "there was no time for more clients")
