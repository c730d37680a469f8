"""What refused clients and villains leave behind: nothing that can be counted."""

import gc
import os
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

import orjson
import pytest
import trio

from monitor.broadcast.client import Client as BroadcastClient
from monitor.serve.session import Session
from monitor.serve.timers import Timer
from tests.patience import PATIENCE_SECONDS
from tests.serve.running import Server, running, sign
from tests.serve.wire import CLOSE, TEXT, Client, deflate, frame

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


NARROW = {"outbox_bytes": 65_536, "commands_per_second": 10}
IMPATIENT = NARROW | {"handshake_seconds": 1, "connect_seconds": 1, "ping_seconds": 1, "pong_seconds": 0.5}
"""For those who are recognized by nothing but their silence."""
AT_ONCE = 10
DOCUMENT = "x" * 50_000
DOCUMENTS = 10
"""More than the two sockets and an outbox take."""
BOMB = deflate(bytes(6_000_000))


async def publish(server: Server, channel: str) -> None:
    command = {"publish": {"channel": channel, "data": DOCUMENT}}
    await server.api("batch", commands=[command] * DOCUMENTS)


async def never_read(server: Server, channel: str) -> None:
    await server.subscriber(channel)
    await publish(server, channel)


async def read_slowly(server: Server, channel: str) -> None:
    client = await server.subscriber(channel)
    await publish(server, channel)
    for _ in range(20):
        await client.stream.receive_some(256)
    await publish(server, channel)
    await client.stream.aclose()


async def reset(server: Server, channel: str) -> None:
    client = await server.subscriber(channel)
    client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.stream.aclose()


async def stay_half_open(server: Server, channel: str) -> None:
    """No request, half of one, no connect, and half of a frame's head."""
    await server.wire()
    await server.upgraded()
    await (await server.wire()).send(b"GET /connection/websocket HTTP/1.1\r\nHost: lane")
    await (await server.subscriber(channel)).send(b"\x81")


async def leave_in_frame(server: Server, channel: str) -> None:
    client = await server.subscriber(channel)
    await client.send(frame(TEXT, b"x" * 4_000)[:2_000])
    await client.stream.aclose()


async def flood_commands(server: Server, channel: str) -> None:
    client = await server.subscriber(channel)
    await client.say(*({"id": number, "presence": {"channel": channel}} for number in range(9, 500)))
    assert (await client.closing())[0] == 3013


async def send_a_bomb(server: Server, channel: str) -> None:
    client = await server.subscriber(channel, extensions="permessage-deflate")
    await client.send(frame(TEXT, BOMB, rsv=4))
    assert (await client.closing())[0] == 1009


Villain = Callable[[Server, str], Awaitable[None]]
VILLAINS: tuple[Villain, ...] = (
    never_read,
    read_slowly,
    reset,
    stay_half_open,
    leave_in_frame,
    flood_commands,
    send_a_bomb,
)


@dataclass(frozen=True)
class Leftovers:
    tasks: int
    descriptors: int
    objects: Counter[str]
    """Of what serves clients and sends to them, by type."""


def count_leftovers() -> Leftovers:
    gc.collect()
    kept = [type(each) for each in gc.get_objects()]
    ours = [each for each in kept if each.__module__.startswith(("monitor.serve", "monitor.broadcast"))]
    return Leftovers(
        tasks=trio.lowlevel.current_statistics().tasks_living,
        descriptors=len(os.listdir("/proc/self/fd")),
        objects=Counter(each.__name__ for each in ours if each is not Timer),
    )


def count_clients() -> int:
    """Whoever was behind is forgotten at the next look at such clients, four times a second."""
    gc.collect()
    return sum(type(each) is BroadcastClient for each in gc.get_objects())


async def wait_for_tasks(at_most: int) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            if trio.lowlevel.current_statistics().tasks_living <= at_most and not count_clients():
                return
            await trio.sleep(0.01)


async def come_and_go(server: Server, villain: Villain) -> None:
    """Some of a kind at once; returns when the server is rid of them, without their help."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        for number in range(AT_ONCE):
            nursery.start_soon(villain, server, f"chat:{number}")
    await wait_for_tasks(at_most=tasks)
    while server.streams:
        await server.streams.pop().aclose()


@pytest.mark.trio
@pytest.mark.parametrize("villain", VILLAINS, ids=lambda villain: villain.__name__)
async def test_villains_leave_no_task_no_descriptor_and_no_object(villain: Villain) -> None:
    """The first ones fill what is bounded: the channels' histories, and how connections ended lately."""
    async with running(limits=IMPATIENT if villain is stay_half_open else NARROW) as server:
        await come_and_go(server, villain)
        before = count_leftovers()
        await come_and_go(server, villain)
        assert count_leftovers() == before


def count_sessions() -> int:
    return sum(isinstance(kept, Session) for kept in gc.get_objects())


@pytest.mark.trio
async def test_sessions_go_without_the_collectors_help() -> None:
    async with running() as server:
        gc.collect()
        for _ in range(10):
            await server.subscriber("chat:a", "feed:a")
        await server.publish("chat:a", 1)
        assert count_sessions() == 10
        gc.disable()
        try:
            for stream in server.streams:
                await stream.aclose()
            with trio.fail_after(PATIENCE_SECONDS):
                while count_sessions():
                    await server.get("/healthz")
        finally:
            gc.enable()


@pytest.mark.trio
async def test_session_that_is_saying_goodbye_is_nobody_to_a_backend(server: Server) -> None:
    token = sign(sub="ann")
    leaving, staying = [await server.subscriber("chat:a", token=token) for _ in range(2)]
    await leaving.say({"id": 0})
    assert (await leaving.frame()).opcode == CLOSE
    await server.api("subscribe", user="ann", channel="chat:b")
    assert "subscribe" in await staying.push()
    await server.api("unsubscribe", user="ann", channel="chat:a")
    assert (await staying.push())["unsubscribe"]["code"] == 2000
    assert (await server.api("presence_stats", channel="chat:b"))["result"]["num_clients"] == 1
    await leaving.stream.aclose()
    assert (await server.api("info"))["result"]["nodes"][0]["num_subs"] == 1
