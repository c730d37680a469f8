"""A client that reads slowly is given less in steps, is told, loses no fill, and gets all back."""

import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import trio

from monitor.broadcast import ladder
from monitor.broadcast.ladder import Step
from monitor.broadcast.watch import JUDGE_SECONDS
from monitor.serve import session
from tests.patience import PATIENCE_SECONDS
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import CLOSE, Client
from tests.tui.reports import fill

BOOK, FILLS, TRADES = "book:sim.BTCUSDT", "orders:paper", "trades:all"
OUTBOX_BYTES = 4_000_000
CHUNK = "x" * 10_000
QUICK = {"book": {"interval_ms": 20}, "ticker": {"interval_ms": 20}}


@pytest.fixture
async def simulated() -> AsyncIterator[Server]:
    async with running(
        simulator={"enabled": True, "rate": 20, "seed": 7},
        namespaces=QUICK,
        limits={"outbox_bytes": OUTBOX_BYTES, "write_seconds": 600, "ping_seconds": 3_000},
    ) as server:
        yield server


async def ladder_of(server: Server, client: Client) -> dict[str, Any]:
    """How a client stands, as an operator sees it."""
    witness = await server.client(sign(KEYS.operator, sub="operator"))
    rows = (await witness.call("rpc", method="ops.connections", data={"filter": client.id}))["data"]["rows"]
    standing: dict[str, Any] = rows[0]["ladder"]
    return standing


async def stall(server: Server, client: Client, step: Step) -> None:
    """Keep the backlog of a client that doesn't read just above a step's mark, until it stands on it."""
    mark = ladder.ENTER_SHARE[step] * OUTBOX_BYTES
    chunk = {"publish": {"channel": TRADES, "data": CHUNK}}
    while (standing := await ladder_of(server, client))["step"] < step:
        missing = int(mark - standing["backlog_bytes"]) // len(CHUNK) + 1
        await server.api("batch", commands=[chunk] * min(50, max(0, missing)))


async def read_to_step(client: Client, seen: dict[str, list[Any]], step: Step) -> None:
    """Read, subscribing again where told to, until the client is told that it stands on a step."""
    while True:
        document = await client.document()
        if document == {}:
            await client.say({})
            continue
        push = document.get("push", {})
        if "message" in push:
            seen["steps"].append(push["message"]["data"]["ladder"]["name"])
            if push["message"]["data"]["ladder"]["step"] == step:
                return
        elif "unsubscribe" in push:
            assert push["unsubscribe"]["code"] == 2500
            whole = (await client.call("subscribe", channel=push["channel"]))["data"]
            seen["books"].append(max(len(whole["bids"]), len(whole["asks"])))
        elif push.get("channel") == FILLS:
            seen["fills"].append(push["pub"]["data"])


@pytest.mark.trio
async def test_a_slow_reader_goes_up_and_down_the_ladder_and_gets_every_fill(
    simulated: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "DOWN_SECONDS", 0.3)
    client = await simulated.subscriber(BOOK, TRADES, FILLS)
    await stall(simulated, client, Step.BOOK_5)
    for number in range(20):
        await simulated.publish(FILLS, {"type": "order_fill", **fill(fill=f"mine-{number}")})
    seen: dict[str, list[Any]] = {"steps": [], "books": [], "fills": []}
    await read_to_step(client, seen, Step.FULL)
    assert seen["steps"][:3] == ["merge", "book_20", "book_5"]
    assert seen["steps"][-3:] == ["book_20", "merge", "full"]
    assert 5 in seen["books"]
    assert seen["books"][-1] > 20
    mine = [fill["fill"] for fill in seen["fills"] if str(fill.get("fill", "")).startswith("mine-")]
    assert mine == [f"mine-{number}" for number in range(20)]


