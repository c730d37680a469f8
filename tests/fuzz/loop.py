"""Trio for those who can't wait: a fuzzer calls a function and wants it done.

A loop a call would be half of what an input costs. This one is kept, as a guest whose turns are
taken while somebody wants something. Its clock goes by turns, so who waits is waited for, in no time.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import outcome
import trio
from trio.testing import MockClock

TURN_SECONDS = 0.001
PATIENT_TURNS = 16
"""Of one call; from then on who waits is helped by twice as much time a turn, up to a leap."""
LEAP_SECONDS = 1.0
"""What takes many turns without waiting, as the metrics do, is not to see years go by: a loop that late is
noted probe by probe."""

T = TypeVar("T")


class Loop:
    """Made by `open_loop`."""

    def __init__(self) -> None:
        self._turns: deque[Callable[[], object]] = deque()
        self._end: outcome.Outcome[None] | None = None
        self._is_open = True
        self._waited = 0
        self._nursery: trio.Nursery | None = None
        self._clock = MockClock()
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._turns.append,
            done_callback=self._note_end,
            host_uses_signal_set_wakeup_fd=True,
            clock=self._clock,
        )
        self._turn_until(lambda: self._nursery is not None)

    def run(self, call: Callable[[], Awaitable[T]]) -> T:
        """What the call returns or raises, and what a service raises that ended meanwhile."""
        found: list[outcome.Outcome[T]] = []

        async def carry_out() -> None:
            found.append(await outcome.acapture(call))

        assert self._nursery is not None
        self._waited = 0
        self._nursery.start_soon(carry_out)
        self._turn_until(lambda: bool(found))
        return found[0].unwrap()

    def start(self, service: Callable[..., Awaitable[object]]) -> None:
        """Run a service in the background until the loop is closed."""
        assert self._nursery is not None
        nursery = self._nursery
        self.run(lambda: nursery.start(service))

    def close(self) -> None:
        self._is_open = False
        self._turn_until(lambda: self._end is not None)

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            while self._is_open:
                await trio.lowlevel.checkpoint()
                self._waited += 1
                help_seconds = TURN_SECONDS * 2 ** max(0, self._waited - PATIENT_TURNS)
                self._clock.jump(min(LEAP_SECONDS, help_seconds))
            nursery.cancel_scope.cancel()

    def _note_end(self, end: outcome.Outcome[None]) -> None:
        self._end = end

    def _turn_until(self, is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            if self._end is not None:
                self._end.unwrap()
            self._turns.popleft()()


@contextmanager
def open_loop() -> Iterator[Loop]:
    loop = Loop()
    try:
        yield loop
    finally:
        loop.close()
