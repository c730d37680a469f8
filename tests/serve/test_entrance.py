import socket

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from monitor.serve.entrance import SILENT_AT_ONCE, SILENT_PAUSE_SECONDS, Entrance, open_listeners
from monitor.serve.turn import Turnstile
from tests.serve.running import running


@pytest.mark.trio
async def test_wave_that_has_not_spoken_waits_in_the_kernel(mock_clock: MockClock) -> None:
    turnstile = Turnstile()
    trio.lowlevel.add_instrument(turnstile)
    (listener,) = await open_listeners("127.0.0.1", 0)
    wave = [socket.create_connection(listener.getsockname()) for _ in range(SILENT_AT_ONCE + 20)]
    entrance, admitted = Entrance(turnstile), list[socket.socket]()

    def admit(accepted: socket.socket, address: str) -> None:
        admitted.append(accepted)
        entrance.silent += 1

    async def seen_after(seconds: float) -> int:
        mock_clock.jump(seconds)
        await trio.testing.wait_all_tasks_blocked()
        return len(admitted)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(entrance.accept, listener, admit)
        assert await seen_after(0) == SILENT_AT_ONCE
        assert await seen_after(SILENT_PAUSE_SECONDS) == SILENT_AT_ONCE + 1
        assert await seen_after(SILENT_PAUSE_SECONDS) == SILENT_AT_ONCE + 2
        entrance.silent = 0
        assert await seen_after(SILENT_PAUSE_SECONDS) == len(wave)
        nursery.cancel_scope.cancel()
    for end in (*wave, *admitted):
        end.close()


@pytest.mark.trio
@pytest.mark.parametrize("leaves", [True, False], ids=["left", "spoke"])
async def test_who_left_or_spoke_holds_nobody_up(mock_clock: MockClock, leaves: bool) -> None:
    """Time stands still: nobody is let in who waits for a pause."""
    async with running() as server:
        for _ in range(SILENT_AT_ONCE + 5):
            if leaves:
                await (await server.dial()).aclose()
            else:
                await server.upgraded()
        assert (await server.get("/healthz")).status == 200