@pytest.mark.trio
async def test_on_the_last_step_market_streams_are_dropped_by_name(simulated: Server) -> None:
    client = await simulated.subscriber(TRADES)
    await stall(simulated, client, Step.SNAPSHOTS)
    await simulated.publish(TRADES, CHUNK)
    metrics = (await simulated.get("/metrics")).body.decode()
    dropped = next(line for line in metrics.splitlines() if 'dropped_total{reason="ladder"}' in line)
    assert float(dropped.split()[-1]) > 0
    standing = await ladder_of(simulated, client)
    assert (standing["step"], standing["name"]) == (5, "snapshots")
    assert standing["since"] > 0


@pytest.mark.trio
async def test_a_client_learns_its_own_step(simulated: Server) -> None:
    client = await simulated.subscriber(TRADES)
    mine = (await client.call("rpc", method="me"))["data"]["ladder"]
    assert mine == {"step": 0, "name": "full", "backlog_bytes": 0, "since": None, "pinned": False}


async def ledger_of(operator: Client, client: Client) -> dict[str, Any]:
    book: dict[str, Any] = await operator.call("rpc", method="ops.ledger", data={"client": client.id})
    found: dict[str, Any] = book["data"]
    return found


@pytest.mark.trio
async def test_an_operator_reads_a_clients_ledger_channel_by_channel(simulated: Server) -> None:
    client = await simulated.subscriber(TRADES, FILLS)
    operator = await simulated.client(sign(KEYS.operator, sub="operator"))
    await stall(simulated, client, Step.MERGE)
    await client.say({"id": 99, "unsubscribe": {"channel": FILLS}})
    book = await ledger_of(operator, client)
    while FILLS in book["channels"]:
        book = await ledger_of(operator, client)
    trades, total = book["channels"][TRADES], book["total"]
    assert set(book["channels"]) == {TRADES}
    assert trades["pending"] > 0
    for ledger in (trades, total):
        assert ledger["offered"] == ledger["sent"] + ledger["merged"] + ledger["dropped"] + ledger["pending"]
    assert await operator.refusal("rpc", method="ops.ledger", data={"client": "nobody"}) == 107
    assert await client.refusal("rpc", method="ops.ledger", data={"client": client.id}) == 103


@pytest.mark.trio
async def test_who_did_without_trades_is_told_to_come_back_by_its_position(
    simulated: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "DOWN_SECONDS", 0.3)
    client = await simulated.client()
    epoch = (await client.call("subscribe", channel=TRADES))["epoch"]
    await stall(simulated, client, Step.SNAPSHOTS)
    last, told = 0, None
    while not told:
        document = await client.document()
        push = document.get("push", {})
        if document == {}:
            await client.say({})
        elif push.get("channel") == TRADES:
            told, offset = push.get("unsubscribe"), push.get("pub", {"offset": last})["offset"]
            assert told or offset == last + 1 or not last, "a hole that the client can't see"
            last = offset
    assert told == {"code": 2500, "reason": "insufficient state"}
    result = await client.call("subscribe", channel=TRADES, recover=True, offset=last, epoch=epoch)
    offsets = [publication["offset"] for publication in result.get("publications", ())]
    assert offsets == list(range(last + 1, last + 1 + len(offsets)))
    assert bool(offsets) == result.get("recovered", False)


