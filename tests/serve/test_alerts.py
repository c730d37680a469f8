"""Alerts of a running server: what operators see of them, and what they may do about them."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio

from monitor.health.alerts import SILENCE_SECONDS_MAX
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

pytestmark = pytest.mark.trio


NOBODY_THERE = {"symbols": ["BTCUSDT"], "url": "ws://127.0.0.1:1", "rest_url": "http://127.0.0.1:1"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """One whose feed reaches nobody."""
    async with running(feeds={"binance": NOBODY_THERE}) as server:
        yield server


async def row_when(
    operator: Client, holds: Callable[[dict[str, Any]], object], name: str = "feed:binance"
) -> dict[str, Any]:
    """The alert of that name, once that holds of it."""
    while True:
        for row in (await operator.publication())["alerts"]:
            if row["name"] == name and holds(row):
                return dict(row)


async def act(operator: Client, method: str, **data: Any) -> None:
    assert (await operator.call("rpc", method=f"ops.alerts.{method}", data=data))["data"] == {}


async def test_an_operator_acknowledges_and_silences_an_alert(
    jumping_clock: object, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lanecast.operators")
    operator = await server.client(sign(KEYS.operator, sub="root"))
    await operator.call("subscribe", channel="ops:alerts")
    row = await row_when(operator, lambda row: row["severity"] == "critical")
    assert (row["acknowledged"], row["silenced_until"], row["cleared"]) == (False, None, None)
    assert "not connected" in row["message"]
    await act(operator, "ack", id=row["id"])
    await row_when(operator, lambda row: row["acknowledged"])
    await act(operator, "silence", name="feed:binance", seconds=3_600)
    row = await row_when(operator, lambda row: row["silenced_until"] is not None)
    assert row["silenced_until"] >= row["raised"] + 3_600_000
    await act(operator, "silence", name="feed:binance", seconds=0)
    await row_when(operator, lambda row: row["silenced_until"] is None)
    assert [record.getMessage() for record in caplog.records if record.name == "lanecast.operators"] == [
        f"operator 'root' acknowledges alert {row['id']}, feed:binance",
        "operator 'root' silences alert feed:binance for 3600 s",
        "operator 'root' silences alert feed:binance for 0 s",
    ]


async def test_lost_connections_are_told_with_their_close_and_whose_they_were(
    jumping_clock: object, server: Server
) -> None:
    operator = await server.client(sign(KEYS.operator, sub="root"))
    await operator.call("subscribe", channel="ops:alerts")
    for number in range(12):
        ann = await server.client(sign(sub="ann"))
        if number % 4 == 0:
            await trio.sleep(1)
        await ann.say_raw(b"no command")
        assert (await ann.closing())[0] == 3501
    lost = await row_when(operator, lambda row: row["severity"] == "critical", "failed_connections")
    assert lost["message"].startswith(
        "12 of 13 connections failed in the last minute: 92%, the limit is 5%; "
    )
    assert "12 by 3501 bad request: " in lost["message"]
    assert lost["message"].endswith("; 12 of user ann")


async def test_only_operators_may_and_only_what_is_there(server: Server) -> None:
    operator = await server.client(sign(KEYS.operator, sub="root"))
    stranger = await server.client()
    too_long = {"name": "keys", "seconds": SILENCE_SECONDS_MAX + 1}
    for method, data in (("ack", {"id": 9}), ("silence", {"name": "keys", "seconds": 5})):
        assert await stranger.refusal("rpc", method=f"ops.alerts.{method}", data=data) == 103
        assert await operator.refusal("rpc", method=f"ops.alerts.{method}", data=data) == 107
    assert await operator.refusal("rpc", method="ops.alerts.silence", data=too_long) == 107


async def test_what_was_refused_is_told_by_its_cause(server: Server) -> None:
    operator = await server.client(sign(KEYS.operator, sub="root"))
    assert (await server.exchange(b"GET / HTTP/1.1\r\nHost: lanecast\r\nno header\r\n\r\n")).startswith(
        b"HTTP/1.1 400"
    )
    whole = (await operator.call("subscribe", channel="ops:health"))["data"]
    assert sum(whole["totals"]["refused"].values()) == 1
