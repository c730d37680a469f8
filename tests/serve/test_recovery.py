"""A client that comes back with its position: all that it missed, in order, or told that it can't be had."""

from typing import Any

import pytest
import trio

from monitor.serve.commands import CLIENT_HISTORY_LIMIT
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

pytestmark = pytest.mark.trio


async def position(client: Client, channel: str) -> dict[str, Any]:
    """Where the channel is now, as a client says it when it comes back."""
    kept = await client.call("history", channel=channel)
    return {"recover": True, "offset": kept["offset"], "epoch": kept["epoch"]}


def numbers(result: dict[str, Any]) -> list[Any]:
    return [publication["data"] for publication in result.get("publications", ())]


async def test_who_comes_back_gets_what_was_missed_and_then_what_comes(server: Server) -> None:
    first = await server.subscriber("chat:a")
    await server.publish("chat:a", 0)
    since = await position(first, "chat:a")
    await first.stream.aclose()
    for number in range(1, 4):
        await server.publish("chat:a", number)
    again = await server.client()
    result = await again.call("subscribe", channel="chat:a", **since)
    assert (result["was_recovering"], result["recovered"]) == (True, True)
    assert (result["offset"], result["epoch"]) == (since["offset"], since["epoch"])
    assert [publication["offset"] for publication in result["publications"]] == [2, 3, 4]
    assert numbers(result) == [1, 2, 3]
    await server.publish("chat:a", 4)
    assert await again.push() == {"channel": "chat:a", "pub": {"data": 4, "offset": 5}}


async def test_gathered_publications_are_recovered_and_not_sent_again(server: Server) -> None:
    client = await server.subscriber("feed:a")
    since = await position(client, "feed:a")
    await client.call("unsubscribe", channel="feed:a")
    other = await server.subscriber("feed:a")
    for number in range(3):
        await server.publish("feed:a", number)
    result = await client.call("subscribe", channel="feed:a", **since)
    assert numbers(result) == [0, 1, 2]
    await server.publish("feed:a", 3)
    assert await client.publication() == 3
    assert [await other.publication() for _ in range(4)] == [0, 1, 2, 3]


async def test_who_missed_nothing_is_recovered_with_nothing(server: Server) -> None:
    client = await server.subscriber("chat:a")
    since = await position(client, "chat:a")
    await client.call("unsubscribe", channel="chat:a")
    result = await client.call("subscribe", channel="chat:a", **since)
    assert (result["recovered"], numbers(result)) == (True, [])


async def test_an_empty_stream_keeps_its_epoch_while_nobody_watches(server: Server) -> None:
    client = await server.client()
    since = await client.call("subscribe", channel="chat:quiet")
    await client.call("unsubscribe", channel="chat:quiet")
    await server.publish("chat:quiet", 1)
    result = await client.call("subscribe", channel="chat:quiet", recover=True, epoch=since["epoch"])
    assert numbers(result) == [1]


async def test_what_is_no_longer_kept_is_not_recovered_and_no_part_of_it_sent(server: Server) -> None:
    client = await server.client()
    await server.publish("chat:a", 0)
    since = await position(client, "chat:a")
    for number in range(11):
        await server.publish("chat:a", number)
    for change in ({}, {"epoch": "_", "offset": 0}, {"offset": 99}):
        result = await client.call("subscribe", channel="chat:a", **since | change)
        assert result["was_recovering"]
        assert not {"recovered", "publications"} & set(result)
        assert result["offset"] == 12
        await client.call("unsubscribe", channel="chat:a")


async def test_no_epoch_is_any_and_no_offset_the_beginning(server: Server) -> None:
    client = await server.client()
    for number in range(3):
        await server.publish("chat:a", number)
    assert numbers(await client.call("subscribe", channel="chat:a", recover=True)) == [0, 1, 2]


async def test_removed_history_is_not_recovered_but_its_top_is(server: Server) -> None:
    client = await server.client()
    for number in range(3):
        await server.publish("chat:a", number)
    since = await position(client, "chat:a")
    await server.api("history_remove", channel="chat:a")
    assert "recovered" not in await client.call("subscribe", channel="chat:a", **since | {"offset": 2})
    await client.call("unsubscribe", channel="chat:a")
    assert (await client.call("subscribe", channel="chat:a", **since))["recovered"]


async def test_who_would_rather_be_refused_is_and_is_no_subscriber(server: Server) -> None:
    client = await server.client()
    strict = {"recover": True, "epoch": "_", "flag": 3}
    assert await client.refusal("subscribe", channel="chat:a", **strict) == 112
    await server.publish("chat:a", 1)
    assert await client.kept() == []
    assert numbers(await client.call("subscribe", channel="chat:a", **strict | {"epoch": ""})) == [1]


async def test_however_many_are_kept_all_that_was_missed_is_recovered(server: Server) -> None:
    client = await server.client()
    for number in range(CLIENT_HISTORY_LIMIT + 1):
        await server.publish("feed:a", number)
    result = await client.call("subscribe", channel="feed:a", recover=True)
    assert numbers(result) == list(range(CLIENT_HISTORY_LIMIT + 1))


