"""Every limit that the console lists, met by a client: it is counted there by its name."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio

from monitor.broadcast import channel
from monitor.config.limits import Limits
from monitor.serve import front
from tests.serve.running import KEYS, NAMESPACES, Server, running, sign
from tests.serve.wire import TEXT, UPGRADE, Client, Refused, frame, request
from tui.panels.refusals import LIMITS

ROOMS = NAMESPACES | {"alone": {"subscriber_limit": 1}, "tape": {"tags_filter": True}}
HEADERS = {"Host": "lanecast", "X-API-Key": KEYS.api}


async def connect_twice(server: Server) -> None:
    await server.client(sign(sub="ann"))
    second = Client(await server.dial())
    if b" 101 " in await second.upgrade():
        await second.say({"id": 1, "connect": {"token": sign(sub="ann")}})
        await second.closing()


async def begin(server: Server, data: bytes) -> None:
    """Say so much, and wait for the server to end it."""
    wire = await server.wire()
    await wire.send(data)
    await wire.take_all()


async def say_nothing_after_the_upgrade(server: Server) -> None:
    await (await server.upgraded()).closing()


async def send_half_a_body(server: Server) -> None:
    await begin(server, request("POST", "/api/info", HEADERS | {"Content-Length": "9"}, b"{"))


async def send_a_long_head(server: Server) -> None:
    await begin(server, request("GET", "/", {"Host": "lanecast", "Long": "x" * 100_000}))


async def send_a_long_body(server: Server) -> None:
    assert (await server.post("info", b" " * 5_000)).status == 413


async def send_a_long_message(server: Server) -> None:
    client = await server.client()
    await client.send(frame(TEXT, b" " * 5_000))
    await client.closing()


async def ask_twice(server: Server) -> None:
    assert await (await server.client()).refusal("ping") == 111


async def subscribe_once(server: Server) -> None:
    assert await (await server.client()).refusal("subscribe", channel="chat:a") == 111


async def subscribe_twice(server: Server) -> None:
    client = await server.subscriber("chat:a")
    assert await client.refusal("subscribe", channel="chat:b") == 106


async def publish_twice(server: Server) -> None:
    client = await server.client()
    await client.call("publish", channel="chat:a", data=1)
    assert await client.refusal("publish", channel="chat:a", data=2) == 111


async def publish_too_much(server: Server, name: str = "chat:a") -> None:
    answer = await server.api("publish", channel=name, data="x" * 70_000)
    assert answer["error"]["code"] == 107


async def use_two_channels(server: Server) -> None:
    client = await server.subscriber("chat:a")
    assert await client.refusal("subscribe", channel="chat:b") == 106


async def crowd_a_channel(server: Server, name: str, **wish: Any) -> None:
    await (await server.client()).call("subscribe", channel=name)
    assert await (await server.client()).refusal("subscribe", channel=name, **wish) == 106


async def read_nothing(server: Server) -> None:
    wire = await server.wire()
    requests = request("GET", "/static/vendor/centrifuge.js", HEADERS) * 40_000
    with pytest.raises(trio.BrokenResourceError):
        await wire.stream.send_all(requests)


async def open_sockets(server: Server) -> None:
    await server.client()
    assert await server.exchange(b"") == b""


PROVOKED: dict[str, tuple[float, Callable[[Server], Awaitable[Any]]]] = {
    "connections": (1, connect_twice),
    "connections_per_address": (1, connect_twice),
    "connections_per_user": (1, connect_twice),
    "handshakes_per_second": (1, connect_twice),
    "answer_bytes_per_second": (1, subscribe_once),
    "handshake_seconds": (3, lambda server: begin(server, request("GET", "/", UPGRADE)[:-2])),
    "connect_seconds": (3, say_nothing_after_the_upgrade),
    "body_seconds": (3, send_half_a_body),
    "head_bytes": (0, send_a_long_head),
    "body_bytes": (1_024, send_a_long_body),
    "message_bytes": (1_024, send_a_long_message),
    "commands_per_second": (1, ask_twice),
    "channels_per_client": (1, subscribe_twice),
    "publications_per_second": (1, publish_twice),
    "gather_bytes": (65_536, publish_too_much),
    "queue_bytes": (0, partial(publish_too_much, name="orders:1")),
    "channels": (1, use_two_channels),
    "subscriber_limit": (0, partial(crowd_a_channel, name="alone:a")),
    "tags_filters": (0, partial(crowd_a_channel, name="tape:a", tf={"key": "a", "cmp": "ex"})),
    "write_seconds": (3, read_nothing),
    "sockets": (0, open_sockets),
}


@pytest.mark.trio
@pytest.mark.parametrize("limit", LIMITS)
async def test_whoever_meets_a_limit_is_counted_by_its_name(
    limit: str, jumping_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound, provoke = PROVOKED[limit]
    limits = {limit: bound} if limit in Limits.model_fields else {"connections": 2}
    monkeypatch.setattr(channel, "FILTERS_MAX", 0 if limit == "tags_filters" else channel.FILTERS_MAX)
    monkeypatch.setattr(front, "SPARE_SOCKETS", -1 if limit == "sockets" else front.SPARE_SOCKETS)
    async with running(limits=limits, journal={"queue_bytes": 65_536}, namespaces=ROOMS) as server:
        with trio.fail_after(60):
            await provoke(server)
        monkeypatch.undo()
        assert f'lanecast_refused_total{{cause="{limit}"}}' in (await server.get("/metrics")).body.decode()


@pytest.mark.trio
async def test_who_is_refused_is_told_which_bound_it_met() -> None:
    limits = {"channels_per_client": 1, "publications_per_second": 5}
    async with running(limits=limits, journal={"queue_bytes": 65_536}, namespaces=ROOMS) as server:
        first, second = await server.subscriber("alone:a"), await server.client()
        for client, name, sentence in (
            (first, "chat:a", "at most 1 channels (limits.channels_per_client)"),
            (second, "alone:a", "channel 'alone:a' has 1 subscribers, its limit (subscriber_limit)"),
        ):
            with pytest.raises(Refused, match=f"limit exceeded: .*{re.escape(sentence)}"):
                await client.call("subscribe", channel=name)
        large = {"publish": {"channel": "orders:1", "data": "x" * 15_000}}
        replies = (await server.api("batch", commands=[large] * 6))["replies"]
        waiting, many = (reply["error"]["message"] for reply in replies if "error" in reply)
        assert re.fullmatch(
            r"too many requests: \d+ bytes wait for the journal, of at most 65536 .*", waiting
        )
        assert many.endswith("'orders:1' takes 5 publications a second (limits.publications_per_second)")
