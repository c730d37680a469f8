"""What is bad: each rule looks at one measure and names what is beyond its limit, in words and numbers.

Pure and cheap: a rule that finds nothing builds nothing. How long something must stay bad before
anybody is called is not decided here but in `alerts`.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path

from monitor.config import Lane
from monitor.health.alerts import Finding, Severity
from monitor.health.depth import LaneMeter
from monitor.health.failures import Failure
from monitor.health.feeds import SILENT_NS, FeedHealth, FeedState
from monitor.health.journal import JournalMeter, JournalState
from monitor.health.kind import NEAR_SHARE, Delay, KindMeter
from monitor.health.lag import LAG_LIMIT_MS, LagMeter
from monitor.health.latency import NS_PER_MS, LatencyMeter
from monitor.health.rates import NS_PER_SECOND
from monitor.health.survey import NAMED_LIMIT, Holder, Survey

DEPTH_LIMIT = 100
"""Messages waiting in one lane, all clients together; critical at ten times that."""
FAILED_LIMIT = 0.05
"""Share of the connections of the last minute; critical at four times that."""
CONNECTIONS_AT_LEAST = 20
"""In the last minute, or half as many that failed: of a handful that stumble no share can be told."""
FAST_BURN = 10.0
"""Over the last minute and the last 10 s: at this pace an hour's budget is gone in six minutes."""
SLOW_BURN = 2.0
"""Over the last 10 min and the last minute: at this pace it is gone in half an hour."""
NEAR_WINDOW_SECONDS = 600
BAD_SECONDS_AT_LEAST = 3
"""In the longest window that a rule looks at: one bad second, however much was bad in it, calls nobody."""
GAPS_LIMIT = 2
"""Seconds of a feed with any, in five minutes: who loses messages again and again has a cause."""
FREE_LIMIT_BYTES = 1024**3
"""On the disk of the data directory; critical at a quarter of it."""
COMMIT_FROM = 0.5
"""Of a threshold: below it the journal explains no lateness."""
WAITED_FROM = 0.05
"""Of a minute, in line for a CPU: below it that explains no lateness."""
GROWTH_LIMIT_BYTES = 64 * 1024 * 1024
"""In ten minutes, beyond what new clients may take; critical at four times that."""

NO_ROOM_SECONDS = 60
"""So long after a channel was refused the lack of room is still bad."""


_ROOMS = {
    "nobody": "nobody has published in them, clients hold them: sort connections by channels to see who",
    "clients": "only clients have published in them, and somebody follows each",
    "server": "feeds and backends publish in them, and somebody follows each",
}


class Standing(StrEnum):
    """How a kind's p99 stands to its threshold."""

    NONE = "none"
    OK = "ok"
    WARNING = "warning"
    OVER = "over"


def standing_of(threshold_ns: int | None, p99_ns: int | None) -> Standing:
    """NONE where nothing is promised or nothing was measured."""
    if threshold_ns is None or p99_ns is None:
        return Standing.NONE
    if p99_ns > threshold_ns:
        return Standing.OVER
    return Standing.WARNING if p99_ns > NEAR_SHARE * threshold_ns else Standing.OK


def find_deep_lanes(lanes: list[LaneMeter], survey: Survey) -> Iterator[Finding]:
    """Lanes in which more messages wait than should, and for whom most of them."""
    for lane, meter in zip(Lane, lanes, strict=True):
        if meter.depth > DEPTH_LIMIT:
            yield Finding(
                f"depth:{lane.name.lower()}",
                _severity(meter.depth > 10 * DEPTH_LIMIT),
                f"{lane.name.lower()} lane: {meter.depth} messages wait, the limit is {DEPTH_LIMIT}"
                + _holders(survey.holders(lane)),
                meter.depth,
                DEPTH_LIMIT,
            )


def _holders(holders: Iterable[Holder]) -> str:
    named = ", ".join(f"{depth} for client {named}" for depth, named in holders)
    return f"; {named}" if named else ""


def find_slow_clients(survey: Survey) -> Iterator[Finding]:
    """Clients that the ladder gives less because of their backlog, those furthest up first."""
    if count := survey.given_less:
        worst = list(survey.furthest_up())
        steps = ", ".join(
            f"{named} is on step {step.name.lower()}, {size_bytes / 1_024:.0f} KiB wait"
            for step, size_bytes, named in worst
        )
        more = ", …" if count > len(worst) else ""
        yield Finding(
            "ladder",
            Severity.WARNING,
            f"{_readers(count)} given less: {steps}{more}",
            count,
            0,
        )


def find_full_rooms(
    channels: Mapping[str, int], no_room_ns: Mapping[str, int], now_ns: int
) -> Iterator[Finding]:
    """Channels that are as many as may be, so that others were refused in the last minute."""
    for voice, refused_ns in no_room_ns.items():
        if now_ns - refused_ns < NO_ROOM_SECONDS * NS_PER_SECOND:
            count = channels[voice]
            yield Finding(
                f"channels:{voice}",
                _severity(voice == "server"),
                f"no room for another channel: {count} are in use, the limit (limits.channels);"
                f" {_ROOMS[voice]}",
                count,
                count,
            )


