"""What the console reads of a server, held against a whole one: each member is there, and of its type."""

from typing import Any

import msgspec
import pytest

from monitor.client import open_client
from monitor.serve.tokens import make_token
from tests.serve.running import KEYS, running
from tui import reports

OPERATOR = make_token(KEYS.operator, "console")
NOBODY = {"binance": {"symbols": ["BTCUSDT"], "url": "ws://127.0.0.1:9", "rest_url": "http://127.0.0.1:9"}}
"""A venue that can't be reached: it is an alert after some seconds."""


@pytest.mark.trio
async def test_server_tells_all_that_the_console_reads(jumping_clock: object) -> None:
    async with (
        running(simulator={"enabled": True}, feeds=NOBODY) as server,
        open_client(f"http://127.0.0.1:{server.port}", OPERATOR) as client,
    ):
        alerts = await client.subscribe("ops:alerts")
        while not alerts.data["alerts"]:
            alerts.data = (await anext(alerts)).data
        health, feeds = await client.subscribe("ops:health"), await client.subscribe("ops:feeds")
        msgspec.convert(health.data, reports.HealthReport)
        msgspec.convert(alerts.data["alerts"], list[reports.AlertReport])
        msgspec.convert(feeds.data["feeds"], list[reports.FeedReport])
        for method, params, report in (
            ("ops.connections", {}, reports.ConnectionsReport),
            ("ops.connection", {"client": client.id}, reports.ConnectionPageReport),
            ("ops.channels", {"ledgers": True}, reports.ChannelsReport),
            ("ops.books", {}, reports.BooksReport),
            ("ops.book", {"market": "sim.BTCUSDT"}, reports.BookPageReport),
            ("ops.accounts", {}, reports.AccountsReport),
            ("ops.logs", {}, reports.LogsReport),
        ):
            told: Any = msgspec.convert(await client.rpc(method, params), report)
            assert told.get("rows", True), f"{method} has no row to be held against"
