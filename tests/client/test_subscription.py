"""One channel seen from the client: what its reader gets, and what it hears of its end."""

import pytest
import trio
from trio.testing import MockClock

from monitor.client import Client, Unsubscribed, open_client
from monitor.errors import PeerError
from tests.client.server import Answer, Command, obliging, push, refusal, result, serving
from tests.patience import until


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
async def test_reader_who_is_behind_keeps_the_newest_and_learns_how_many_went() -> None:
    def script(command: Command) -> Answer:
        if "subscribe" in command:
            return [result(command), *(push("t:all", number) for number in range(10))]
        return obliging(command)

    async with serving(script) as server, open_client(server.url) as client:
        subscription = await client.subscribe("t:all", capacity=3)
        await client.rpc("ping")
        kept = [await anext(subscription) for _ in range(3)]
        assert ([publication.data for publication in kept], subscription.dropped) == ([7, 8, 9], 7)
        assert [publication.follows_gap for publication in kept] == [True, False, False]


@pytest.mark.trio
async def test_all_that_is_recovered_reaches_the_reader_however_much_it_is() -> None:
    recovered = [{"data": number, "offset": number} for number in range(6, 16)]

    def script(command: Command) -> Answer:
        if "subscribe" not in command:
            return obliging(command)
        if "recover" not in command["subscribe"]:
            return result(command, recoverable=True, offset=5, epoch="e")
        back = {"recoverable": True, "recovered": True, "offset": 15, "epoch": "e"}
        return [result(command, **back, publications=recovered), push("o:a", 16)]

    async with serving(script) as server, open_client(server.url) as client:
        subscription = await client.subscribe("o:a", capacity=3)
        await server.sockets[0].aclose(3001, "shutdown")
        with trio.fail_after(10):
            read = [await anext(subscription) for _ in range(11)]
        assert [publication.data for publication in read] == list(range(6, 17))
        assert (any(publication.follows_gap for publication in read), subscription.dropped) == (False, 0)


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