def _readers(count: int) -> str:
    return "1 client reads too slowly and is" if count == 1 else f"{count} clients read too slowly and are"


def find_late_kinds(
    kinds: Iterable[KindMeter], commit: LatencyMeter, waited: float | None = None
) -> Iterator[Finding]:
    """Kinds that burn their budget of late deliveries too fast, or come too near to their threshold.

    `commit` is how long the journal takes, for which some wait; `waited` the share of the last minute in
    which this process was not let run.
    """
    for kind in kinds:
        if kind.threshold_ns is not None and kind.budget.has_near(NEAR_WINDOW_SECONDS):
            threshold_ms = kind.threshold_ns / NS_PER_MS
            found = chain(_find_late(kind, threshold_ms), _find_near(kind, threshold_ms))
            for finding in islice(found, 1):
                causes = _committing(commit, kind.threshold_ns) if kind.is_journaled else ""
                yield replace(finding, message=f"{kind.name}: {finding.message}{causes}{_waiting(waited)}")


def _find_late(kind: KindMeter, threshold_ms: float) -> Iterator[Finding]:
    minute, recent = kind.budget.last(60), kind.budget.last(10)
    burn = min(minute.late_burn, recent.late_burn)
    if minute.late_seconds >= BAD_SECONDS_AT_LEAST and burn >= FAST_BURN:
        yield _latency(kind, Severity.CRITICAL, f"{minute.late} of {minute.total} late", threshold_ms)


def _find_near(kind: KindMeter, threshold_ms: float) -> Iterator[Finding]:
    """Whoever goes on so without any budget left has broken the promise, however slowly."""
    long, minute = kind.budget.last(NEAR_WINDOW_SECONDS), kind.budget.last(60)
    burn = min(long.near_burn, minute.near_burn)
    if long.near_seconds >= BAD_SECONDS_AT_LEAST and burn >= SLOW_BURN:
        is_spent = (kind.budget.left or 0) <= 0 and minute.late_burn >= SLOW_BURN
        slow = f"in 10 min {long.late} of {long.total} late, {long.near} over {NEAR_SHARE:.0%} of the limit"
        yield _latency(kind, _severity(is_spent), slow, threshold_ms)


def _latency(kind: KindMeter, severity: Severity, slow: str, threshold_ms: float) -> Finding:
    """Says first what is wrong: on a screen the end of it may be cut off."""
    window = kind.last_minute()
    p99_ns = window.latency.summary().p99_ns or 0
    if window.worst is not None:
        p99_ns = min(p99_ns, window.worst.latency_ns)  # that one is exact
    p99_ms = p99_ns / NS_PER_MS
    left = max(0.0, kind.budget.left or 0)
    message = (
        f"p99 {p99_ms:.1f} ms in the last minute, the limit is {threshold_ms:g} ms; {slow}"
        f"{_longest(window.worst)}; {left:.0%} of the hour's budget is left"
    )
    return Finding(f"latency:{kind.name}", severity, message, round(p99_ms, 3), threshold_ms)


def _longest(worst: Delay | None) -> str:
    if worst is None:
        return ""
    return (
        f"; the longest {worst.latency_ns / NS_PER_MS:.1f} ms for client {worst.client}, mostly {worst.stage}"
    )


def _committing(commit: LatencyMeter, threshold_ns: int) -> str:
    """What the journal's disk has to do with it."""
    p99_ns = commit.last_minute.summary().p99_ns or 0
    if p99_ns < COMMIT_FROM * threshold_ns:
        return ""
    return f"; the journal's commits take {p99_ns / NS_PER_MS:.1f} ms at p99"


def _waiting(share: float | None) -> str:
    """What other programs on the machine have to do with it, if that is seen."""
    if share is None or share < WAITED_FROM:
        return ""
    return f"; other programs had the CPU for {share:.0%} of the minute while this one stood in line"


def find_lag(lag: LagMeter, cpu_percent: float, waited: float | None = None) -> Iterator[Finding]:
    """An event loop that wakes its tasks too late at p99 over a minute; critical at five times the limit.

    A process that is idle meanwhile is not let run.
    """
    lag_ms = (lag.last_minute.summary().p99_ns or 0) / NS_PER_MS
    if lag_ms > LAG_LIMIT_MS and lag.late_seconds >= BAD_SECONDS_AT_LEAST:
        yield Finding(
            "loop_lag",
            _severity(lag_ms > 5 * LAG_LIMIT_MS),
            f"event loop: {lag_ms:.1f} ms late at p99 over the last minute, the limit is {LAG_LIMIT_MS:g} ms"
            f"; the process takes {cpu_percent:.0f}% of a core{_waiting(waited)}",
            round(lag_ms, 3),
            LAG_LIMIT_MS,
        )


