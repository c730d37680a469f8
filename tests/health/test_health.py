import logging
from dataclasses import dataclass
from functools import partial

import orjson
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from monitor.broadcast.ladder import Step
from monitor.config import Kind, Lane, Namespace, Settings
from monitor.health.feeds import FeedHealth
from monitor.health.health import START_SECONDS, Health, run_health
from monitor.health.kind import Stages
from monitor.health.lag import PROBE_SECONDS
from monitor.health.report import alerts_report, feeds_report, health_document, health_report
from monitor.health.survey import Survey

WALL_MS = 1_700_000_000_000
NS_PER_MS = 1_000_000


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 5_000 * NS_PER_MS

    def __call__(self) -> int:
        return self.now_ns

    def wall_ms(self) -> int:
        return WALL_MS + self.now_ns // NS_PER_MS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(Settings(), clock_ns=clock, wall_ms=clock.wall_ms)


def run_seconds(health: Health, clock: Clock, seconds: float) -> None:
    for _ in range(round(seconds * 4)):
        clock.now_ns += 250 * NS_PER_MS
        health.sample()


def test_refusals_are_dated_by_when_they_were_last_seen_to_grow(health: Health, clock: Clock) -> None:
    health.totals.refused["sockets"] += 2
    run_seconds(health, clock, 0.25)
    first_ms = clock.wall_ms()
    health.totals.refused["tls"] += 1
    run_seconds(health, clock, 1)
    totals = health_report(health)["totals"]
    assert totals["refused"] == {"sockets": 2, "tls": 1}
    assert totals["refused_at"] == {"sockets": first_ms, "tls": first_ms + 250}


def test_a_new_servers_report_knows_nothing_that_was_not_measured(health: Health) -> None:
    report = health_report(health)
    assert report["address"] is None
    assert report["loop"] == {"lag_p99_ms": None, "lag_max_ms": None}
    nothing = {
        "count": 0,
        "p50_ms": None,
        "p99_ms": None,
        "p999_ms": None,
        "worst_ms": None,
        "stages": None,
        "worst_client": None,
    }
    assert report["kinds"][0] == {
        "kind": "order_fill",
        "lane": "immediate",
        "threshold_ms": 10,
        **nothing,
        "rate": 0,
        "late": 0,
        "budget_left": None,
        "state": "none",
        "last_10s": nothing,
        "since_start": nothing,
        "end_to_end": None,
    }


def test_the_report_is_json_with_the_promised_fields(health: Health) -> None:
    report = orjson.loads(orjson.dumps(health_report(health)))
    assert list(report) == [
        "time",
        "uptime_seconds",
        "version",
        "address",
        "pid",
        "clients",
        "subscriptions",
        "channels",
        "rates",
        "totals",
        "lanes",
        "kinds",
        "encodings",
        "journal",
        "tuning",
        "loop",
        "process",
        "disk",
    ]
    assert [lane["lane"] for lane in report["lanes"]] == ["immediate", "high", "normal", "low"]
    assert [len(lane["history"]) for lane in report["lanes"]] == [60] * 4


def test_rates_are_those_of_the_last_two_seconds(health: Health, clock: Clock) -> None:
    health.totals.published = 1_000_000
    run_seconds(health, clock, 10)
    for _ in range(8):
        health.totals.published += 50
        health.totals.dropped["slow"] += 1
        health.lanes[Lane.HIGH].sent += 25
        run_seconds(health, clock, 0.25)
    report = health_report(health)
    assert report["rates"] == {"published": 200, "sent": 0, "merged": 0, "dropped": 4, "bytes": 0}
    assert [lane["rate"] for lane in report["lanes"]] == [0, 100, 0, 0]
    assert report["totals"]["dropped"] == 8


def test_a_kinds_rate_is_that_of_the_last_ten_seconds(health: Health, clock: Clock) -> None:
    run_seconds(health, clock, 60)
    health.kinds["order_fill"].count += 3
    run_seconds(health, clock, 9)
    assert health_report(health)["kinds"][0]["rate"] == 0.3
    run_seconds(health, clock, 2)
    assert health_report(health)["kinds"][0]["rate"] == 0


def test_a_kind_is_reported_against_its_threshold(health: Health, clock: Clock) -> None:
    for latency_ms in (2, 3, 30):
        health.kinds["order_fill"].record(Stages(0, 0, 0, latency_ms * NS_PER_MS))
    run_seconds(health, clock, 15)
    fill = health_report(health)["kinds"][0]
    assert fill["p50_ms"] == pytest.approx(3, rel=1 / 64)
    assert fill["p99_ms"] == fill["worst_ms"] == pytest.approx(30, rel=1 / 64)
    assert (fill["late"], fill["state"]) == (1, "over")
    assert fill["last_10s"]["count"] == 0
    assert fill["since_start"]["count"] == 3


