"""Tags filters on real sockets: each subscriber is sent what it asked for, and nothing else counts."""

from typing import Any

import pytest

from monitor.broadcast import recovery
from tests.serve.mirror import Mirror, put, remove, state_of
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

pytestmark = pytest.mark.trio

NAMESPACES: dict[str, Any] = {
    "tape": {"tags_filter": True, "history_size": 50},
    "tick": {"tags_filter": True, "history_size": 50, "gather": True},
    "bag": {"delivery": "map", "history_size": 50, "tags_filter": True},
    "cursor": {"delivery": "map", "key_seconds": 3600, "tags_filter": True},
    "plain": {"delta": True},
}
BUYS = {"key": "side", "cmp": "eq", "val": "buy"}


async def publish(server: Server, *sides: str, channel: str = "tape:a") -> None:
    """Number what is published from 0 on."""
    for number, side in enumerate(sides):
        await server.publish(channel, number, tags={"side": side})


async def filtered(server: Server, channel: str = "tape:a", only: Any = BUYS, **members: Any) -> Client:
    client = await server.client(**members)
    await client.call("subscribe", channel=channel, tf=only)
    return client


async def test_each_is_sent_what_it_asked_for_in_the_same_bytes() -> None:
    async with running(namespaces=NAMESPACES) as server:
        everything = await server.subscriber("tape:a")
        buys = [await filtered(server, extensions=offer) for offer in ("", "permessage-deflate")]
        others = await filtered(server, only={"op": "not", "nodes": [BUYS]})
        await publish(server, "buy", "sell", "buy")
        assert [await everything.publication() for _ in range(3)] == [0, 1, 2]
        whole = everything.frames[-1].payload
        for client in buys:
            pushes = [(await client.push())["pub"] for _ in range(2)]
            assert [(push["data"], push["offset"]) for push in pushes] == [(0, 1), (2, 3)]
        assert buys[0].frames[-1].payload == whole
        assert await others.publication() == 1
        assert not any([await client.kept() for client in (everything, *buys, others)])


async def test_ledger_holds_nothing_of_what_was_filtered_out() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await filtered(server)
        await publish(server, "sell", "buy", "sell", "buy")
        assert [await client.publication() for _ in range(2)] == [1, 3]
        operator = await server.client(sign(KEYS.operator, sub="root"))
        told = await operator.call("rpc", method="ops.ledger", data={"client": client.id})
        ledger = told["data"]["channels"]["tape:a"]
        assert (ledger["offered"], ledger["sent"], ledger["dropped"], ledger["pending"]) == (2, 2, 0, 0)


async def test_of_what_was_gathered_in_a_tick_only_the_wanted_part_is_sent() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await filtered(server, "tick:a")
        await publish(server, *["sell", "buy"] * 10, channel="tick:a")
        assert [await client.publication() for _ in range(10)] == list(range(1, 20, 2))


async def test_who_comes_back_recovers_only_what_it_wants_and_position_goes_on() -> None:
    async with running(namespaces=NAMESPACES) as server:
        await publish(server, "buy", "sell", "sell", "buy", "sell")
        client = await server.client()
        wish = {"channel": "tape:a", "recover": True, "offset": 1, "tf": BUYS}
        result = await client.call("subscribe", **wish)
        assert (result["recovered"], [each["offset"] for each in result["publications"]]) == (True, [4])
        await publish(server, "sell", "buy")
        assert (await client.push())["pub"]["offset"] == 7


async def test_long_filter_recovers_fewer_publications_than_a_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "JUDGED_BYTES", 1_000)
    async with running(namespaces=NAMESPACES) as server:
        await publish(server, *["buy"] * 20)
        long = {"key": "side", "cmp": "in", "vals": ["buy", "x" * 50]}
        for only, since, is_recovered in ((BUYS, 0, True), (long, 0, False), (long, 12, True)):
            client = await server.client()
            wish = {"recover": True, "offset": since, "tf": only}
            result = await client.call("subscribe", channel="tape:a", **wish)
            assert result.get("recovered", False) is is_recovered
            assert len(result.get("publications", [])) == (20 - since if is_recovered else 0)


async def test_changing_the_filter_is_to_subscribe_anew() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await filtered(server)
        await publish(server, "buy")
        assert await client.publication() == 0
        await client.call("unsubscribe", channel="tape:a")
        await client.call("subscribe", channel="tape:a", tf={"key": "side", "cmp": "neq", "val": "buy"})
        await publish(server, "buy", "sell")
        assert await client.publication() == 1


@pytest.mark.parametrize("channel", ["bag:a", "cursor:a"])
async def test_map_is_taken_up_and_followed_through_the_filter(channel: str) -> None:
    async with running(namespaces=NAMESPACES) as server:
        for number in range(6):
            side = "buy" if number % 2 else "sell"
            await put(server, f"k{number}", number, channel, tags={"side": side})
        mirror = Mirror(await server.client(), channel, limit=2, tf=BUYS)
        await mirror.take_up()
        assert mirror.state == {"k1": 1, "k3": 3, "k5": 5}
        await remove(server, "k0", channel)
        await remove(server, "k1", channel)
        await put(server, "k7", 7, channel, tags={"side": "buy"})
        for _ in range(2):
            mirror.apply((await mirror.client.push())["pub"])
        assert mirror.state == {"k3": 3, "k5": 5, "k7": 7}
        assert (await state_of(server, channel)).keys() == {"k2", "k3", "k4", "k5", "k7"}


async def test_map_recovers_through_the_filter() -> None:
    async with running(namespaces=NAMESPACES) as server:
        mirror = Mirror(await server.client(), "bag:a", tf=BUYS)
        live = await mirror.take_up()
        await mirror.client.call("unsubscribe", channel="bag:a")
        for side in ("buy", "sell"):
            await put(server, side, 1, "bag:a", tags={"side": side})
        back = await mirror.come_back({"offset": 0, "epoch": live["epoch"]})
        assert (back["recovered"], back["offset"], mirror.state) == (True, 2, {"buy": 1})


async def test_filters_are_refused_where_they_are_not_allowed_or_make_no_sense() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await server.client()
        for members in (
            {"channel": "plain:a", "tf": BUYS},
            {"channel": "tape:a", "tf": {"key": "side", "cmp": "like", "val": "b"}},
            {"channel": "tape:a", "tf": 7},
            {"channel": "plain:a", "tf": BUYS, "delta": "fossil"},
            {"channel": "bag:a", "type": 1, "phase": 2, "tf": {}},
        ):
            assert await client.refusal("subscribe", **members) == 107, members
        await client.call("subscribe", channel="tape:a", tf=BUYS)
