"""What is published during the long test: every kind in turn, evenly spread, each when it is due.

Due and not once the last call is answered: a server that lets a publisher wait would else be asked less
often, and look the better for it. How late this process was with it is no server's doing, and is told.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from statistics import quantiles
from typing import Any, NoReturn

import trio

from monitor.backend import Backend
from monitor.errors import PeerError
from monitor.probe.crowd import mark
from monitor.probe.routes import Route

ROUND_SECONDS = 0.25
BULK_BYTES, BULK_PER_SECOND = 16_000, 20
"""What villains are sent, or leave unread."""
ANSWER_SECONDS = 5.0
"""For a call at most: so long the end of a step waits beside a server that stands still."""
UNDER_WAY = 8
"""Calls: who waits for more of them is answered too slowly to be asked for more."""


class Pulse:
    """Publications by a backend; a refusal shows in what is not heard."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._room = trio.Semaphore(UNDER_WAY)
        self._late_ms: list[float] = []

    async def publish(self, routes: Sequence[Route]) -> NoReturn:
        """Each kind once a round."""
        due = trio.current_time()
        async with trio.open_nursery() as nursery:
            for route in cycle(routes):
                await self._room.acquire()
                due = max(due + ROUND_SECONDS / len(routes), trio.current_time())
                await trio.sleep_until(due)
                self._late_ms.append(1_000 * (trio.current_time() - due))
                nursery.start_soon(self._publish_marked, route)
        raise AssertionError("a cycle has no end")

    async def _publish_marked(self, route: Route) -> None:
        await self._publish(route.channel, {"mark": mark(route.kind)}, route.kind)
        self._room.release()

    async def publish_bulk(self, channel: str, kind: str) -> NoReturn:
        """One long publication after the other."""
        while True:
            await self._publish(channel, {"bulk": "x" * BULK_BYTES}, kind)
            await trio.sleep(1 / BULK_PER_SECOND)

    def take_lag_ms(self) -> float:
        """How late 9 of 10 were at most, of those that were due since this was last asked."""
        late_ms, self._late_ms = self._late_ms, []
        return quantiles([0.0, 0.0, *late_ms], n=10)[-1]

    async def _publish(self, channel: str, data: dict[str, Any], kind: str) -> None:
        # A call that is under way is finished: cut off, it would take the connection with it.
        with trio.move_on_after(ANSWER_SECONDS, shield=True), suppress(PeerError):
            await self._backend.publish(channel, data, kind)