async def test_more_bytes_than_fit_beside_what_waits_are_not_recovered_at_once() -> None:
    async with running(limits={"outbox_bytes": 65_536}) as server:
        client = await server.client()
        for _ in range(7):
            await server.publish("chat:a", "x" * 20_000)
        assert "recovered" not in await client.call("subscribe", channel="chat:a", recover=True)
        await client.call("unsubscribe", channel="chat:a")
        assert (await client.call("subscribe", channel="chat:a", recover=True, offset=1))["recovered"]


async def test_state_is_always_given_whole(server: Server) -> None:
    async with running(namespaces={"levels": {"delivery": "state", "history_size": 10}}) as server:
        client = await server.client()
        await server.publish("levels:a", {"bids": {"1": "2"}})
        result = await client.call("subscribe", channel="levels:a", recover=True)
        assert result == {"was_recovering": True, "data": {"bids": {"1": "2"}}}


@pytest.mark.parametrize("size", [0, 5])
async def test_of_the_latest_the_newest_is_recovered(size: int) -> None:
    async with running(namespaces={"price": {"delivery": "latest", "history_size": size}}) as server:
        client = await server.client()
        since = {"recover": True} | await client.call("subscribe", channel="price:a")
        await client.call("unsubscribe", channel="price:a")
        for number in range(3):
            await server.publish("price:a", number)
        result = await client.call("subscribe", channel="price:a", **since)
        assert (result["recovered"], numbers(result), "data" in result) == (True, [2], False)
        await client.call("unsubscribe", channel="price:a")
        anew = await client.call("subscribe", channel="price:a")
        assert (anew["data"], "recovered" in anew) == (2, False)
        assert (anew["recoverable"], anew.get("offset", 0)) == (True, 3 if size else 0)
        await client.call("unsubscribe", channel="price:a")
        again = await client.call("subscribe", channel="price:a", recover=True, **anew)
        assert (again["recovered"], numbers(again)) == (True, [] if size else [2])


async def test_the_newest_state_of_a_market_is_recovered() -> None:
    async with running(simulator={"enabled": True, "rate": 200, "seed": 7}) as server:
        client = await server.client()
        result = await client.call("subscribe", channel="ticker:sim.BTCUSDT", recover=True, epoch="_")
        assert result["recovered"]
        assert [ticker["market"] for ticker in numbers(result)] == ["sim.BTCUSDT"]


async def test_server_side_subscriptions_are_recovered_with_the_connect(server: Server) -> None:
    token = sign(sub="ann", channels=["chat:a", "chat:b"])
    first = await server.client(token)
    since = await position(first, "chat:a")
    await first.stream.aclose()
    await server.publish("chat:a", 1)
    await server.publish("chat:b", 2)
    again = await server.upgraded()
    result = await again.connect(token=token, subs={"chat:a": since, "chat:c": since})
    assert set(result["subs"]) == {"chat:a", "chat:b"}
    assert numbers(result["subs"]["chat:a"]) == [1]
    assert "was_recovering" not in result["subs"]["chat:b"]
    await server.publish("chat:a", 3)
    assert await again.publication() == 3


async def test_backend_subscribes_a_user_from_a_position(server: Server) -> None:
    ann = await server.client(sign(sub="ann"))
    for number in range(3):
        await server.publish("chat:a", number)
    since = {"offset": 1, "epoch": (await position(ann, "chat:a"))["epoch"]}
    await server.api("subscribe", channel="chat:a", user="ann", recover_since=since)
    told = (await ann.push())["subscribe"]
    assert (told["offset"], told["recovered"]) == (1, True)
    assert [await ann.publication(), await ann.publication()] == [1, 2]


async def test_what_is_offered_again_is_in_the_ledger(server: Server) -> None:
    operator = await server.client(sign(KEYS.operator, sub="root"))
    client = await server.client()
    for number in range(3):
        await server.publish("chat:a", number)
    await client.call("subscribe", channel="chat:a", recover=True, offset=1)
    await server.publish("chat:a", 3)
    await client.publication()
    ledger = (await operator.call("rpc", method="ops.ledger", data={"client": client.id}))["data"]
    row = ledger["channels"]["chat:a"]
    assert (row["offered"], row["sent"], row["resent"], row["pending"]) == (3, 3, 2, 0)
    assert ledger["total"]["resent"] == 2
    me = (await client.call("rpc", method="me"))["data"]
    assert (me["sent"], me["resent"]) == (3, 2)


async def test_what_comes_while_a_recovery_waits_in_the_outbox_follows_it() -> None:
    """The outbox is so large that what waits, 10 MB, is no step of the ladder: nothing is told of one."""
    async with running(limits={"outbox_bytes": 268_435_456}) as server:
        client = await server.client()
        for number in range(4):
            await server.publish("chat:a", str(number) * 40_000)
        fillers = [{"id": number, "history": {"channel": "chat:a", "limit": -1}} for number in range(10, 70)]
        await client.say(*fillers, {"id": 99, "subscribe": {"channel": "chat:a", "recover": True}})
        while not (await server.api("presence", channel="chat:a"))["result"]["presence"]:
            await trio.lowlevel.checkpoint()
        for number in range(4, 7):
            await server.publish("chat:a", number)
        assert [(await client.document())["id"] for _ in fillers] == list(range(10, 70))
        result = (await client.document())["subscribe"]
        assert [data[0] for data in numbers(result)] == list("0123")
        assert [await client.publication() for _ in range(3)] == [4, 5, 6]
