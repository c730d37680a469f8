"""Clients that do harm: what they are allowed, and what they leave to the others."""

import select

import orjson
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from monitor.serve import inbound
from monitor.serve.connection import LINGER_BYTES
from monitor.serve.inbound import FLOOD_FACTOR
from tests.serve.running import Server, running
from tests.serve.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, Client, frame

KERNEL_BYTES = 16_777_216
"""More than the loopback holds between two sockets."""


async def send_until_cut(client: Client, at_most: int) -> bool:
    """Whether the server ended the connection before so many bytes were taken."""
    junk = frame(BINARY, bytes(60_000))
    try:
        for _ in range(0, at_most, len(junk)):
            await client.send(junk)
    except trio.BrokenResourceError:
        return True
    return False


@pytest.fixture
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a stopped clock: who is over the limit at a turn's end waits for time to pass."""
    monkeypatch.setattr(inbound, "SHARE_NS", 60_000_000_000)


@pytest.mark.trio
async def test_flooder_who_was_thrown_out_is_not_read_for_long(
    mock_clock: MockClock, long_turns: None
) -> None:
    """Time stands still: the bound is in bytes."""
    async with running(limits={"commands_per_second": 5}) as server:
        client = await server.client()
        await client.say(*({"id": number, "ping": {}} for number in range(2, 80)))
        while (await client.frame()).opcode != CLOSE:
            pass
        assert await send_until_cut(client, LINGER_BYTES + KERNEL_BYTES)


class Turns(trio.abc.Instrument):
    """Counts the turns that each task had."""

    def __init__(self) -> None:
        self.count: dict[trio.lowlevel.Task, int] = {}

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count[task] = self.count.get(task, 0) + 1

    def most_of_a_session(self) -> int:
        return max(count for task, count in self.count.items() if task.name.endswith("FrontDoor._serve"))


@pytest.mark.trio
@pytest.mark.parametrize("is_one_message", [True, False], ids=["one message", "many frames"])
async def test_what_takes_long_is_done_in_many_turns(is_one_message: bool) -> None:
    commands = [orjson.dumps({"id": number, "ping": {}}) for number in range(2, 2_500)]
    async with running(limits={"commands_per_second": 1_000_000}) as server:
        client = await server.client()
        turns = Turns()
        trio.lowlevel.add_instrument(turns)
        if is_one_message:
            await client.say_raw(b"\n".join(commands))
        else:
            await client.send(b"".join(frame(TEXT, command) for command in commands))
        for _ in commands:
            assert "ping" in await client.document()
        trio.lowlevel.remove_instrument(turns)
    received = 6 if is_one_message else 8
    assert turns.most_of_a_session() > 2 * received


@pytest.mark.trio
@pytest.mark.parametrize(
    "flood",
    [frame(PING, b""), frame(10, b""), frame(CONTINUATION, b"", is_final=False)],
    ids=["pings", "pongs", "empty parts"],
)
async def test_flood_of_frames_without_a_command_is_a_flood(server: Server, flood: bytes) -> None:
    client = await server.client()
    await client.send(frame(TEXT, b"{", is_final=False) + flood * 1_100)
    assert await client.closing() == (3013, "too many requests")
    assert "commands_per_second" in (await server.get("/metrics")).body.decode()


@pytest.mark.trio
async def test_flood_is_closed_however_seldom_it_is_heard(
    jumping_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns of one command, so 20 a second: far from a flood, to who counts by the second."""
    async with running(limits={"commands_per_second": 5}) as server:
        client = await server.client()
        monkeypatch.setattr(inbound, "SHARE_NS", 0)
        await client.send(b"".join(frame(TEXT, b'{"id":%d,"ping":{}}' % number) for number in range(2, 80)))
        answers = [await client.document() for _ in range(4 + FLOOD_FACTOR * 5)]
        assert [answer.get("error", {}).get("code") for answer in answers] == [None] * 4 + [111] * 50
        assert await client.closing() == (3013, "too many requests")


@pytest.mark.trio
async def test_burst_of_thousands_is_closed(jumping_clock: MockClock) -> None:
    """Time stands still while it is worked on: however slow that is, no pong is late."""
    burst = b"".join(frame(TEXT, b'{"id":%d,"ping":{}}' % number) for number in range(2, 3_000))
    async with running() as server:
        client = await server.client()
        await client.send(burst)
        assert await client.closing() == (3013, "too many requests")


@pytest.mark.trio
async def test_message_of_nothing_but_newlines_is_a_flood(server: Server) -> None:
    client = await server.client()
    await client.say_raw(b"\n" * 60_000)
    assert await client.closing() == (3013, "too many requests")


@pytest.mark.trio
async def test_flooder_is_heard_once_in_a_while(mock_clock: MockClock, long_turns: None) -> None:
    """Time stands still: what is beyond the limit is refused in this turn, and not read in the next."""
    async with running(limits={"commands_per_second": 5}) as server:
        client = await server.client()
        await client.say(*({"id": number, "ping": {}} for number in range(2, 9)))
        for _ in range(7):
            await client.document()
        await client.say({"id": 9, "ping": {}})
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.04)
        await trio.testing.wait_all_tasks_blocked()
        assert not select.select([client.stream.socket], [], [], 0)[0]
        mock_clock.jump(0.02)
        assert (await client.document())["id"] == 9


@pytest.mark.trio
async def test_turn_of_a_flood_is_short_however_high_the_limit(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time stands still: what is refused is refused in one turn."""
    limit = 2_000
    async with running(limits={"commands_per_second": limit}) as server:
        client = await server.client()
        monkeypatch.setattr(inbound, "SHARE_NS", 0)
        await client.say(*({"id": number, "ping": {}} for number in range(2, limit + 1)))
        for _ in range(2, limit + 1):
            await client.document()
        await client.say(*({"id": number, "ping": {}} for number in range(1, 1_000)))
        await trio.testing.wait_all_tasks_blocked()
        refused = (await server.get("/metrics")).body.decode()
        assert f'cause="commands_per_second"}} {inbound.HEARD_MAX}.0' in refused
