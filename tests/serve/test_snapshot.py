"""A subscriber to state starts from the whole of it, and changes alone keep it whole."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from tests.serve.running import KEYS, RECOVERABLE, Server, running, sign
from tests.serve.wire import Client

BOOK = "book:sim.BTCUSDT"
SIMULATOR = {"enabled": True, "rate": 200, "seed": 7}
QUICK = {name: {"interval_ms": 20} for name in ("book", "market:hot", "market:analytics", "market:sparkline")}
STATES = {
    "market:hot",
    "market:sparkline",
    "market:analytics.hour",
    "market:analytics.day",
}
"""Their subscribers start from the whole, always."""
OFFER = "permessage-deflate"


@pytest.fixture
async def simulated() -> AsyncIterator[Server]:
    async with running(simulator=SIMULATOR, namespaces=QUICK) as server:
        yield server


async def next_change(client: Client, channel: str) -> dict[str, Any]:
    """The next publication's data on a channel, answering pings meanwhile."""
    while True:
        document = await client.document()
        if document == {}:
            await client.say({})
        elif document["push"]["channel"] == channel:
            data: dict[str, Any] = document["push"]["pub"]["data"]
            return data


def patched(whole: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The rule of ARCHITECTURE.md, written down once more."""
    result = dict(whole)
    for name, section in patch.items():
        if isinstance(section, dict) and isinstance(whole.get(name), dict):
            merged = whole[name] | section
            result[name] = {key: value for key, value in merged.items() if value is not None}
        else:
            result[name] = section
    return result


@pytest.mark.trio
async def test_book_starts_whole_and_its_changes_keep_it_so(simulated: Server) -> None:
    early = await simulated.client()
    book = (await early.call("subscribe", channel=BOOK))["data"]
    assert book["status"] == "SYNCED"
    assert 0 < len(book["bids"]) <= 50
    assert 0 < len(book["asks"]) <= 50
    for _ in range(20):
        book = patched(book, await next_change(early, BOOK))
    late = await simulated.client(extensions=OFFER)
    whole = (await late.call("subscribe", channel=BOOK))["data"]
    states = [book]
    for document in await early.kept():
        states.append(patched(states[-1], document["push"]["pub"]["data"]))
    assert whole in states
    assert max(map(float, whole["bids"])) < min(map(float, whole["asks"]))
    assert list(map(float, whole["asks"])) == sorted(map(float, whole["asks"]))


@pytest.mark.trio
@pytest.mark.parametrize(
    ("channel", "sections"),
    [
        ("orders:paper", {"orders", "fills"}),
        ("bots:paper", {"bots"}),
        ("market:hot", {"time", "markets", "titles", "points"}),
        ("market:sparkline", {"points"}),
        ("market:analytics.hour", {"bucket_seconds", "buckets"}),
        ("market:analytics.day", {"bucket_seconds", "buckets"}),
        (
            "ticker:sim.BTCUSDT",
            {"market", "bid", "bid_size", "ask", "ask_size", "last", "volume", "time"},
        ),
    ],
)
async def test_subscriber_gets_the_state_at_once_and_changes_later(
    simulated: Server, channel: str, sections: set[str]
) -> None:
    client = await simulated.client()
    result = await client.call("subscribe", channel=channel)
    assert set(result) - RECOVERABLE - {"offset"} == {"data"}
    assert (channel in STATES) == (not set(result) & RECOVERABLE)
    assert set(result["data"]) == sections
    assert await next_change(client, channel)


@pytest.mark.trio
async def test_trades_are_a_stream_whose_last_ones_are_kept(simulated: Server) -> None:
    client = await simulated.client()
    result = await client.call("subscribe", channel="trades:all")
    assert set(result) == {*RECOVERABLE, "offset"}
    trade = await next_change(client, "trades:all")
    assert set(trade) == {"market", "price", "size", "side", "time"}
    kept = (await client.call("history", channel="trades:all", limit=-1))["publications"]
    assert trade in [publication["data"] for publication in kept]


@pytest.mark.trio
async def test_demonstration_account_is_open_to_all_but_not_where_a_venue_is_real(simulated: Server) -> None:
    stranger = await simulated.client(sign(sub="ann"))
    assert await stranger.refusal("subscribe", channel="orders:paper") == 0
    async with running() as server:
        client = await server.client(sign(sub="ann"))
        assert await client.refusal("subscribe", channel="orders:paper") == 103


@pytest.mark.trio
async def test_operator_sees_the_health_of_the_server(simulated: Server) -> None:
    operator = await simulated.client(sign(KEYS.operator, sub="root"))
    for channel, member in (("ops:health", "lanes"), ("ops:alerts", "alerts"), ("ops:feeds", "feeds")):
        result = await operator.call("subscribe", channel=channel)
        seen = result.get("data") or await next_change(operator, channel)
        assert member in seen


@pytest.mark.trio
async def test_order_fill_is_the_same_bytes_for_all(simulated: Server) -> None:
    early, late = [await simulated.subscriber("orders:paper") for _ in range(2)]
    told = await next_fill(late)
    while (before := await next_fill(early)) != told:
        assert offset_of(before) < offset_of(told)


def offset_of(document: bytes) -> int:
    offset: int = orjson.loads(document)["push"]["pub"]["offset"]
    return offset


async def next_fill(client: Client) -> bytes:
    while b'"type":"order_fill"' not in (document := await client.raw_document()):
        if orjson.loads(document) == {}:
            await client.say({})
    return document


@pytest.mark.trio
async def test_what_a_backend_publishes_of_an_account_is_in_the_next_ones_snapshot(server: Server) -> None:
    deal = {"market": "my.X", "side": "buy", "price": "1.5", "size": "1"}
    fill = {"type": "order_fill", **deal, "fill": "f1", "time": 1_795_219_200_000}
    order = {"type": "order_update", **deal, "order": "7", "status": "NEW"}
    first = await server.publish("orders:ann", fill)
    assert await server.publish("orders:ann", fill | {"price": "2"}) == first
    await server.publish("orders:ann", order)
    await server.publish("bots:ann", {"type": "bot_status", "bot": "b", "status": "active"})
    client = await server.client(token=sign(sub="ann"))
    assert (await client.call("subscribe", channel="orders:ann"))["data"] == {
        "orders": [order],
        "fills": [fill],
    }
    bots = (await client.call("subscribe", channel="bots:ann"))["data"]["bots"]
    assert bots["b"]["status"] == "active"
