"""What an operator sees of clients and channels, and what he can do to them."""

import logging
import time
from decimal import Decimal
from typing import Any

import pytest

from monitor.broadcast.ladder import Step
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

BALANCED = ("sent", "merged", "dropped", "pending")


async def operator(server: Server) -> Client:
    return await server.client(sign(KEYS.operator, sub="olga"))


async def ask(caller: Client, method: str, /, **params: Any) -> Any:
    return (await caller.call("rpc", method=method, data=params))["data"]


@pytest.mark.trio
async def test_channels_are_listed_by_what_they_carry(server: Server) -> None:
    await server.subscriber("chat:a", "chat:b")
    await server.subscriber("chat:b")
    for text in ("one", "two"):
        await server.publish("chat:b", text)
    olga = await operator(server)
    report = await ask(olga, "ops.channels", sort="subscribers", descending=True, filter="chat:")
    assert report["total"] == 2
    row = report["rows"][0]
    assert (row["channel"], row["lane"], row["delivery"]) == ("chat:b", "normal", "stream")
    assert (row["subscribers"], row["published"], row["offset"], row["kept"]) == (2, 2, 2, 2)
    assert row["kept_bytes"] > 0
    assert row["epoch"]
    assert row["ledger"] is None


@pytest.mark.trio
async def test_ledger_of_a_channel_is_the_sum_of_its_clients_and_balances(server: Server) -> None:
    clients = [await server.subscriber("chat:a") for _ in range(3)]
    for number in range(5):
        await server.publish("chat:a", number)
    for client in clients:
        for _ in range(5):
            await client.document()
    olga = await operator(server)
    report = await ask(olga, "ops.channels", ledgers=True, sort="offered", descending=True)
    ledger = report["rows"][0]["ledger"]
    assert (report["rows"][0]["channel"], ledger["offered"]) == ("chat:a", 15)
    assert sum(ledger[name] for name in BALANCED) == 15
    assert ledger["sent_bytes"] > 0


@pytest.mark.trio
async def test_page_of_a_connection_tells_how_the_ones_before_ended(server: Server) -> None:
    olga = await operator(server)
    first = await server.client(sign(sub="ann"))
    await ask(olga, "ops.disconnect", client=first.id)
    assert (await first.closing())[0] == 3503
    second = await server.subscriber("chat:a", token=sign(sub="ann"))
    page = await ask(olga, "ops.connection", client=second.id)
    assert (page["row"]["id"], page["row"]["user"]) == (second.id, "ann")
    assert set(page["ledgers"]) == {"chat:a"}
    assert [(close["code"], close["client"]) for close in page["closes"]] == [(3503, first.id)]


@pytest.mark.trio
async def test_page_of_a_connection_that_has_gone_says_how(server: Server) -> None:
    olga = await operator(server)
    client = await server.client(sign(sub="ann"))
    await ask(olga, "ops.disconnect", client=client.id)
    await client.closing()
    page = await ask(olga, "ops.connection", client=client.id)
    assert page["row"] is None
    assert page["closes"][0]["reason"] == "force disconnect"
    assert (await ask(olga, "ops.connection", client="nobody"))["closes"] == []


@pytest.mark.trio
async def test_pinned_client_stays_on_its_step_until_it_is_let_go(server: Server) -> None:
    olga, client = await operator(server), await server.client()
    await ask(olga, "ops.ladder", client=client.id, step=int(Step.SLOW))
    told = (await client.document())["push"]["message"]["data"]["ladder"]
    assert (told["step"], told["name"], told["pinned"]) == (Step.SLOW, "slow", True)
    await ask(olga, "ops.ladder", client=client.id, step=int(Step.FULL))
    assert (await client.document())["push"]["message"]["data"]["ladder"]["step"] == Step.FULL
    await ask(olga, "ops.ladder", client=client.id)
    assert (await ask(client, "me"))["ladder"]["pinned"] is False


@pytest.mark.trio
async def test_what_is_published_still_reaches_a_pinned_client(server: Server) -> None:
    olga, client = await operator(server), await server.subscriber("chat:a")
    await ask(olga, "ops.ladder", client=client.id, step=int(Step.FULL))
    await server.publish("chat:a", "hello")
    assert (await client.document())["push"]["pub"]["data"] == "hello"
    ledger = await ask(olga, "ops.ledger", client=client.id)
    assert (ledger["total"]["offered"], ledger["total"]["sent"]) == (1, 1)


