"""What a feed tells, kept until a test has heard what it waits for."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import trio

from monitor.events import Event
from tests.patience import PATIENCE_SECONDS

T = TypeVar("T")


class Listener:
    """A sink that keeps all, and lets a test wait for what it needs."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._counts: Counter[type[Event]] = Counter()
        self._changed = trio.Event()

    def __call__(self, event: Event, received_ns: int) -> None:
        self.events.append(event)
        self._counts[type(event)] += 1
        self._changed.set()

    def of(self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]

    async def wait_for(self, kind: type[Event], count: int = 1) -> None:
        await self.wait_until(lambda: self._counts[kind] >= count)

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Fails once nothing is heard for a while: how long all of it takes is the machine's affair."""
        while not holds():
            self._changed = trio.Event()
            with trio.fail_after(PATIENCE_SECONDS):
                await self._changed.wait()
