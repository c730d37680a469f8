import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast.ladder import Step
from monitor.config import Lane
from monitor.health.alerts import Finding, Severity
from monitor.health.depth import LaneMeter
from monitor.health.failures import Failure
from monitor.health.feeds import SILENT_NS, FeedHealth
from monitor.health.journal import JournalMeter, JournalState
from monitor.health.kind import KindMeter, Stages
from monitor.health.lag import LagMeter
from monitor.health.latency import LatencyMeter
from monitor.health.rules import (
    FREE_LIMIT_BYTES,
    GAPS_LIMIT,
    GROWTH_LIMIT_BYTES,
    Standing,
    find_deep_lanes,
    find_failures,
    find_full_disk,
    find_full_rooms,
    find_gaps,
    find_growth,
    find_journal_trouble,
    find_lag,
    find_late_kinds,
    find_slow_clients,
    find_troubled_feeds,
    find_troubles,
    standing_of,
)
from monitor.health.survey import Survey

MS = 1_000_000


def fills(*seconds: Sequence[float], threshold_ms: float | None = 10) -> KindMeter:
    """A kind with so many latencies in each second."""
    kind = KindMeter("order_fill", Lane.IMMEDIATE, threshold_ms)
    for latencies_ms in seconds:
        for latency_ms in latencies_ms:
            kind.record(Stages(0, 0, 0, round(latency_ms * MS)))
        kind.rotate()
        kind.end_second()
    return kind


def burning(*late: tuple[int, int]) -> KindMeter:
    """A kind with so many deliveries in each second, and of those so many late ones."""
    kind = fills()
    totals = accumulate(total for total, _ in late)
    for total, bad in zip(totals, accumulate(bad for _, bad in late), strict=True):
        kind.budget.read(total, bad, bad)
    return kind


@dataclass
class Slow:
    """A client as the rules see it."""

    id: str
    step: Step = Step.FULL
    pinned: Step | None = None
    bytes: int = 0
    budget: bool = False
    normal: int = 0
    user: str = ""
    place: str = ""

    @property
    def ladder(self) -> "Slow":
        return self

    @property
    def backlog(self) -> "Slow":
        return self

    def depths(self) -> list[int]:
        return [0, 0, self.normal, 0]

    def oldest_ns(self) -> list[int | None]:
        return [None] * len(Lane)


def survey_of(*clients: Slow) -> Survey:
    survey = Survey()
    for client in clients:
        survey.note(client)
    return survey


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
    assert list(find_deep_lanes(lanes, Survey())) == [
        Finding(
            "depth:normal", Severity.WARNING, "normal lane: 101 messages wait, the limit is 100", 101, 100
        ),
        Finding("depth:low", Severity.CRITICAL, "low lane: 1001 messages wait, the limit is 100", 1_001, 100),
    ]


def test_a_deep_lane_names_the_three_clients_that_hold_most_of_it() -> None:
    lanes = [LaneMeter() for _ in Lane]
    lanes[Lane.NORMAL].add(300, 1)
    held = {"ann": 20, "bob": 200, "eve": 0, "joe": 10, "kim": 70}
    (finding,) = find_deep_lanes(
        lanes, survey_of(*(Slow(name, normal=depth) for name, depth in held.items()))
    )
    assert finding.message.endswith("100; 200 for client bob, 70 for client kim, 20 for client ann")


def test_clients_that_are_given_less_are_told_with_whose_they_are_their_step_and_backlog() -> None:
    survey = survey_of(
        Slow("c1", Step.BOOK_20, bytes=200 * 1_024, place="10.0.0.7"),
        Slow("c2", Step.SNAPSHOTS, bytes=600 * 1_024, user="bob", place="10.0.0.8"),
        Slow("eve", Step.MERGE, bytes=100 * 1_024),
        Slow("joe", Step.SLOW, pinned=Step.SLOW),
    )
    (finding,) = find_slow_clients(survey)
    assert finding == Finding(
        "ladder",
        Severity.WARNING,
        "2 clients read too slowly and are given less: c2 of bob is on step snapshots, 600 KiB wait, "
        "c1 at 10.0.0.7 is on step book_20, 200 KiB wait",
        2,
        0,
    )


