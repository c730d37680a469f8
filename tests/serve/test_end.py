import re
from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from monitor.config import Settings
from monitor.serve.session import Session
from monitor.turnstile import AT_ONCE
from tests.serve.running import Server, running, sign
from tests.serve.wire import CLOSE, Client, frame, request

HOST = {"Host": "lanecast"}
WINDOW_SECONDS = Settings.model_fields["drain_seconds"].default


async def ended(client: Client, times: list[float], begun: float) -> None:
    assert await client.stay() == (3001, "shutdown")
    times.append(trio.current_time() - begun)


@pytest.mark.trio
async def test_clients_are_sent_away_one_by_one_over_the_window(jumping_clock: MockClock) -> None:
    async with running() as server, trio.open_nursery() as nursery:
        clients = [await server.subscriber("chat:a") for _ in range(10)]
        begun, times = trio.current_time(), list[float]()
        for client in clients:
            nursery.start_soon(ended, client, times, begun)
        server.control.ending.set()
    assert times == pytest.approx([WINDOW_SECONDS * number / 10 for number in range(10)], abs=0.5)


@pytest.mark.trio
async def test_who_is_behind_is_served_on_until_it_has_caught_up(jumping_clock: MockClock) -> None:
    async with running(limits={"outbox_bytes": 16_000_000}) as server:
        reader = await server.subscriber("chat:a")
        sizes = [60_000] * 100
        for size in sizes:
            await server.publish("chat:a", "x" * size)
        server.control.ending.set()
        await trio.sleep(WINDOW_SECONDS / 2)
        assert [len(await reader.publication()) for _ in sizes] == sizes
        assert await reader.stay() == (3001, "shutdown")


@pytest.mark.trio
async def test_who_never_catches_up_is_left_at_the_end_of_the_window(jumping_clock: MockClock) -> None:
    async with running(limits={"outbox_bytes": 16_000_000, "write_seconds": 600}) as server:
        stuck = await server.subscriber("chat:a")
        for _ in range(200):
            await server.publish("chat:a", "x" * 60_000)
        idle, begun = await server.wire(), trio.current_time()
        server.control.ending.set()
        assert await idle.take_all() == b""
        assert trio.current_time() - begun == pytest.approx(WINDOW_SECONDS, abs=2)
        await stuck.stream.aclose()


@pytest.mark.trio
async def test_nobody_is_let_in_and_readiness_ends(server: Server, jumping_clock: MockClock) -> None:
    client = await server.subscriber("chat:a")
    other = await server.subscriber("chat:a")
    wire = await server.wire()
    await wire.send(request("GET", "/readyz", HOST))
    await wire.take_until(b"ready\n")
    server.control.ending.set()
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", server.port)
    await wire.send(request("GET", "/readyz", HOST))
    assert b" 503 " in await wire.take_until(b"ending\n")
    assert await client.stay() == (3001, "shutdown")
    assert await other.stay() == (3001, "shutdown")
    assert await wire.take_all() == b""


@pytest.mark.trio
async def test_codes_that_a_peer_makes_up_are_counted_as_one(server: Server) -> None:
    for code in (1001, 3001, 3999, 4000, 4999):
        client = await server.client()
        await client.send(frame(CLOSE, code.to_bytes(2, "big")))
        assert await client.closing() == (code, "")
    metrics = (await server.get("/metrics")).body.decode()
    counts = dict(re.findall(r'lanecast_closed_total{code="(\w+)"} ([\d.]+)', metrics))
    assert counts == {"1001": "1.0", "3001": "1.0", "other": "3.0"}


class Passes(trio.abc.Instrument):
    """Which pass of the loop it is."""

    number = 0

    def after_io_wait(self, timeout: float) -> None:
        self.number += 1


@pytest.mark.trio
async def test_crowd_that_is_sent_away_at_once_goes_a_few_a_pass(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, ended, stop = Passes(), Counter[int](), Session._stop

    def stop_and_count(session: Session) -> None:
        ended[passes.number] += 1
        stop(session)

    monkeypatch.setattr(Session, "_stop", stop_and_count)
    clients = [await server.client(sign(sub="ann")) for _ in range(12)]
    trio.lowlevel.add_instrument(passes)
    await server.api("disconnect", user="ann")
    for client in clients:
        await client.closing()
    assert ended.total() == len(clients)
    assert max(ended.values()) <= AT_ONCE
