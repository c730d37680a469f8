import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from monitor.serve.connection import Connection
from monitor.serve.entrance import CALM_SECONDS, SILENT_AT_ONCE, SILENT_PAUSE_SECONDS, Entrance
from monitor.turnstile import Turnstile
from tests.serve.running import running


def listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=SILENT_AT_ONCE * 2)
    listener.setblocking(False)
    return listener


@pytest.mark.trio
async def test_wave_that_has_not_spoken_waits_in_the_kernel(mock_clock: MockClock) -> None:
    turnstile = Turnstile()
    trio.lowlevel.add_instrument(turnstile)
    listener = listening()
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


@contextmanager
def no_descriptors() -> Iterator[int]:
    """Let this process open nothing more; gives how many open files it may have."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(free := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield free
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.trio
async def test_want_of_descriptors_is_told_once_and_its_end_once(
    mock_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lanecast")
    turnstile = Turnstile()
    trio.lowlevel.add_instrument(turnstile)
    listener, admitted = listening(), list[socket.socket]()
    outside = [socket.create_connection(listener.getsockname()) for _ in range(2)]

    async def pass_seconds(seconds: float) -> None:
        mock_clock.jump(seconds)
        await trio.testing.wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        with no_descriptors() as limit:
            nursery.start_soon(
                Entrance(turnstile).accept, listener, lambda accepted, _: admitted.append(accepted)
            )
            for _ in range(20):
                await pass_seconds(0.1)
            assert [record.levelname for record in caplog.records] == ["ERROR"]
            assert f"has the {limit} open files that it may have" in caplog.text
        await pass_seconds(0.1)
        assert len(admitted) == 2
        await pass_seconds(CALM_SECONDS)
        outside.append(socket.create_connection(listener.getsockname()))
        await pass_seconds(0)
        assert len(caplog.records) == 2
        assert "accepted again: for 1.9 s" in caplog.text
        nursery.cancel_scope.cancel()
    for end in (*outside, *admitted):
        end.close()


@pytest.mark.trio
async def test_socket_of_which_no_connection_can_be_made_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[socket.socket]()

    def fail(accepted: socket.socket, address: str, turnstile: Turnstile) -> None:
        taken.append(accepted)
        raise OSError("the peer has reset it")

    async with running() as server:
        monkeypatch.setattr(Connection, "__init__", lambda self, *given: fail(*given))
        assert await server.exchange(b"") == b""
        monkeypatch.undo()
        assert [accepted.fileno() for accepted in taken] == [-1]
        assert (
            'lanecast_refused_total{cause="connection lost"} 1.0'
            in (await server.get("/metrics")).body.decode()
        )