def test_a_kind_tells_where_its_time_went_and_who_waited_longest(health: Health, clock: Clock) -> None:
    fill = health.kinds["order_fill"]
    fill.record(Stages(1 * NS_PER_MS, 0, 2 * NS_PER_MS, 3 * NS_PER_MS))
    fill.record(Stages(3 * NS_PER_MS, 4 * NS_PER_MS, 0, 1 * NS_PER_MS))
    fill.record_client("quick", Stages(0, 0, 0, 1 * NS_PER_MS))
    fill.record_client("slow", Stages(0, 7 * NS_PER_MS, 0, 5 * NS_PER_MS))
    run_seconds(health, clock, 15)
    row = health_report(health)["kinds"][0]
    assert row["stages"] == {"receive_ms": 2, "wait_ms": 2, "encode_ms": 1, "write_ms": 2}
    assert row["worst_client"] == {"client": "slow", "ms": 12, "stage": "wait"}
    assert row["last_10s"]["stages"] is row["last_10s"]["worst_client"] is None
    assert row["since_start"]["worst_client"] == row["worst_client"]


def test_connections_are_the_clients_whatever_other_sockets_there_were(health: Health) -> None:
    health.totals.accepted, health.clients = 50, 2
    health.totals.closed.update({"3000": 2, "3008": 1})
    assert health_report(health)["totals"]["connections"] == 5


def test_every_configured_kind_has_a_meter_with_the_lane_of_its_namespace() -> None:
    settings = Settings(
        namespaces={"news": Namespace(lane=Lane.LOW, kind="headline")},
        kinds={"headline": Kind(threshold_ms=5)},
    )
    kinds = Health(settings).kinds
    assert kinds["headline"].lane is Lane.LOW
    assert kinds["headline"].threshold_ns == 5 * NS_PER_MS
    assert kinds["order_fill"].lane is kinds["bot_cycle"].lane is Lane.IMMEDIATE
    assert kinds["book"].lane is Lane.NORMAL
    assert [name for name, kind in kinds.items() if kind.is_journaled] == [
        *("order_fill", "order_update", "bot_status", "bot_cycle", "bot_lifecycle")
    ]


def test_a_deep_lane_is_raised_and_cleared(health: Health, clock: Clock) -> None:
    health.lanes[Lane.NORMAL].add(500, 50_000)
    run_seconds(health, clock, 5)
    (alert,) = health.alerts.active()
    assert (alert.name, alert.value) == ("depth:normal", 500)
    health.lanes[Lane.NORMAL].remove(500, 50_000)
    run_seconds(health, clock, 30)
    assert health.alerts.active() == []
    assert alert.raised < (health.alerts.all()[0].cleared or 0) <= clock.wall_ms()


@dataclass
class Waiter:
    """A client for whom something waits, in the normal lane."""

    since_ns: int
    id: str = "c1"
    step: Step = Step.FULL
    pinned: Step | None = None
    bytes: int = 0

    user = place = budget = ""

    @property
    def ladder(self) -> "Waiter":
        return self

    @property
    def backlog(self) -> "Waiter":
        return self

    def depths(self) -> list[int]:
        return [0, 0, 1, 0]

    def oldest_ns(self) -> list[int | None]:
        return [None, None, self.since_ns, None]


def test_a_lanes_age_is_that_of_its_oldest_message(health: Health, clock: Clock) -> None:
    for since_ns in (clock.now_ns + 500 * NS_PER_MS, clock.now_ns):
        health.survey.note(Waiter(since_ns))
    run_seconds(health, clock, 3)
    assert [lane["age_ms"] for lane in health_report(health)["lanes"]] == [None, None, 3_000, None]
    health.survey = Survey()
    run_seconds(health, clock, 1)
    assert [lane["age_ms"] for lane in health_report(health)["lanes"]] == [None] * 4


def test_a_silence_shows_in_the_rows_of_its_name(health: Health, clock: Clock) -> None:
    health.lanes[Lane.NORMAL].add(500, 50_000)
    run_seconds(health, clock, 5)
    health.alerts.silence("depth:normal", clock.wall_ms() + 60_000)
    (row,) = alerts_report(health)["alerts"]
    assert (row["silenced_until"], row["acknowledged"]) == (clock.wall_ms() + 60_000, False)
    assert row["since"] < row["raised"]