def find_failures(
    connections: int, failed: int, seconds: int, failures: Iterable[Failure]
) -> Iterator[Finding]:
    """Too great a share of the connections that the last minute saw, open or ended; how is in `failures`.

    `seconds` is in how many of that minute some failed.
    """
    connections = max(connections, failed)  # some fail before they are a client's
    is_enough = connections >= CONNECTIONS_AT_LEAST or failed >= CONNECTIONS_AT_LEAST // 2
    if is_enough and failed > FAILED_LIMIT * connections and seconds >= BAD_SECONDS_AT_LEAST:
        known = list(failures)
        share = failed / connections
        yield Finding(
            "failed_connections",
            _severity(share > 4 * FAILED_LIMIT),
            f"{failed} of {connections} connections failed in the last minute: {share:.0%}, "
            f"the limit is {FAILED_LIMIT:.0%}" + _most_common(known[-failed:]),
            round(share, 4),
            FAILED_LIMIT,
        )


def _most_common(failures: Collection[Failure]) -> str:
    causes = Counter(failure.cause for failure in failures)
    peers = Counter(failure.peer for failure in failures)
    named = [
        ", ".join(f"{count} {word} {name}" for name, count in counts.most_common(NAMED_LIMIT))
        for word, counts in (("by", causes), ("of", peers))
        if counts
    ]
    return "".join(f"; {text}" for text in named)


def find_journal_trouble(journal: JournalMeter) -> Iterator[Finding]:
    """A journal that keeps nothing, or began anew because the one that was there is corrupt."""
    if journal.state is JournalState.NOT_DURABLE:
        yield Finding(
            "journal",
            Severity.CRITICAL,
            f"the journal fails: {journal.trouble}; orders and bots go out at once but are not kept, "
            f"{journal.not_kept} so far",
            journal.not_kept,
            0,
        )
    elif journal.aside:
        yield Finding(
            "journal",
            Severity.WARNING,
            f"the journal was corrupt: it is kept as it was in {journal.aside}, and a new one was begun",
        )


def find_growth(grown_bytes: int, memory_bytes: int, clients: int) -> Iterator[Finding]:
    """Memory that rises though the number of clients doesn't."""
    if grown_bytes > GROWTH_LIMIT_BYTES:
        yield Finding(
            "memory_growth",
            _severity(grown_bytes > 4 * GROWTH_LIMIT_BYTES),
            f"memory grew by {grown_bytes / 2**20:.0f} MiB in ten minutes beyond what new clients take, "
            f"the limit is {GROWTH_LIMIT_BYTES / 2**20:.0f} MiB; "
            f"{memory_bytes / 2**20:.0f} MiB in all with {clients} clients",
            grown_bytes,
            GROWTH_LIMIT_BYTES,
        )


def find_troubles(troubles: Mapping[str, str]) -> Iterator[Finding]:
    """What somebody has to mend, said by who came upon it."""
    for name, message in troubles.items():
        yield Finding(name, Severity.CRITICAL, message)


def find_full_disk(free_bytes: int, directory: Path) -> Iterator[Finding]:
    """Too little room for the journal, tapes and logs."""
    if free_bytes < FREE_LIMIT_BYTES:
        yield Finding(
            "disk",
            _severity(free_bytes < FREE_LIMIT_BYTES / 4),
            f"{free_bytes / 2**20:.0f} MiB are free on the disk of {directory}, "
            f"the limit is {FREE_LIMIT_BYTES / 2**20:.0f} MiB",
            FREE_LIMIT_BYTES - free_bytes,
            0,
        )


def find_gaps(feeds: Iterable[FeedHealth]) -> Iterator[Finding]:
    """Feeds in which something is found missing again and again."""
    for feed in feeds:
        if feed.gap_seconds > GAPS_LIMIT:
            yield Finding(
                f"gaps:{feed.name}",
                Severity.WARNING,
                f"{feed.name}: messages were missing in {feed.gap_seconds} seconds of the last 5 min, "
                f"the limit is {GAPS_LIMIT}; {feed.gaps} times since the start, the last: {feed.last_gap}",
                feed.gap_seconds,
                GAPS_LIMIT,
            )


def find_troubled_feeds(feeds: Iterable[FeedHealth], now_ns: int) -> Iterator[Finding]:
    """Feeds that are stale or have lost their venue; `now_ns` is the monotonic time."""
    for feed in feeds:
        state = feed.state(now_ns)
        if state is FeedState.STALE:
            message = f"{feed.name}: stale, {_staleness(feed, now_ns)}"
            yield Finding(f"feed:{feed.name}", Severity.WARNING, message)
        elif feed.error is not None and state in (FeedState.RETRYING, FeedState.CONNECTING):
            message = f"{feed.name}: not connected, retry {feed.retries}: {feed.error}"
            yield Finding(f"feed:{feed.name}", Severity.CRITICAL, message)


def _staleness(feed: FeedHealth, now_ns: int) -> str:
    overdue = [name for name, subscription in feed.subscriptions.items() if subscription.is_overdue(now_ns)]
    if not overdue:
        return f"silent for more than {SILENT_NS / NS_PER_SECOND:g} s"
    named = ", ".join(overdue[:NAMED_LIMIT])
    return f"{len(overdue)} of {len(feed.subscriptions)} subscriptions overdue: {named}" + (
        ", …" if len(overdue) > NAMED_LIMIT else ""
    )


def _severity(is_critical: bool) -> Severity:
    return Severity.CRITICAL if is_critical else Severity.WARNING
