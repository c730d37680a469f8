"""A link that is kept, and what goes over it."""

from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from monitor.client import CommandRejected, Disconnected, LinkState, Position, open_client
from monitor.client.client import retry_pauses
from monitor.errors import PeerError
from tests.client.server import Answer, Command, obliging, push, refusal, result, serving, state
from tests.patience import until


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
async def test_a_token_is_asked_for_at_each_attempt_until_there_is_one_that_is_taken() -> None:
    answers: Iterator[str | PeerError] = iter([PeerError("the login is down"), "old", "new", "newer"])

    async def token() -> str:
        answer = next(answers)
        if isinstance(answer, PeerError):
            raise answer
        return answer

    def script(command: Command) -> Answer:
        is_old = command.get("connect", {}).get("token") == "old"
        return refusal(command, 109, "token expired") if is_old else obliging(command)

    async with serving(script) as server, open_client(server.url, token) as client:
        await state(client, LinkState.CONNECTED)
        connected = client.status
        await server.sockets[-1].aclose(3005, "connection expired")
        await client.status_after(connected)
        await state(client, LinkState.CONNECTED)
        assert [hello["token"] for hello in server.sent("connect")] == ["old", "new", "newer"]


@pytest.mark.trio
async def test_a_token_that_is_given_and_has_expired_is_final() -> None:
    def script(command: Command) -> Answer:
        return refusal(command, 109, "token expired")

    async with serving(script) as server, open_client(server.url, "old") as client:
        await state(client, LinkState.DISCONNECTED)
        assert (client.status.code, len(server.sent("connect"))) == (109, 1)


@pytest.mark.trio
async def test_documents_are_split_at_newlines_only() -> None:
    def script(command: Command) -> Answer:
        text = "line\u2028paragraph\x85next"
        return [result(command), push("a:b", text)] if "subscribe" in command else obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        assert (await anext(await client.subscribe("a:b"))).data == "line\u2028paragraph\x85next"


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
