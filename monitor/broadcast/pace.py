"""How much one client is sent at most: messages and bytes a second.

A client asks for it to spare its line, or an operator sets it. What goes beyond waits in the
outbox and merges there. Two token buckets that may go into debt, so one long frame is sent whole
and paid for afterwards.
"""

from typing import NamedTuple

LEAST_WAIT_SECONDS = 0.001
"""A shorter wait is none: it could be too short for the clock to move at all."""
BURST_SECONDS = 0.25
"""How much may be saved up while nothing is sent."""


class Budget(NamedTuple):
    """0 is unlimited."""

    messages_per_second: float = 0
    bytes_per_second: float = 0

    def __bool__(self) -> bool:
        return self.messages_per_second > 0 or self.bytes_per_second > 0


class Pace:
    __slots__ = ("_balances", "_spent_at", "budget")

    def __init__(self, budget: Budget, now: float) -> None:
        self.budget = budget
        self._balances = [rate * BURST_SECONDS for rate in budget]
        self._spent_at = now

    def seconds_until(self, now: float) -> float:
        """How long to wait before anything may be sent; 0 if it may now."""
        self._save_up(now)
        waits = [
            -balance / rate
            for balance, rate in zip(self._balances, self.budget, strict=True)
            if rate and balance < 0
        ]
        longest = max(waits, default=0.0)
        return longest if longest >= LEAST_WAIT_SECONDS else 0.0

    def spend(self, messages: int, size_bytes: int, now: float) -> None:
        """Something was sent."""
        self._save_up(now)
        self._balances[0] -= messages
        self._balances[1] -= size_bytes

    def _save_up(self, now: float) -> None:
        elapsed = now - self._spent_at
        self._spent_at = now
        self._balances = [
            min(rate * BURST_SECONDS, balance + rate * elapsed)
            for balance, rate in zip(self._balances, self.budget, strict=True)
        ]
