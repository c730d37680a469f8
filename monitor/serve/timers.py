"""What is to happen later, for thousands of connections with one task.

A cancel scope or a task per connection for its next ping would cost more memory than the
connection itself. And a wake-up costs more than a ping: what is due at about the same time happens
at the same time.
"""

import heapq
import math
import time
from collections.abc import Callable
from itertools import count

import trio

from monitor.health.lag import PROBE_SECONDS
from monitor.turn import Turn

TICK_SECONDS = PROBE_SECONDS
"""Times are rounded up to a multiple of it, when the loop is awake anyway to be probed."""
LONGEST_SECONDS = 1e9
"""What a token or a backend puts off for longer, or for more than a float holds, is put off for so long."""
PRUNE_FROM = 1_024
"""Entries; fewer are not worth looking for cancelled ones."""


class Timer:
    """A call that is due; `cancel` makes it void."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Timers:
    def __init__(self) -> None:
        self._due: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._changed = trio.Event()
        self._prune_at = PRUNE_FROM

    def __len__(self) -> int:
        return len(self._due)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Have `call` run in so many seconds and up to a tick; it must not wait, nor raise."""
        if len(self._due) >= self._prune_at:
            self._prune()
        timer = Timer(call)
        due = trio.current_time() + seconds
        entry = (_tick_at(due) if seconds > 0 else due, next(self._numbers), timer)
        heapq.heappush(self._due, entry)
        if self._due[0] is entry:
            self._changed.set()
        return timer

    def at(self, unix_seconds: float, call: Callable[[], None]) -> Timer:
        now = time.time()
        return self.after(min(max(unix_seconds, now), now + LONGEST_SECONDS) - now, call)

    def _prune(self) -> None:
        """Forget cancelled timers: a token that is refreshed all the time leaves one behind each time."""
        self._due = [entry for entry in self._due if entry[2].call is not None]
        heapq.heapify(self._due)
        self._prune_at = max(PRUNE_FROM, 2 * len(self._due))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Make the calls when they are due, until cancelled."""
        task_status.started()
        while True:
            self._changed = trio.Event()
            with trio.move_on_at(self._due[0][0] if self._due else trio.current_time() + 3_600):
                await self._changed.wait()
            await self._call_due()

    async def _call_due(self) -> None:
        now = trio.current_time()
        turn = Turn()
        while self._due and self._due[0][0] <= now:
            timer = heapq.heappop(self._due)[2]
            if timer.call is not None:
                timer.call()
            await turn.give_way()


def _tick_at(seconds: float) -> float:
    return math.ceil(seconds / TICK_SECONDS) * TICK_SECONDS
