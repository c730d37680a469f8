import pytest

from monitor.config import Lane
from monitor.health.alerts import Finding, Severity
from monitor.health.depth import LaneMeter
from monitor.health.feeds import SILENT_NS, FeedHealth
from monitor.health.kind import KindMeter, Stages
from monitor.health.latency import Summary
from monitor.health.rules import (
    GROWTH_LIMIT_BYTES,
    Standing,
    find_deep_lanes,
    find_failures,
    find_growth,
    find_lag,
    find_late_kinds,
    find_troubled_feeds,
    find_troubles,
    standing_of,
)

MS = 1_000_000


def fills(*latencies_ms: float, threshold_ms: float | None = 10) -> KindMeter:
    kind = KindMeter("order_fill", Lane.IMMEDIATE, threshold_ms)
    for latency_ms in latencies_ms:
        kind.record(Stages(0, 0, 0, round(latency_ms * MS)))
    kind.rotate()
    return kind


@pytest.mark.parametrize(
    ("threshold_ms", "p99_ms", "standing"),
    [
        (10, 8, Standing.OK),
        (10, 8.1, Standing.WARNING),
        (10, 10, Standing.WARNING),
        (10, 10.1, Standing.OVER),
        (None, 10.1, Standing.NONE),
        (10, None, Standing.NONE),
    ],
)
def test_a_kind_stands_to_its_threshold(
    threshold_ms: float | None, p99_ms: float | None, standing: Standing
) -> None:
    threshold_ns = None if threshold_ms is None else round(threshold_ms * MS)
    assert standing_of(threshold_ns, None if p99_ms is None else round(p99_ms * MS)) is standing


def test_a_lane_is_deep_over_a_hundred_messages() -> None:
    lanes = [LaneMeter() for _ in Lane]
    lanes[Lane.HIGH].add(100, 1)
    lanes[Lane.NORMAL].add(101, 1)
    lanes[Lane.LOW].add(1_001, 1)
    assert list(find_deep_lanes(lanes)) == [
        Finding(
            "depth:normal", Severity.WARNING, "normal lane: 101 messages wait, the limit is 100", 101, 100
        ),
        Finding("depth:low", Severity.CRITICAL, "low lane: 1001 messages wait, the limit is 100", 1_001, 100),
    ]


def test_a_kind_over_its_threshold_is_critical_and_says_by_how_much() -> None:
    (finding,) = find_late_kinds([fills(*[1] * 118, 12, 24)])
    assert (finding.name, finding.severity) == ("latency:order_fill", Severity.CRITICAL)
    assert finding.message == (
        "order_fill: p99 of the last minute is 11.9 ms, more than its 10 ms; 2 of 120 took longer"
    )
    assert finding.value == pytest.approx(12, rel=1 / 64)
    assert finding.limit == 10


def test_a_kind_over_four_fifths_of_its_threshold_is_a_warning() -> None:
    (finding,) = find_late_kinds([fills(1, 9, 9)])
    assert finding.severity is Severity.WARNING
    assert "more than 80% of its 10 ms; 2 of 3 took longer" in finding.message


@pytest.mark.parametrize(
    "kind",
    [
        fills(),
        fills(1, 1, 1, 24),
        fills(*[1] * 1_000, 24, 24),
        fills(7.8, 7.8, 7.8),
        fills(5_000, 5_000, threshold_ms=None),
    ],
    ids=[
        "nothing measured",
        "a single late one",
        "under one in a hundred",
        "fast enough",
        "nothing promised",
    ],
)
def test_these_latencies_call_nobody(kind: KindMeter) -> None:
    assert list(find_late_kinds([kind])) == []


def test_a_late_loop_is_found() -> None:
    (warning,) = find_lag(Summary(400, 1, 11 * MS, 90 * MS, 90 * MS))
    (critical,) = find_lag(Summary(400, 1, 51 * MS, 90 * MS, 90 * MS))
    assert (warning.severity, critical.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert warning.message == "event loop: 11.0 ms late at p99 over the last 10 s, the limit is 10 ms"
    assert list(find_lag(Summary(400, 1, 10 * MS, 90 * MS, 90 * MS))) == []
    assert list(find_lag(Summary(189, 1, 90 * MS, 90 * MS, 90 * MS))) == []
    assert list(find_lag(Summary(0, None, None, None, None))) == []


@pytest.mark.parametrize(
    ("connections", "failed", "severity"),
    [
        (100, 5, None),
        (100, 6, Severity.WARNING),
        (100, 21, Severity.CRITICAL),
        (9, 9, None),
        (0, 0, None),
    ],
)
def test_failed_connections_are_judged_by_their_share_of_enough(
    connections: int, failed: int, severity: Severity | None
) -> None:
    found = [finding.severity for finding in find_failures(connections, failed)]
    assert found == ([] if severity is None else [severity])


def test_failed_connections_are_told_in_numbers() -> None:
    (finding,) = find_failures(200, 24)
    assert finding.message == "24 of 200 connections failed in the last minute: 12%, the limit is 5%"
    assert (finding.value, finding.limit) == (0.12, 0.05)


def test_memory_growth_is_found_beyond_its_limit() -> None:
    assert list(find_growth(GROWTH_LIMIT_BYTES)) == []
    (finding,) = find_growth(GROWTH_LIMIT_BYTES + 2**20)
    assert finding.message.startswith("memory grew by 65 MiB in ten minutes")
    assert finding.severity is Severity.WARNING


SECOND = 1_000_000_000
NOW_NS = 1_000 * SECOND


def connected_feed() -> FeedHealth:
    feed = FeedHealth("binance", "binance")
    feed.connected(NOW_NS)
    return feed


def test_a_live_a_stopped_and_a_first_connecting_feed_are_in_no_trouble() -> None:
    stopped = connected_feed()
    stopped.stopped()
    feeds = [connected_feed(), stopped, FeedHealth("kalshi", "kalshi")]
    assert list(find_troubled_feeds(feeds, NOW_NS)) == []


def test_a_feed_that_retries_is_critical_until_it_is_connected() -> None:
    feed = connected_feed()
    feed.retrying("connection refused")
    (finding,) = find_troubled_feeds([feed], NOW_NS)
    assert finding == Finding(
        "feed:binance",
        Severity.CRITICAL,
        "binance: not connected, retry 1: connection refused",
    )
    feed.connecting()
    assert list(find_troubled_feeds([feed], NOW_NS)) == [finding]
    feed.connected(NOW_NS)
    assert list(find_troubled_feeds([feed], NOW_NS)) == []


def test_a_silent_feed_is_stale() -> None:
    (finding,) = find_troubled_feeds([connected_feed()], NOW_NS + SILENT_NS + SECOND)
    assert finding == Finding("feed:binance", Severity.WARNING, "binance: stale, silent for more than 30 s")


def test_overdue_subscriptions_are_named_up_to_three() -> None:
    feed = connected_feed()
    for name in "abcd":
        feed.subscription(name).owe(NOW_NS)
    feed.subscription("e")
    (finding,) = find_troubled_feeds([feed], NOW_NS + 6 * SECOND)
    assert finding.message == "binance: stale, 4 of 5 subscriptions overdue: a, b, c, …"


def test_what_somebody_has_to_mend_is_critical_in_its_own_words() -> None:
    assert list(find_troubles({})) == []
    (finding,) = find_troubles({"keys": "api.key is open to others"})
    assert (finding.name, finding.severity) == ("keys", Severity.CRITICAL)
    assert finding.message == "api.key is open to others"
