"""A server with one known fault, on real sockets beside a busy machine: that fault is named first."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from monitor.config import DEFAULT_KINDS
from monitor.health import alerts, feeds
from monitor.probe.analysis import analyze
from monitor.probe.finding import Finding
from monitor.probe.observation import observe, open_probe
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

SECONDS = 2
PATIENT = {kind: {"threshold_ms": 5_000} for kind in DEFAULT_KINDS}
"""On a machine that is busy enough the loop is late for shorter promises, and that is told."""
DEFLATE = "permessage-deflate; client_no_context_takeover"
WORDS = "".join(chr(97 + number * 7919 % 26) + str(number * 104_729 % 9_973) for number in range(40_000))
"""Long, and neither random nor quickly compressed."""


@pytest.fixture(scope="module", autouse=True)
def busy_machine() -> Iterator[None]:
    """A loop on each core, which gives way to whatever else there is, and ends with us."""
    loop = f"import os\nos.nice(19)\nwhile os.getppid() == {os.getpid()}: pass"
    others = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(os.cpu_count() or 1)]
    yield
    for other in others:
        other.kill()
        other.wait()


async def findings(server: Server) -> list[Finding]:
    url = f"http://127.0.0.1:{server.port}"
    async with open_probe(url, sign(KEYS.operator, sub="probe"), None) as operator:
        return analyze(await observe(operator, SECONDS))


@pytest.mark.trio
async def test_alerts_of_the_server_are_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FAST_SAMPLES", 1)
    nobody = {"symbols": ["BTCUSDT"], "url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}
    async with running(feeds={"binance": nobody}, kinds=PATIENT) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with open_probe(url, sign(KEYS.operator, sub="probe"), None) as operator:
            seen = await observe(operator, 1)
    (alert,) = seen.alerts
    assert re.match(r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: binance: not connected", alert)


async def findings_under(server: Server, channel: str, data: object, pause_seconds: float) -> list[Finding]:
    """What is found while somebody publishes."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish_on, server, channel, data, pause_seconds)
        found = await findings(server)
        nursery.cancel_scope.cancel()
    return found


async def publish_on(server: Server, channel: str, data: object, pause_seconds: float) -> None:
    while True:
        await server.publish(channel, data)
        await trio.sleep(pause_seconds)


async def flood(server: Server, client: Client, channel: str, data: object) -> None:
    """Publish until a client is behind with more than a hundred messages."""
    while sum((await row_of(server, client))["lanes"]) <= 200:
        await server.api("batch", commands=[{"publish": {"channel": channel, "data": data}}] * 50)


async def row_of(server: Server, client: Client) -> dict[str, list[int]]:
    operator = await server.client(sign(KEYS.operator, sub="operator"))
    answer = await operator.call("rpc", method="ops.connections", data={"filter": client.id})
    row: dict[str, list[int]] = answer["data"]["rows"][0]
    return row


@pytest.mark.trio
async def test_a_healthy_server_is_limited_by_nothing() -> None:
    async with running(simulator={"enabled": True}, kinds=PATIENT) as server:
        await server.subscriber("trades:all", "market:hot", "book:sim.BTCUSDT")
        assert await findings(server) == []


@pytest.mark.trio
async def test_a_tick_that_is_too_long_is_named_first() -> None:
    async with running(tick_ms=300) as server:
        await server.subscriber("feed:a")
        first = (await findings_under(server, "feed:a", 1, 0.02))[0]
    assert first.cause == "tick"
    assert "tick_ms is 300" in first.evidence[1]
    assert first.setting.startswith("tick_ms = 20")


@pytest.mark.trio
async def test_a_compressor_that_is_too_heavy_is_named_first() -> None:
    quick = {"message": {"threshold_ms": 2}}
    async with running(compression_level=9, kinds=quick) as server:
        await server.subscriber("chat:a", extensions=DEFLATE)
        first = (await findings_under(server, "chat:a", WORDS[:60_000], 0.05))[0]
    assert first.cause == "compressor"
    assert "compression_level is 9" in first.evidence[1]
    assert first.setting == "compression_level = 1"


@pytest.mark.trio
async def test_a_client_that_does_not_read_is_named_first() -> None:
    async with running(limits={"outbox_bytes": 64_000_000, "write_seconds": 600}) as server:
        others = [await server.subscriber("chat:a") for _ in range(3)]
        stuck = await server.subscriber("chat:big")
        await flood(server, stuck, "chat:big", "x" * 20_000)
        first = (await findings(server))[0]
    assert first.cause == "slow client"
    assert stuck.id in first.sentence
    assert not any(other.id in line for other in others for line in first.evidence)


@pytest.mark.trio
async def test_a_channel_with_too_many_subscribers_is_named_first() -> None:
    quick = {"message": {"threshold_ms": 0.5}}
    async with running(kinds=quick) as server:
        for _ in range(150):
            await server.subscriber("chat:crowd")
        await server.subscriber("chat:quiet")
        first = (await findings_under(server, "chat:crowd", 1, 0.02))[0]
    assert first.cause == "channel"
    assert first.sentence.startswith("chat:crowd ")
    assert "150 subscribers" in first.evidence[1]
    assert first.setting.startswith("namespaces.chat.subscriber_limit = ")


@pytest.mark.trio
async def test_a_starved_lane_is_named_first() -> None:
    """A client's budget is used up by a flood of the lane before."""
    async with running(limits={"outbox_bytes": 64_000_000}) as server:
        client = await server.subscriber("dashboard:flood", "chat:a")
        await client.call("rpc", method="me.limit", data={"messages_per_second": 60})
        await server.api("batch", commands=[{"publish": {"channel": "chat:a", "data": 1}}] * 400)
        await server.api("batch", commands=[{"publish": {"channel": "dashboard:flood", "data": 1}}] * 2000)
        first = (await findings(server))[0]
    assert first.cause == "lane"
    assert first.sentence == f"the normal lane of client {client.id} starves behind high"


@pytest.mark.trio
async def test_a_feed_that_has_gone_silent_is_named_first(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery
) -> None:
    """Its venue takes the connection and all that the feed says, and says nothing."""
    monkeypatch.setattr(feeds, "SILENT_NS", 1_000_000_000)
    venue = await nursery.start(partial(serve_websocket, swallow, "127.0.0.1", 0, None))
    url = f"ws://127.0.0.1:{venue.port}"
    binance = {"symbols": ["BTCUSDT"], "url": url, "rest_url": "http://127.0.0.1:9"}
    async with running(feeds={"binance": binance}) as server:
        first = (await findings(server))[0]
    nursery.cancel_scope.cancel()
    assert first.cause == "feed"
    assert first.sentence.startswith("feed binance is stale: ")
    assert url in first.setting


async def swallow(request: WebSocketRequest) -> None:
    socket = await request.accept()
    with suppress(ConnectionClosed):
        while True:
            await socket.get_message()
