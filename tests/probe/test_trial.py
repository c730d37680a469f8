"""The short test against real servers: a healthy one passes, and each broken promise is told."""

from collections import Counter
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from monitor.backend import Backend
from monitor.client import Client
from monitor.config import DEFAULT_KINDS, Settings
from monitor.errors import PeerError
from monitor.probe import verdict
from monitor.probe.lateness import COUNT_MIN
from monitor.probe.report import Report
from monitor.probe.routes import routes_of
from monitor.probe.text import report_text
from monitor.probe.trial import CLIENTS, Sent, Target, Trial, run_trial
from tests.serve.running import KEYS, Server, running, sign

SECONDS = 2
PATIENT = {kind: {"threshold_ms": 5_000} for kind in DEFAULT_KINDS}
"""What is tested is who gets what, whatever else this machine does."""


async def probed(server: Server, **settings: Any) -> Report:
    namespaces = Settings(**settings).namespaces
    url, token = f"http://127.0.0.1:{server.port}", sign(KEYS.operator, sub="probe")
    return await run_trial(Target(url, KEYS.api, token, namespaces), SECONDS)


@pytest.mark.trio
async def test_a_healthy_server_brings_every_kind_to_its_subscribers_and_nobody_else() -> None:
    async with running(kinds=PATIENT, simulator={"enabled": True}) as server:
        watcher = await server.subscriber("trades:all", "orders:paper", "market:hot")
        report = await probed(server)
        seen = [str(document) for document in await watcher.kept()]
    assert report.troubles == []
    assert {kind.kind for kind in report.kinds} == set(DEFAULT_KINDS)
    assert all(kind.published >= 2 and kind.refused == kind.lost == 0 for kind in report.kinds)
    assert (report.connected.attempts, report.connected.failed, report.connected.missed) == (CLIENTS, 0, 0)
    assert report.leaks == []
    assert not any("probe-" in text for text in seen)
    assert report_text(report).splitlines()[-1].startswith("healthy: ")


@pytest.mark.trio
async def test_a_test_that_is_cut_off_says_so_and_nothing_else() -> None:
    told = []
    async with running(kinds=PATIENT) as server, trio.open_nursery() as nursery:
        nursery.start_soon(cut_off_once_it_publishes, server)
        try:
            await probed(server)
        except* PeerError as group:
            told += [str(error) for error in group.exceptions]
    assert told


async def cut_off_once_it_publishes(server: Server) -> None:
    await channel_under_test(server, "orders")
    await server.api("disconnect", user="probe")


async def channel_under_test(server: Server, namespace: str) -> str:
    """The channel in which a test has begun to publish."""
    while True:
        names = (await server.api("channels", pattern=f"{namespace}:probe-*"))["result"]["channels"]
        for name in names:
            kept = await server.api("history", channel=name, limit=1)
            if kept["result"]["publications"]:
                return str(name)
        await trio.sleep(0.01)


@pytest.mark.trio
async def test_what_comes_to_clients_that_have_not_asked_for_it_is_told() -> None:
    async with running(kinds=PATIENT) as server, trio.open_nursery() as nursery:
        nursery.start_soon(give_trades_to_all, server)
        report = await probed(server)
        nursery.cancel_scope.cancel()
    (leak,) = report.leaks
    assert leak.endswith(" publications came to clients that are not subscribed to their channels")
    assert report.troubles == [leak]


async def give_trades_to_all(server: Server) -> None:
    await server.api("subscribe", user="probe", channel=await channel_under_test(server, "trades"))


@pytest.mark.trio
async def test_every_kind_is_published_often_enough_to_be_judged_however_slow_the_calls(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    routes = [
        route for route in routes_of(DEFAULT_KINDS, Settings().namespaces, "x") if not route.is_for_operators
    ]
    backend = SlowBackend()
    trial = Trial(cast(Target, None), cast(Client, None), nursery)
    trial._sent = {route.kind: Sent() for route in routes}
    with trio.move_on_after(15):
        await trial._publish(backend, routes)
    assert backend.published.keys() == {route.kind for route in routes}
    assert min(backend.published.values()) >= COUNT_MIN
    assert all(len(trial._sent[kind].times) == count for kind, count in backend.published.items())


class SlowBackend(Backend):
    """Answers after nearly a second, as from a slow disk."""

    def __init__(self) -> None:
        self.published: Counter[str] = Counter()

    async def publish(self, channel: str, data: Any, kind: str) -> None:
        await trio.sleep(0.9)
        self.published[kind] += 1

    async def put(self, channel: str, key: str, data: Any, kind: str) -> None:
        await self.publish(channel, data, kind)


@pytest.mark.trio
async def test_a_namespace_that_should_be_private_is_told_when_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server has it public; whoever runs the test believes that it is by token."""
    public = {"orders": {"access": "public"}}
    async with running(kinds=PATIENT, namespaces=public) as server:
        report = await probed(server)
    assert len(report.leaks) == 1
    assert "who has no token may read it" in report.leaks[0]
    assert report.leaks[0] in report.troubles
    assert report_text(report).splitlines()[-1].startswith("NOT HEALTHY: ")


@pytest.mark.trio
async def test_what_comes_after_its_threshold_is_told_with_its_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verdict, "EVENTS_MIN", 1)
    async with running(kinds=PATIENT | {"trade": {"threshold_ms": 50}}, tick_ms=400) as server:
        report = await probed(server)
    (trouble,) = report.troubles
    assert trouble.startswith("trade: ")
    assert "took longer than 50 ms" in trouble


@pytest.mark.trio
async def test_a_channel_with_no_room_for_the_clients_counts_as_failed_connections() -> None:
    async with running(kinds=PATIENT, namespaces={"experiment": {"subscriber_limit": 5}}) as server:
        report = await probed(server)
    assert report.connected.failed == CLIENTS - 4
    assert report.troubles[0].startswith(f"{CLIENTS - 4} of {CLIENTS} connections failed")


def test_every_default_kind_has_a_channel_of_the_runs_own() -> None:
    routes = {route.kind: route.channel for route in routes_of(DEFAULT_KINDS, Settings().namespaces, "x")}
    assert routes.keys() == DEFAULT_KINDS.keys()
    assert routes["order_fill"] == "orders:probe-x"
    assert routes["bot_cycle"] == "bots:probe-x"
    assert routes["hot_markets"] == "market:hot.probe-x"
    assert routes["message"] == "experiment:probe-x"
