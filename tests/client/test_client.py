"""The client against a real WebSocket server that says what each test makes it say."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from monitor.client import (
    Client,
    CommandRejected,
    Disconnected,
    LinkState,
    Position,
    Unsubscribed,
    open_client,
)
from monitor.client.client import retry_pauses
from monitor.errors import PeerError

Command = dict[str, Any]
Answer = dict[str, Any] | list[dict[str, Any]] | None
Script = Callable[[Command], Answer]


def result(command: Command, **members: Any) -> dict[str, Any]:
    """The reply to a command: its first method with these members."""
    return {"id": command["id"], next(name for name in command if name != "id"): members}


def refusal(command: Command, code: int, message: str, **more: Any) -> dict[str, Any]:
    return {"id": command["id"], "error": {"code": code, "message": message, **more}}


def push(channel: str, data: Any, **members: Any) -> dict[str, Any]:
    return {"push": {"channel": channel, "pub": {"data": data, **members}}}


def obliging(command: Command) -> Answer:
    if "connect" in command:
        return result(command, client="c1")
    return result(command) if "id" in command else None


@dataclass
class Server:
    """Accepts, keeps every command, and answers by its script."""

    script: Script = obliging
    commands: list[Command] = field(default_factory=list)
    sockets: list[WebSocketConnection] = field(default_factory=list)
    closings: list[int] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: WebSocketRequest) -> None:
        socket = await request.accept()
        self.sockets.append(socket)
        try:
            while True:
                for line in str(await socket.get_message()).split("\n"):
                    await self._answer(socket, orjson.loads(line))
        except ConnectionClosed as closed:
            self.closings.append(closed.reason.code if closed.reason else 0)

    async def _answer(self, socket: WebSocketConnection, command: Command) -> None:
        self.commands.append(command)
        answer = self.script(command)
        if answer is not None:
            await self.say(*(answer if isinstance(answer, list) else [answer]), socket=socket)

    async def say(self, *documents: dict[str, Any], socket: WebSocketConnection | None = None) -> None:
        frame = b"\n".join(orjson.dumps(document) for document in documents)
        await (socket or self.sockets[-1]).send_message(frame.decode())

    def sent(self, method: str) -> list[dict[str, Any]]:
        return [command[method] for command in self.commands if method in command]


@asynccontextmanager
async def serving(script: Script = obliging) -> AsyncIterator[Server]:
    server = Server(script)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(serve_websocket, server.handle, "127.0.0.1", 0, None)
        server.url = f"http://127.0.0.1:{listening.port}"
        yield server
        nursery.cancel_scope.cancel()


async def until(claim: Callable[[], object]) -> None:
    with trio.fail_after(10):
        while not claim():  # noqa: ASYNC110 - the other side has no event to wait for
            await trio.sleep(0.001)


async def state(client: Client, wanted: LinkState) -> None:
    with trio.fail_after(10):
        while client.status.state is not wanted:
            await client.status_after(client.status)


def test_pauses_between_attempts_are_bounded() -> None:
    pauses = [pause for pause, _ in zip(retry_pauses(), range(100), strict=False)]
    assert all(0 <= pause <= 10 for pause in pauses)
    assert pauses[0] <= 0.5


@pytest.mark.trio
async def test_token_and_name_are_said_on_connect() -> None:
    async with serving() as server, open_client(server.url, "secret", "desk") as client:
        await state(client, LinkState.CONNECTED)
        assert server.sent("connect") == [{"name": "desk", "data": {"latency": True}, "token": "secret"}]
        assert client.id == "c1"


@pytest.mark.trio
async def test_publications_follow_the_state_of_the_subscribe_reply() -> None:
    def script(command: Command) -> Answer:
        if "subscribe" in command:
            return [result(command, data={"a": 1}), push("book:x", {"a": 2}, tags={"t": "v"})]
        return obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        subscription = await client.subscribe("book:x")
        assert subscription.data == {"a": 1}
        publication = await anext(subscription)
        assert (publication.data, publication.tags, publication.is_whole) == ({"a": 2}, {"t": "v"}, False)


@pytest.mark.trio
async def test_documents_are_split_at_newlines_only() -> None:
    def script(command: Command) -> Answer:
        text = "line\u2028paragraph\x85next"
        return [result(command), push("a:b", text)] if "subscribe" in command else obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        assert (await anext(await client.subscribe("a:b"))).data == "line\u2028paragraph\x85next"


@pytest.mark.trio
async def test_reader_who_is_behind_keeps_the_newest_and_learns_how_many_went() -> None:
    def script(command: Command) -> Answer:
        if "subscribe" in command:
            return [result(command), *(push("t:all", number) for number in range(10))]
        return obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        subscription = await client.subscribe("t:all", capacity=3)
        await client.rpc("ping")
        kept = [(await anext(subscription)).data for _ in range(3)]
        assert (kept, subscription.dropped) == ([7, 8, 9], 7)


@pytest.mark.trio
async def test_reader_who_never_reads_does_not_stop_replies_and_pongs() -> None:
    def script(command: Command) -> Answer:
        if "connect" in command:
            return result(command, ping=25, pong=True)
        if "subscribe" in command:
            return [result(command), *(push("t:all", "x" * 500) for _ in range(2_000)), {}]
        return obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        await client.subscribe("t:all", capacity=1)
        await client.rpc("still there")
        assert {} in server.commands


@pytest.mark.trio
async def test_pings_stay_unanswered_where_the_server_wants_no_pong() -> None:
    def script(command: Command) -> Answer:
        return [obliging(command), {}] if "connect" in command else obliging(command)  # type: ignore[list-item]

    async with serving(script) as server, open_client(server.url) as client:
        await client.rpc("first")
        await client.rpc("second")
        assert {} not in server.commands


@pytest.mark.trio
async def test_refused_command_says_code_and_message() -> None:
    def script(command: Command) -> Answer:
        return refusal(command, 103, "permission denied") if "publish" in command else obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        with pytest.raises(CommandRejected, match=r"publish orders:a was refused.*103") as raised:
            await client.publish("orders:a", {"n": 1})
        assert (raised.value.code, raised.value.message) == (103, "permission denied")


@pytest.mark.trio
async def test_commands_carry_their_parameters_and_return_their_results() -> None:
    def script(command: Command) -> Answer:
        if "history" in command:
            return result(command, publications=[{"data": 1, "offset": 7}], offset=9, epoch="e")
        if "presence" in command:
            return result(command, presence={"c1": {"user": "u", "client": "c1"}})
        if "rpc" in command:
            return result(command, data={"rows": []})
        return obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        history = await client.history("t:a", 5, since=Position(3, "e"))
        assert [publication.offset for publication in history.publications] == [7]
        assert history.position == Position(9, "e")
        assert list(await client.presence("t:a")) == ["c1"]
        assert await client.rpc("ops.connections", {"limit": 1}) == {"rows": []}
        assert server.sent("history")[0]["since"] == {"offset": 3, "epoch": "e"}
        assert server.sent("rpc") == [{"method": "ops.connections", "data": {"limit": 1}}]


@pytest.mark.trio
async def test_lost_connection_is_made_again_and_recovers_from_the_last_position() -> None:
    def script(command: Command) -> Answer:
        if "subscribe" not in command:
            return obliging(command)
        if "recover" in command["subscribe"]:
            missed = [{"data": "missed", "offset": 6}]
            return result(command, recoverable=True, recovered=True, offset=5, epoch="e", publications=missed)
        return [result(command, recoverable=True, offset=4, epoch="e"), push("o:a", "first", offset=5)]

    async with serving(script) as server, open_client(server.url) as client:
        subscription = await client.subscribe("o:a")
        assert (await anext(subscription)).data == "first"
        await server.sockets[0].aclose(3001, "shutdown")
        assert (await anext(subscription)).data == "missed"
        asked = server.sent("subscribe")[1]
        assert (asked["recover"], asked["offset"], asked["epoch"]) == (True, 5, "e")
        assert subscription.position == Position(6, "e")


@pytest.mark.trio
async def test_state_after_a_reconnect_without_recovery_is_marked_whole() -> None:
    def script(command: Command) -> Answer:
        return result(command, data={"a": 1}) if "subscribe" in command else obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        subscription = await client.subscribe("book:x")
        await server.sockets[0].aclose(3001, "shutdown")
        publication = await anext(subscription)
        assert (publication.data, publication.is_whole) == ({"a": 1}, True)


@pytest.mark.trio
async def test_what_could_not_be_recovered_is_said() -> None:
    def script(command: Command) -> Answer:
        if "subscribe" not in command:
            return obliging(command)
        return result(command, recoverable=True, offset=4, epoch=str(command["id"]))

    async with serving(script) as server, open_client(server.url) as client:
        subscription = await client.subscribe("o:a")
        await server.sockets[0].aclose(3001, "shutdown")
        publication = await anext(subscription)
        assert (publication.is_whole, publication.follows_gap) == (True, True)
        assert not subscription.recovered


@pytest.mark.trio
async def test_why_the_link_is_down_can_be_watched() -> None:
    async with serving() as server, open_client(server.url) as client:
        await state(client, LinkState.CONNECTED)
        connected = client.status
        await server.sockets[0].aclose(3001, "shutdown")
        lost = await client.status_after(connected)
        assert (lost.state, lost.reason, lost.code) == (LinkState.CONNECTING, "shutdown", 3001)
        await state(client, LinkState.CONNECTED)


@pytest.mark.trio
async def test_server_that_is_not_there_is_told_of_once_while_the_client_tries(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server:
        gone = server.url
    async with open_client(gone) as client:
        await until(lambda: client.status.failures > 1)
    [warning] = caplog.messages
    assert warning.startswith(f"{client.url}: nothing listens at ")
    assert warning.endswith("; trying again")


@pytest.mark.trio
async def test_outage_is_told_of_once_whatever_its_reasons_and_the_next_one_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusals = ["busy", "busier"]

    def script(command: Command) -> Answer:
        return refusal(command, 100, refusals.pop(0), temporary=True) if refusals else obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        await state(client, LinkState.CONNECTED)
        await server.sockets[-1].aclose(3001, "shutdown")
        await until(lambda: len(caplog.messages) > 1)
        await state(client, LinkState.CONNECTED)
    assert caplog.messages == [f"{client.url}: {why}; trying again" for why in ("busy", "shutdown")]


@pytest.mark.trio
@pytest.mark.parametrize("code", [3500, 3999, 4500, 1009])
async def test_terminal_close_codes_stop_the_client(code: int) -> None:
    async with serving() as server, open_client(server.url) as client:
        subscription = await client.subscribe("a:b")
        await server.sockets[0].aclose(code, "go away")
        with pytest.raises(Disconnected, match="go away"):
            await anext(subscription)
        assert client.status.state is LinkState.DISCONNECTED
        with pytest.raises(Disconnected, match="go away"):
            await client.rpc("anything")


@pytest.mark.trio
async def test_refused_connect_is_final_unless_temporary() -> None:
    answers = iter([(100, {"temporary": True}), (109, {})])

    def script(command: Command) -> Answer:
        code, more = next(answers)
        return refusal(command, code, "no", **more)

    async with serving(script) as server, open_client(server.url) as client:
        with pytest.raises(Disconnected):
            await client.subscribe("a:b")
        assert (len(server.sent("connect")), client.status.code) == (2, 109)


@pytest.mark.trio
async def test_without_reconnect_the_first_failure_is_final() -> None:
    async with open_client("http://127.0.0.1:1", reconnect=False) as client:
        with pytest.raises(Disconnected, match=r"127\.0\.0\.1:1"):
            await client.publish("a:b", 1)


@pytest.mark.trio
async def test_what_the_block_raises_is_not_wrapped() -> None:
    async with serving() as server:
        with pytest.raises(KeyError, match="mine"):
            async with open_client(server.url):
                raise KeyError("mine")


@pytest.mark.trio
async def test_command_whose_connection_is_lost_fails_at_once() -> None:
    def script(command: Command) -> Answer:
        return None if "rpc" in command else obliging(command)

    async with serving(script) as server, open_client(server.url) as client, trio.open_nursery() as nursery:
        await state(client, LinkState.CONNECTED)

        async def ask() -> None:
            with pytest.raises(Disconnected, match="shutdown"):
                await client.rpc("slow")

        nursery.start_soon(ask)
        await until(lambda: server.sent("rpc"))
        await server.sockets[0].aclose(3001, "shutdown")


@pytest.mark.trio
async def test_temporary_refusal_of_a_subscription_is_tried_again() -> None:
    answers = iter([111, 0])

    def script(command: Command) -> Answer:
        if "subscribe" in command and next(answers):
            return refusal(command, 111, "too many requests", temporary=True)
        return obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        await client.subscribe("a:b")
        assert len(server.sent("subscribe")) == 2


@pytest.mark.trio
async def test_server_ends_a_subscription_or_asks_for_it_again_by_code() -> None:
    async with serving() as server, open_client(server.url) as client:
        subscription = await client.subscribe("a:b")
        await server.say({"push": {"channel": "a:b", "unsubscribe": {"code": 2500, "reason": "position"}}})
        assert (await anext(subscription)).is_whole
        await server.say({"push": {"channel": "a:b", "unsubscribe": {"code": 2000, "reason": "server"}}})
        with pytest.raises(Unsubscribed, match="a:b: server"):
            await anext(subscription)
        await client.subscribe("a:b")
        assert len(server.sent("subscribe")) == 3


@pytest.mark.trio
async def test_unsubscribed_channel_ends_its_iteration_and_is_not_entered_again() -> None:
    async with serving() as server, open_client(server.url) as client:
        subscription = await client.subscribe("a:b")
        await client.unsubscribe("a:b")
        assert [publication async for publication in subscription] == []
        connected = client.status
        await server.sockets[0].aclose(3001, "shutdown")
        await client.status_after(connected)
        await client.rpc("again")
        assert (server.sent("unsubscribe"), len(server.sent("subscribe"))) == ([{"channel": "a:b"}], 1)


@pytest.mark.trio
async def test_second_subscription_to_a_channel_is_refused_here() -> None:
    async with serving() as server, open_client(server.url) as client:
        await client.subscribe("a:b")
        with pytest.raises(PeerError, match="already subscribed to a:b"):
            await client.subscribe("a:b")


@pytest.mark.trio
async def test_subscription_that_was_left_while_it_was_refused_is_not_asked_for_again(
    mock_clock: MockClock,
) -> None:
    def script(command: Command) -> Answer:
        if "subscribe" in command:
            return refusal(command, 111, "too many requests", temporary=True)
        return obliging(command)

    async with serving(script) as server, open_client(server.url) as client, trio.open_nursery() as nursery:
        await client.rpc("connected")
        nursery.start_soon(client.subscribe, "a:b")
        while not server.sent("subscribe"):
            await client.rpc("refused")
        await client.unsubscribe("a:b")
        mock_clock.jump(1)
        for _ in range(3):
            await client.rpc("later")
        assert len(server.sent("subscribe")) == 1


@pytest.mark.trio
async def test_what_still_comes_of_a_cancelled_subscribe_is_not_the_next_ones() -> None:
    held: list[Command] = []

    def script(command: Command) -> Answer:
        if "subscribe" in command:
            held.append(command)
            return None
        return obliging(command)

    async def subscribe(client: Client) -> None:
        subscription = await client.subscribe("a:b")
        assert (await anext(subscription)).data == "new"

    async with serving(script) as server, open_client(server.url) as client, trio.open_nursery() as nursery:
        async with trio.open_nursery() as first:
            first.start_soon(subscribe, client)
            await until(lambda: held)
            first.cancel_scope.cancel()
        assert server.sent("unsubscribe") == [{"channel": "a:b"}]
        nursery.start_soon(subscribe, client)
        await until(lambda: len(held) == 2)
        moved = {"push": {"channel": "a:b", "unsubscribe": {"code": 2500, "reason": "position"}}}
        await server.say(result(held[0]), push("a:b", "old"), moved, result(held[1]), push("a:b", "new"))
    assert len(held) == 2


@pytest.mark.trio
async def test_many_commands_at_once_share_frames_and_all_get_their_own_reply() -> None:
    def script(command: Command) -> Answer:
        return result(command, data=command["rpc"]["data"]) if "rpc" in command else obliging(command)

    async with serving(script) as server, open_client(server.url) as client, trio.open_nursery() as nursery:
        echoed: dict[int, int] = {}

        async def ask(number: int) -> None:
            echoed[number] = await client.rpc("echo", number)

        for number in range(500):
            nursery.start_soon(ask, number)
    assert echoed == {number: number for number in range(500)}


@pytest.mark.trio
@pytest.mark.parametrize("frame", ["not json", "[1]", '{"id":'])
async def test_garbage_from_the_server_is_a_reason_to_connect_again(frame: str) -> None:
    async with serving() as server, open_client(server.url) as client:
        await state(client, LinkState.CONNECTED)
        connected = client.status
        await server.sockets[0].send_message(frame)
        assert "the server sent" in (await client.status_after(connected)).reason
        await state(client, LinkState.CONNECTED)


@pytest.mark.trio
async def test_silence_beyond_the_ping_interval_ends_the_connection(mock_clock: MockClock) -> None:
    def script(command: Command) -> Answer:
        return result(command, ping=25, pong=True) if "connect" in command else obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        while client.status.state is not LinkState.CONNECTED:
            await client.status_after(client.status)
        await client.rpc("heard")
        connected = client.status
        mock_clock.jump(36)
        assert (await client.status_after(connected)).reason == "nothing heard for 35 s"
        mock_clock.jump(2)


@pytest.mark.trio
async def test_leaving_says_goodbye_also_when_cancelled() -> None:
    async with serving() as server:
        with trio.CancelScope() as scope:
            async with open_client(server.url) as client:
                await client.rpc("here")
                scope.cancel()
                await trio.sleep_forever()
        await until(lambda: server.closings)
        assert server.closings == [1000]