@pytest.mark.trio
async def test_ladder_has_no_step_beyond_the_last(server: Server) -> None:
    olga, client = await operator(server), await server.client()
    assert await olga.refusal("rpc", method="ops.ladder", data={"client": client.id, "step": 6}) == 107
    assert await olga.refusal("rpc", method="ops.ladder", data={"client": "x", "step": 1}) == 107


@pytest.mark.trio
@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("ops.disconnect", {}, "disconnects client"),
        ("ops.ladder", {"step": 5}, "keeps on step snapshots client"),
        ("ops.ladder", {"step": None}, "keeps where its backlog leads client"),
        (
            "ops.limit",
            {"bytes_per_second": 500},
            "allows any number of messages and 500 bytes a second to client",
        ),
    ],
)
async def test_what_an_operator_does_is_logged_with_his_name(
    server: Server, caplog: pytest.LogCaptureFixture, method: str, params: dict[str, Any], words: str
) -> None:
    caplog.set_level(logging.INFO, "lanecast.operators")
    olga, client = await operator(server), await server.client(sign(sub="ann"))
    await ask(olga, method, client=client.id, **params)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "lanecast.operators"]
    assert line.startswith(f"operator 'olga' {words} {client.id} (user 'ann', 127.0.0.1")


@pytest.mark.trio
async def test_books_are_listed_with_their_state_and_since_when() -> None:
    async with running(simulator={"enabled": True}) as market:
        crowd = await market.subscriber("trades:all")
        await crowd.document()  # its book is there before a market's first trade
        olga = await operator(market)
        rows = (await ask(olga, "ops.books", sort="trouble", descending=True))["rows"]
    states = {row["market"]: row for row in rows}
    book = states["sim.BTCUSDT"]
    assert book["status"] == "SYNCED"
    assert min(book["since"], book["time"], book["bids"], book["asks"]) > 0


@pytest.mark.trio
async def test_best_levels_of_a_book_are_shown_the_best_first() -> None:
    async with running(simulator={"enabled": True}) as market:
        crowd = await market.subscriber("trades:all")
        await crowd.document()
        olga = await operator(market)
        book = await ask(olga, "ops.book", market="sim.BTCUSDT")
        assert await olga.refusal("rpc", method="ops.book", data={"market": "sim.NONE"}) == 107
    assert (book["market"], book["status"]) == ("sim.BTCUSDT", "SYNCED")
    bids, asks = ([Decimal(price) for price in book[side]] for side in ("bids", "asks"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert 0 < len(bids) <= 20


@pytest.mark.trio
async def test_accounts_are_those_that_something_was_said_of_the_last_one_first(server: Server) -> None:
    for channel in ("orders:bob", "bots:ann", "orders:ann", "orders:probe-0a1b2c3d"):
        await server.publish(channel, {"note": channel})
    olga = await operator(server)
    await olga.call("subscribe", channel="orders:nobody")
    report = await ask(olga, "ops.accounts", sort="active", descending=True)
    assert (report["total"], [row["account"] for row in report["rows"]]) == (2, ["ann", "bob"])
    ages_ms = [time.time() * 1_000 - row["active"] for row in report["rows"]]
    assert -1_000 < ages_ms[0] <= ages_ms[1] < 60_000
    assert (await ask(olga, "ops.accounts", filter="bo"))["total"] == 1


@pytest.mark.trio
async def test_last_log_lines_are_read_on_from_where_one_was(server: Server) -> None:
    logging.getLogger("lanecast").warning("first")
    olga = await operator(server)
    lines = (await ask(olga, "ops.logs"))["lines"]
    assert (lines[-1]["level"], lines[-1]["message"]) == ("warning", "first")
    logging.getLogger("lanecast.operators").warning("second")
    news = (await ask(olga, "ops.logs", after=lines[-1]["id"]))["lines"]
    assert [(line["logger"], line["message"]) for line in news] == [("lanecast.operators", "second")]


@pytest.mark.trio
@pytest.mark.parametrize("method", ["ops.books", "ops.book", "ops.logs"])
async def test_books_and_logs_are_for_operators(server: Server, method: str) -> None:
    ann = await server.client(sign(sub="ann"))
    assert await ann.refusal("rpc", method=method, data={}) == 103