def test_clients_that_still_get_everything_or_are_given_less_as_somebody_wants_call_nobody() -> None:
    survey = survey_of(
        Slow("eve", Step.MERGE),
        Slow("joe", Step.SLOW, pinned=Step.SLOW),
        Slow("kim", Step.SNAPSHOTS, bytes=600 * 1_024, budget=True),
    )
    assert list(find_slow_clients(survey)) == []


def test_a_kind_that_is_late_again_and_again_is_critical_and_says_who_waited_longest_and_where() -> None:
    kind = fills(*[[1] * 8 + [12] * 2] * 5)
    kind.record_client("ann", Stages(0, 3 * MS, 0, 21 * MS))
    kind.rotate()
    (finding,) = find_late_kinds([kind], LatencyMeter())
    assert (finding.name, finding.severity) == ("latency:order_fill", Severity.CRITICAL)
    assert finding.message == (
        "order_fill: p99 11.9 ms in the last minute, the limit is 10 ms; 10 of 50 late; "
        "the longest 24.0 ms for client ann, mostly write; 0% of the hour's budget is left"
    )
    assert finding.value == pytest.approx(12, rel=1 / 64)
    assert finding.limit == 10


def test_a_slow_burn_is_a_warning_that_becomes_critical_once_the_budget_is_spent() -> None:
    burn = [(10, 1), (10, 0), (10, 0)]
    (early,) = find_late_kinds([burning(*[(10, 0)] * 3_000, *burn * 150)], LatencyMeter())
    (late,) = find_late_kinds([burning(*[(10, 0)] * 2_400, *burn * 400)], LatencyMeter())
    assert (early.severity, late.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert "in 10 min 150 of 6000 late" in early.message
    assert "57% of the hour's budget is left" in early.message
    assert "0% of the hour's budget is left" in late.message


def test_a_kind_over_four_fifths_of_its_threshold_is_a_warning() -> None:
    (finding,) = find_late_kinds([fills([9], [1], [9], [9])], LatencyMeter())
    assert finding.severity is Severity.WARNING
    assert "; in 10 min 0 of 4 late, 3 over 80% of the limit; " in finding.message


@pytest.mark.parametrize(
    "kind",
    [
        fills(),
        fills([1], [24] * 1_000, [24], [1]),
        fills(*[[1] * 1_000 + [24]] * 60),
        fills([7.8], [7.8], [7.8]),
        fills(*[[24]] * 5, *[[1]] * 600),
        fills(*[[5_000]] * 10, threshold_ms=None),
    ],
    ids=[
        "nothing measured",
        "two bad seconds",
        "within the budget",
        "fast enough",
        "over long since",
        "nothing promised",
    ],
)
def test_these_latencies_call_nobody(kind: KindMeter) -> None:
    assert list(find_late_kinds([kind], LatencyMeter())) == []


QUIET = st.integers(0, 500).map(lambda total: (total, 0))


@given(st.lists(QUIET, max_size=60), st.integers(1, 10_000), st.lists(QUIET, max_size=60))
def test_one_bad_second_calls_nobody_whatever_the_traffic(
    before: list[tuple[int, int]], bad: int, after: list[tuple[int, int]]
) -> None:
    assert list(find_late_kinds([burning(*before, (bad, bad), *after)], LatencyMeter())) == []


@given(st.integers(1, 500), st.integers(0, 29))
def test_a_burn_at_three_times_the_budget_is_found_within_ten_minutes(rate: int, offset: int) -> None:
    """However thin the traffic: one late in every thirty."""
    due = [(rate * second + offset) // 30 for second in range(601)]
    late = [after - before for before, after in pairwise(due)]
    assert len(list(find_late_kinds([burning(*((rate, bad) for bad in late))], LatencyMeter()))) == 1


def test_kinds_that_wait_for_the_journal_say_how_long_that_takes() -> None:
    kind, slow, quick = fills([9], [1], [9], [9]), LatencyMeter(), LatencyMeter()
    for commit, commit_ms in (slow, 7), (quick, 1):
        commit.record(commit_ms * MS)
        commit.rotate()
    found: list[Finding] = []
    for kind.is_journaled, commit in (True, slow), (True, quick), (False, slow):
        found += find_late_kinds([kind], commit)
    assert found[0].message.endswith("; the journal's commits take 7.0 ms at p99")
    assert not any("journal" in each.message for each in found[1:])


def test_other_programs_are_named_last_where_they_had_the_cpu() -> None:
    line = "; other programs had the CPU for 38% of the minute while this one stood in line"
    (late,) = find_late_kinds([fills([9], [1], [9], [9])], LatencyMeter(), 0.38)
    (lag,) = find_lag(lagging(11), 2, 0.38)
    assert late.message.startswith("order_fill: p99 ")
    assert late.message.endswith(line)
    assert lag.message.endswith(line)
    (alone,) = find_lag(lagging(11), 2, 0.04)
    assert "other programs" not in alone.message


def lagging(late_ms: float, seconds: int = 3) -> LagMeter:
    """One probe of each of so many seconds was so late."""
    meter = LagMeter()
    for _ in range(seconds):
        meter.note(late_ms / 1_000)
        meter.end_second()
    meter.rotate()
    return meter


def test_a_late_loop_is_found() -> None:
    (warning,) = find_lag(lagging(11), 97.4)
    (critical,) = find_lag(lagging(51), 0)
    assert (warning.severity, critical.severity) == (Severity.WARNING, Severity.CRITICAL)
    assert re.fullmatch(
        r"event loop: 1[01]\.\d ms late at p99 over the last minute, the limit is 10 ms; "
        r"the process takes 97% of a core",
        warning.message,
    )
    assert list(find_lag(lagging(9), 0)) == []
    assert list(find_lag(LagMeter(), 0)) == []


def test_a_loop_that_stood_once_calls_for_as_long_as_it_stood() -> None:
    assert list(find_lag(lagging(700, seconds=2), 0)) == []
    assert list(find_lag(lagging(1_900, seconds=1), 0)) == []
    assert len(list(find_lag(lagging(2_100, seconds=1), 0))) == 1


@pytest.mark.parametrize(
    ("connections", "failed", "severity"),
    [
        (100, 5, None),
        (100, 6, Severity.WARNING),
        (11, 6, None),
        (19, 9, None),
        (20, 3, Severity.WARNING),
        (200, 10, None),
        (200, 11, Severity.WARNING),
        (100, 21, Severity.CRITICAL),
        (10, 10, Severity.CRITICAL),
        (0, 10, Severity.CRITICAL),
        (0, 0, None),
    ],
)
def test_failed_connections_are_judged_by_their_share_of_enough(
    connections: int, failed: int, severity: Severity | None
) -> None:
    found = [finding.severity for finding in find_failures(connections, failed, 3, [])]
    assert found == ([] if severity is None else [severity])


def test_connections_that_failed_in_one_bad_second_call_nobody() -> None:
    assert list(find_failures(100, 50, 2, [])) == []
    assert len(list(find_failures(100, 50, 3, []))) == 1


def test_failed_connections_are_told_in_numbers_with_the_commonest_causes_and_peers() -> None:
    slow = [Failure(0, "3008 slow", "user ann")] * 14 + [Failure(0, "3008 slow", "10.0.0.7")] * 2
    lost = [Failure(0, "1006 connection lost", f"10.0.0.{at}") for at in (7, 7, 7, 8, 8, 9, 10)]
    silent = Failure(0, "3012 no pong", "user bob")
    (finding,) = find_failures(200, 24, 3, [*lost, *slow, silent])
    assert finding.message == (
        "24 of 200 connections failed in the last minute: 12%, the limit is 5%; "
        "16 by 3008 slow, 7 by 1006 connection lost, 1 by 3012 no pong; "
        "14 of user ann, 5 of 10.0.0.7, 2 of 10.0.0.8"
    )
    assert (finding.value, finding.limit) == (0.12, 0.05)


def test_a_journal_that_keeps_nothing_is_critical_with_its_cause_and_what_went_out_unkept() -> None:
    journal = JournalMeter()
    journal.enter(JournalState.DURABLE, "", 0)
    assert list(find_journal_trouble(journal)) == []
    journal.enter(JournalState.NOT_DURABLE, "disk I/O error", 0)
    journal.not_kept = 7
    (finding,) = find_journal_trouble(journal)
    assert finding == Finding(
        "journal",
        Severity.CRITICAL,
        "the journal fails: disk I/O error; orders and bots go out at once but are not kept, 7 so far",
        7,
        0,
    )


def test_a_journal_that_began_anew_says_where_the_corrupt_one_is() -> None:
    journal = JournalMeter()
    journal.aside = "journal.corrupt"
    (finding,) = find_journal_trouble(journal)
    assert (finding.name, finding.severity) == ("journal", Severity.WARNING)
    assert "kept as it was in journal.corrupt" in finding.message


def test_memory_growth_is_found_beyond_its_limit() -> None:
    assert list(find_growth(GROWTH_LIMIT_BYTES, 200 * 2**20, 12)) == []
    (finding,) = find_growth(GROWTH_LIMIT_BYTES + 2**20, 200 * 2**20, 12)
    assert finding.message == (
        "memory grew by 65 MiB in ten minutes beyond what new clients take, the limit is 64 MiB; "
        "200 MiB in all with 12 clients"
    )
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


def test_a_feed_that_loses_messages_again_and_again_is_found_for_five_minutes() -> None:
    feed = connected_feed()
    for _ in range(GAPS_LIMIT):
        for market in range(50):
            feed.miss(f"changes of the book of M{market}")
        feed.end_second()
    assert list(find_gaps([feed])) == []
    feed.miss("changes of the book of ETHUSDT")
    (finding,) = find_gaps([feed])
    assert finding.message == (
        "binance: messages were missing in 3 seconds of the last 5 min, the limit is 2; "
        "101 times since the start, the last: changes of the book of ETHUSDT"
    )
    for _ in range(300):
        feed.end_second()
    assert list(find_gaps([feed])) == []


def test_a_disk_that_fills_up_is_found_and_critical_at_a_quarter_of_the_limit() -> None:
    assert list(find_full_disk(FREE_LIMIT_BYTES, Path("data"))) == []
    (warning,) = find_full_disk(FREE_LIMIT_BYTES - 2**20, Path("data"))
    (critical,) = find_full_disk(FREE_LIMIT_BYTES // 4 - 1, Path("data"))
    assert warning.message == "1023 MiB are free on the disk of data, the limit is 1024 MiB"
    assert (warning.severity, critical.severity) == (Severity.WARNING, Severity.CRITICAL)


def test_refused_channels_are_bad_for_a_minute_and_critical_where_the_servers_side_is_refused() -> None:
    channels = {"nobody": 7, "clients": 0, "server": 9}
    refused = {"nobody": 0, "server": 30_000 * MS}
    found = list(find_full_rooms(channels, refused, 59_000 * MS))
    assert [(each.name, each.severity, each.value) for each in found] == [
        ("channels:nobody", Severity.WARNING, 7),
        ("channels:server", Severity.CRITICAL, 9),
    ]
    assert "limits.channels" in found[0].message
    assert [each.name for each in find_full_rooms(channels, refused, 61_000 * MS)] == ["channels:server"]
