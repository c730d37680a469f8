"""What refused clients leave behind: nothing that can be counted."""

import gc
from types import TracebackType

import orjson
import pytest

from tests.serve.running import Server, running
from tests.serve.wire import Client

BURST = 500
REFUSED = (
    {"subscribe": {"channel": "nowhere:a"}},
    {"subscribe": {"channel": "orders:ann"}},
    {"publish": {"channel": "market:hot", "data": 1}},
    {"history": {"channel": "experiment:a"}},
    {"rpc": {"method": "ops.connections"}},
)


def count_tracebacks() -> int:
    gc.collect()
    return sum(isinstance(kept, TracebackType) for kept in gc.get_objects())


async def be_refused(client: Client, commands: int) -> None:
    for first in range(10, 10 + commands, BURST):
        burst = [{"id": n, **REFUSED[n % len(REFUSED)]} for n in range(first, first + BURST)]
        await client.say(*burst)
        for command in burst:
            reply = await client.document()
            assert reply["id"] == command["id"]
            assert "error" in reply


async def be_refused_by_the_api(server: Server, calls: int) -> None:
    commands = [{"publish": {"channel": "nowhere:a", "data": 1}}, {"presence": {"channel": "feed:a"}}]
    body = orjson.dumps({"commands": commands * (BURST // 2)})
    for _ in range(calls // BURST):
        assert (await server.post("batch", body)).body.count(b'"error"') == BURST


async def be_thrown_out(server: Server) -> None:
    client = await server.upgraded()
    await client.say({"id": 1, "connect": {"token": "none"}})
    assert (await client.closing())[0] == 3500


@pytest.mark.trio
async def test_ten_thousand_refusals_hold_on_to_nothing() -> None:
    async with running(limits={"commands_per_second": 1_000_000}) as server:
        client = await server.client()
        await be_refused(client, BURST)
        await be_refused_by_the_api(server, BURST)
        await be_thrown_out(server)
        before = count_tracebacks()
        await be_refused(client, 10_000)
        await be_refused_by_the_api(server, 10_000)
        for _ in range(20):
            await be_thrown_out(server)
        assert count_tracebacks() == before