@pytest.fixture
def long_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was cut still reads to the end, however slow the machine is that goes on publishing."""
    monkeypatch.setattr(session, "GOODBYE_SECONDS", PATIENCE_SECONDS)


@pytest.mark.trio
@pytest.mark.usefixtures("long_goodbye")
async def test_who_is_beyond_the_ladder_is_closed_and_resumes_his_fills_by_their_position() -> None:
    rounds = 40
    namespaces = {"noise": {}, "fills": {"lane": "immediate", "history_size": 100}}
    async with running(limits={"ping_seconds": 3_000}, namespaces=namespaces) as server:
        client = await server.subscriber("noise:x")
        epoch = (await client.call("subscribe", channel="fills:x"))["epoch"]
        noise = {"publish": {"channel": "noise:x", "data": CHUNK * 10}}
        for number in range(rounds):
            await server.api("batch", commands=[noise, {"publish": {"channel": "fills:x", "data": number}}])
        fills, closed = await read_to_the_end(client, "fills:x")
        assert closed == (3008, "slow")
        found = await (await server.client()).call(
            "subscribe", channel="fills:x", recover=True, offset=len(fills), epoch=epoch
        )
        missed = [publication["data"] for publication in found["publications"]]
        assert fills + missed == list(range(rounds))


@pytest.mark.trio
@pytest.mark.usefixtures("long_goodbye")
async def test_who_is_closed_for_one_busy_stream_resumes_all_of_it_by_its_position() -> None:
    limits = {"ping_seconds": 3_000, "outbox_bytes": 65_536}
    async with running(limits=limits, namespaces={"busy": {"history_size": 10_000}}) as server:
        client = await server.client()
        epoch = (await client.call("subscribe", channel="busy:x"))["epoch"]
        count = 0
        while (await server.api("channels"))["result"]["channels"]:
            texts = [f"{number}{'x' * 1_000}" for number in range(count, count + 50)]
            count += len(texts)
            await server.api(
                "batch", commands=[{"publish": {"channel": "busy:x", "data": text}} for text in texts]
            )
        got, closed = await read_to_the_end(client, "busy:x")
        assert closed == (3008, "slow")
        found = await (await server.client()).call(
            "subscribe", channel="busy:x", recover=True, offset=len(got), epoch=epoch
        )
        assert found["recovered"]
        texts = got + [publication["data"] for publication in found["publications"]]
        assert texts == [f"{number}{'x' * 1_000}" for number in range(count)]


@pytest.mark.trio
async def test_who_is_sent_away_gets_all_that_is_queued_and_no_step_of_the_ladder(
    jumping_clock: object,
) -> None:
    limits = {"outbox_bytes": OUTBOX_BYTES, "write_seconds": 600, "ping_seconds": 3_000}
    async with running(limits=limits) as server:
        client = await server.subscriber(TRADES)
        while not (await ladder_of(server, client))["backlog_bytes"]:
            await server.api("batch", commands=[{"publish": {"channel": TRADES, "data": CHUNK}}] * 50)
            await trio.sleep(0.1)
        olga = await server.client(sign(KEYS.operator, sub="olga"))
        row = (await olga.call("rpc", method="ops.channels", data={"filter": TRADES}))["data"]["rows"][0]
        pinned = {"client": client.id, "step": Step.SNAPSHOTS}
        calls = [("ops.ladder", pinned), ("ops.disconnect", {"client": client.id})]
        for method, data in calls:
            await olga.call("rpc", method=method, data=data)
        await trio.sleep(2 * JUDGE_SECONDS)
        texts, closed = await read_to_the_end(client, TRADES)
        assert closed == (3503, "force disconnect")
        assert len(texts) == row["published"]


async def read_to_the_end(client: Client, channel: str) -> tuple[list[Any], tuple[int, str]]:
    """What comes of a channel, and how the connection is closed."""
    datas: list[Any] = []
    while (got := await client.frame()).opcode != CLOSE:
        pushes = [orjson.loads(document).get("push", {}) for document in got.payload.split(b"\n")]
        datas += [push["pub"]["data"] for push in pushes if push.get("channel") == channel]
    return datas, (int.from_bytes(got.payload[:2], "big"), got.payload[2:].decode())


@pytest.mark.trio
async def test_log_names_one_of_a_peers_clients_that_were_cut_within_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = {"ping_seconds": 3_000, "outbox_bytes": 65_536}
    async with running(limits=limits, namespaces={"noise": {}}) as server:
        ids = [(await server.subscriber("noise:x")).id for _ in range(3)]
        noise = {"publish": {"channel": "noise:x", "data": CHUNK}}
        with trio.fail_after(PATIENCE_SECONDS):
            while (await server.api("channels"))["result"]["channels"]:
                await server.api("batch", commands=[noise] * 20)
    [cut] = [line for line in caplog.messages if "read too slowly" in line]
    assert re.match(rf"client ({'|'.join(ids)}) '' at 127\.0\.0\.1:\d+ read too slowly", cut)