def test_a_kind_is_reported_with_what_is_left_of_its_budget(health: Health, clock: Clock) -> None:
    run_seconds(health, clock, START_SECONDS)
    for latency_ms in [1] * 199 + [12]:
        health.kinds["order_fill"].record(Stages(0, 0, 0, latency_ms * NS_PER_MS))
    run_seconds(health, clock, 1)
    assert health_report(health)["kinds"][0]["budget_left"] == 0.5


def test_a_turn_of_an_alert_is_logged_with_its_cause_and_since_when(
    health: Health, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    health.lanes[Lane.LOW].add(101, 1)
    run_seconds(health, clock, 5)
    health.lanes[Lane.LOW].remove(101, 1)
    run_seconds(health, clock, 30)
    assert [(record.levelname, record.getMessage().split(", since ")[0]) for record in caplog.records] == [
        ("WARNING", "raised warning depth:low"),
        ("INFO", "cleared warning depth:low"),
    ]
    assert "101 messages wait" in caplog.text


def lose(health: Health, connections: int, peer: str) -> None:
    for _ in range(connections):
        health.totals.closed["1006"] += 1
        health.note_failed("1006 connection lost", peer)


def test_failed_connections_are_those_of_the_last_minute(health: Health, clock: Clock) -> None:
    health.clients = 40
    for lost in (4, 3, 3):
        lose(health, lost, "user ann")
        run_seconds(health, clock, 1)
    run_seconds(health, clock, 5)
    assert [alert.name for alert in health.alerts.active()] == ["failed_connections"]
    assert health.alerts.active()[0].message == (
        "10 of 50 connections failed in the last minute: 20%, the limit is 5%; "
        "10 by 1006 connection lost; 10 of user ann"
    )
    health.clients = 10_000
    run_seconds(health, clock, 30)
    assert health.alerts.active() == []
    run_seconds(health, clock, 60)
    health.clients = 20
    for lost in (3, 3, 4):
        lose(health, lost, "user bob")
        run_seconds(health, clock, 1)
    run_seconds(health, clock, 5)
    assert [alert.name for alert in health.alerts.active()] == ["failed_connections"]
    assert health.alerts.active()[0].message.endswith("; 10 of user bob")


def test_feeds_are_reported_by_their_rows_and_raised_when_in_trouble(health: Health, clock: Clock) -> None:
    feed = health.feeds["binance"] = FeedHealth("binance", "binance")
    feed.retrying("no route to host")
    run_seconds(health, clock, 5)
    (row,) = feeds_report(health)["feeds"]
    assert (row["name"], row["state"], row["error"]) == ("binance", "retrying", "no route to host")
    (alert,) = alerts_report(health)["alerts"]
    assert (alert["name"], alert["severity"], alert["value"]) == ("feed:binance", "critical", None)


def told(health: Health) -> list[tuple[str, str, int | None]]:
    document = orjson.loads(health_document(health, "market:feeds") or b"")
    return [(feed["name"], feed["state"], feed["since"]) for feed in document["feeds"]]


def test_everybody_may_know_which_feeds_are_not_heard_and_since_when_and_no_more(
    health: Health, clock: Clock
) -> None:
    feed = health.feeds["binance"] = FeedHealth("binance", "binance", url="wss://secret.example")
    health.feeds["desk"] = FeedHealth("desk", "binance", account="ann")
    started_ms = health.wall_ms()
    feed.retrying("no route to secret.example")
    clock.now_ns += 60_000 * NS_PER_MS
    assert told(health) == [("binance", "lost", started_ms)]
    assert b"secret" not in (health_document(health, "market:feeds") or b"")
    feed.connected(clock.now_ns)
    assert told(health) == [("binance", "live", None)]
    silent_ms = health.wall_ms()
    clock.now_ns += 60_000 * NS_PER_MS
    assert told(health) == [("binance", "stale", silent_ms)]


def test_feeds_have_turned_when_one_is_lost_and_when_it_is_back(health: Health, clock: Clock) -> None:
    feed = health.feeds["binance"] = FeedHealth("binance", "binance")
    turns = [health.feeds_turned()]
    for turn in (feed.connecting, partial(feed.connected, clock.now_ns), partial(feed.retrying, "reset")):
        turn()
        turns.append(health.feeds_turned())
    assert turns == [True, False, True, True]


class Watchers:
    """A hub that keeps what was published, with subscribers to the named channels."""

    def __init__(self, *channels: str) -> None:
        self.channels = set(channels)
        self.published: list[tuple[str, bytes]] = []

    def publish(self, channel: str, document: bytes) -> None:
        self.published.append((channel, document))

    def watched(self, channel: str) -> bool:
        return channel in self.channels

    def count(self, channel: str) -> int:
        return sum(published == channel for published, _ in self.published)


async def run_for(health: Health, hub: Watchers, seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(run_health, health, hub.publish, hub.watched, trio.lowlevel.checkpoint)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_health_is_published_four_times_a_second_and_feeds_once(
    health: Health, autojump_clock: MockClock
) -> None:
    hub = Watchers("ops:health", "ops:feeds")
    await run_for(health, hub, 9.99)
    assert hub.count("ops:health") == 40
    assert hub.count("ops:feeds") == 10


@pytest.mark.trio
async def test_a_sample_lets_what_is_urgent_go_first(health: Health, autojump_clock: MockClock) -> None:
    hub, is_calm = Watchers("ops:health"), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(run_health, health, hub.publish, hub.watched, is_calm.wait)
        await trio.sleep(0.7)
        assert hub.count("ops:health") == 0
        is_calm.set()
        await wait_all_tasks_blocked()
        assert hub.count("ops:health")
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_what_nobody_watches_is_not_built(health: Health, autojump_clock: MockClock) -> None:
    hub = Watchers()
    await run_for(health, hub, 10)
    assert [channel for channel, _ in hub.published] == []


@pytest.mark.trio
async def test_alerts_are_published_on_change(
    health: Health, clock: Clock, autojump_clock: MockClock
) -> None:
    hub = Watchers("ops:alerts")
    health.lanes[Lane.LOW].add(101, 1)
    async with trio.open_nursery() as nursery:
        await nursery.start(run_health, health, hub.publish, hub.watched, trio.lowlevel.checkpoint)
        for _ in range(40):
            await trio.sleep(0.25)
            clock.now_ns += 250 * NS_PER_MS
        nursery.cancel_scope.cancel()
    (alerts,) = (orjson.loads(document)["alerts"] for _, document in hub.published)
    assert [(alert["name"], alert["severity"], alert["cleared"]) for alert in alerts] == [
        ("depth:low", "warning", None)
    ]


@pytest.mark.trio
async def test_a_stalled_loop_counts_every_probe_that_it_missed(
    health: Health, mock_clock: MockClock
) -> None:
    hub = Watchers()
    async with trio.open_nursery() as nursery:
        await nursery.start(run_health, health, hub.publish, hub.watched, trio.lowlevel.checkpoint)
        await wait_all_tasks_blocked()
        mock_clock.jump(5)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    lag = health.lag.since_start.summary()
    assert lag.count == pytest.approx(5 / PROBE_SECONDS, abs=2)
    assert lag.worst_ns == pytest.approx((5 - PROBE_SECONDS) * 1_000 * NS_PER_MS, rel=1 / 64)
    assert lag.p50_ns == pytest.approx(2_500 * NS_PER_MS, rel=0.1)


def stall_for_minutes(health: Health, clock: Clock, stalled_seconds: int, then_minutes: int = 2) -> list[str]:
    """The alerts raised while the loop is 90 ms late for some seconds, and in the minutes after."""
    raised = []
    for second in range(then_minutes * 60):
        if second < stalled_seconds:
            health.lag.note(0.09)
        run_seconds(health, clock, 1)
        raised += [alert.name for alert in health.alerts.active()]
    return raised


def test_a_start_however_late_calls_nobody_and_burns_no_budget(health: Health, clock: Clock) -> None:
    fill = health.kinds["order_fill"]
    for _ in range(START_SECONDS):
        fill.record(Stages(0, 0, 0, 100 * NS_PER_MS))
        run_seconds(health, clock, 1)
        assert health.alerts.active() == []
    assert (fill.late, fill.budget.left) == (START_SECONDS, None)


def test_a_start_however_slow_is_no_lag_of_the_loop(health: Health, clock: Clock) -> None:
    assert stall_for_minutes(health, clock, START_SECONDS) == []


def test_a_loop_that_is_still_late_after_the_start_is_one_that_lags(health: Health, clock: Clock) -> None:
    assert "loop_lag" in stall_for_minutes(health, clock, START_SECONDS + 15)
    run_seconds(health, clock, 180)
    assert health.alerts.active() == []
    assert "loop_lag" in stall_for_minutes(health, clock, 10, then_minutes=1)


@pytest.mark.trio
async def test_after_a_stall_the_schedule_goes_on_without_a_burst(
    health: Health, mock_clock: MockClock
) -> None:
    hub = Watchers("ops:health")
    async with trio.open_nursery() as nursery:
        await nursery.start(run_health, health, hub.publish, hub.watched, trio.lowlevel.checkpoint)
        await wait_all_tasks_blocked()
        mock_clock.jump(60.1)
        await wait_all_tasks_blocked()
        assert hub.count("ops:health") == 1
        mock_clock.jump(0.15)
        await wait_all_tasks_blocked()
        assert hub.count("ops:health") == 2
        nursery.cancel_scope.cancel()
