"""How many may have work done in one pass of the loop, so that a fill never waits for a crowd.

Of thousands of connections that have something at once, or room again, Trio runs each once before it
runs any other task: so a few are let in a pass of the loop, the others in the order in which they came.
"""

import trio

from monitor.turn import SLICE_NS

AT_ONCE = 2
"""Connections a pass: a handshake, or a connect with some subscribes, takes some 0.2 ms. With four of them,
who resets and comes again made a fill's p99 a third longer (measured)."""
SHARE_NS = SLICE_NS // 4
"""What each of them takes at most, so that a fill waits for half a slice of all that comes in."""


class Turnstile(trio.abc.Instrument):
    """Lets a few tasks through in each pass of the loop; added to the loop, it sees a pass begin."""

    def __init__(self) -> None:
        self._clients, self._backends = _Line(), _Line()

    async def enter(self, *, is_backend: bool = False) -> None:
        """Go on at once if this pass has room, else in a later one; not always a checkpoint.

        Backends stand in a line of their own: a fill of theirs is not to stand behind a crowd of clients.
        """
        await (self._backends if is_backend else self._clients).enter()

    def after_io_wait(self, timeout: float) -> None:
        self._clients.begin_pass()
        self._backends.begin_pass()


class _Line:
    __slots__ = ("_coming", "_left", "_waiting")

    def __init__(self) -> None:
        self._waiting = trio.lowlevel.ParkingLot()
        self._left = AT_ONCE
        self._coming = 0
        """Waited, and go on in the next pass: they take the room of who comes then."""

    async def enter(self) -> None:
        if self._left and not self._waiting:
            self._left -= 1
            return
        if not self._waiting:
            self._wake_up()
        await self._waiting.park()

    def begin_pass(self) -> None:
        self._left, self._coming = AT_ONCE - self._coming, 0

    def _wake_up(self) -> None:
        # Not from `begin_pass`: while somebody waits here the loop must not wait for its sockets.
        # One that is under way already will do: who waited before may all have been cancelled.
        trio.lowlevel.current_trio_token().run_sync_soon(self._let_in, idempotent=True)

    def _let_in(self) -> None:
        self._coming = len(self._waiting.unpark(count=AT_ONCE))
        if self._waiting:
            self._wake_up()
