"""What is bad: each rule looks at one measure and names what is beyond its limit, in words and numbers.

Pure and cheap: a rule that finds nothing builds nothing. How long something must stay bad before
anybody is called is not decided here but in `alerts`.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from monitor.config import Lane
from monitor.health.alerts import Finding, Severity
from monitor.health.depth import LaneMeter
from monitor.health.feeds import SILENT_NS, FeedHealth, FeedState
from monitor.health.journal import JournalMeter, JournalState
from monitor.health.kind import KindMeter
from monitor.health.latency import NS_PER_MS, Histogram, Summary
from monitor.health.rates import NS_PER_SECOND

DEPTH_LIMIT = 100
"""Messages waiting in one lane, all clients together; critical at ten times that."""
FAILED_LIMIT = 0.05
"""Share of the connections of the last minute; critical at four times that."""
FAILED_AT_LEAST = 10
"""Connections in the last minute below which a share says nothing."""
WARNING_SHARE = 0.8
"""Of a threshold."""
LATE_AT_LEAST = 2
"""A single late one among a hundred or fewer is the p99 already, and no reason to call anybody."""
LAG_LIMIT_MS = 10.0
"""p99 over 10 s: all that is promised for an order fill; critical at five times that."""
LAG_AT_LEAST = 190
"""Probes, nearly a whole window's; with fewer the stalls of a start would be the p99."""
GROWTH_LIMIT_BYTES = 64 * 1024 * 1024
"""In ten minutes, beyond what new clients may take; critical at four times that."""

_NAMED_LIMIT = 3
"""A feed may have a thousand subscriptions; a sentence names the first few."""


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
    return Standing.WARNING if p99_ns > WARNING_SHARE * threshold_ns else Standing.OK


def find_deep_lanes(lanes: list[LaneMeter]) -> Iterator[Finding]:
    """Lanes in which more messages wait than should."""
    for lane, meter in zip(Lane, lanes, strict=True):
        if meter.depth > DEPTH_LIMIT:
            yield Finding(
                f"depth:{lane.name.lower()}",
                _severity(meter.depth > 10 * DEPTH_LIMIT),
                f"{lane.name.lower()} lane: {meter.depth} messages wait, the limit is {DEPTH_LIMIT}",
                meter.depth,
                DEPTH_LIMIT,
            )


def find_late_kinds(kinds: Iterable[KindMeter]) -> Iterator[Finding]:
    """Kinds whose p99 of the last minute is near or over their threshold."""
    for kind in kinds:
        if kind.threshold_ns is not None:
            yield from _find_late(kind.name, kind.threshold_ns, kind.latency.last_minute)


def _find_late(name: str, threshold_ns: int, last_minute: Histogram) -> Iterator[Finding]:
    p99_ns = last_minute.summary().p99_ns
    standing = standing_of(threshold_ns, p99_ns)
    if p99_ns is None or standing is Standing.OK:
        return
    is_over = standing is Standing.OVER
    above = last_minute.count_above(threshold_ns if is_over else round(WARNING_SHARE * threshold_ns))
    if above >= LATE_AT_LEAST:
        p99_ms, threshold_ms = p99_ns / NS_PER_MS, threshold_ns / NS_PER_MS
        limit = f"its {threshold_ms:g} ms" if is_over else f"{WARNING_SHARE:.0%} of its {threshold_ms:g} ms"
        yield Finding(
            f"latency:{name}",
            _severity(is_over),
            f"{name}: p99 of the last minute is {p99_ms:.1f} ms, more than {limit}; "
            f"{above} of {last_minute.count} took longer",
            round(p99_ms, 3),
            threshold_ms,
        )


def find_lag(last_10s: Summary) -> Iterator[Finding]:
    """An event loop that wakes its tasks too late."""
    if last_10s.p99_ns is None or last_10s.count < LAG_AT_LEAST:
        return
    lag_ms = last_10s.p99_ns / NS_PER_MS
    if lag_ms > LAG_LIMIT_MS:
        yield Finding(
            "loop_lag",
            _severity(lag_ms > 5 * LAG_LIMIT_MS),
            f"event loop: {lag_ms:.1f} ms late at p99 over the last 10 s, the limit is {LAG_LIMIT_MS:g} ms",
            round(lag_ms, 3),
            LAG_LIMIT_MS,
        )


def find_failures(connections: int, failed: int) -> Iterator[Finding]:
    """Too great a share of the connections that the last minute saw, open or ended, failed."""
    if connections >= FAILED_AT_LEAST and failed > FAILED_LIMIT * connections:
        share = failed / connections
        yield Finding(
            "failed_connections",
            _severity(share > 4 * FAILED_LIMIT),
            f"{failed} of {connections} connections failed in the last minute: {share:.0%}, "
            f"the limit is {FAILED_LIMIT:.0%}",
            round(share, 4),
            FAILED_LIMIT,
        )


def find_journal_trouble(journal: JournalMeter) -> Iterator[Finding]:
    """A journal that keeps nothing, or began anew because the one that was there is corrupt."""
    if journal.state is JournalState.NOT_DURABLE:
        yield Finding(
            "journal",
            Severity.CRITICAL,
            f"the journal fails: {journal.trouble}; orders and bots go out at once but are not kept",
        )
    elif journal.aside:
        yield Finding(
            "journal",
            Severity.WARNING,
            f"the journal was corrupt: it is kept as it was in {journal.aside}, and a new one was begun",
        )


def find_growth(grown_bytes: int) -> Iterator[Finding]:
    """Memory that rises though the number of clients doesn't."""
    if grown_bytes > GROWTH_LIMIT_BYTES:
        yield Finding(
            "memory_growth",
            _severity(grown_bytes > 4 * GROWTH_LIMIT_BYTES),
            f"memory grew by {grown_bytes / 2**20:.0f} MiB in ten minutes beyond what new clients take, "
            f"the limit is {GROWTH_LIMIT_BYTES / 2**20:.0f} MiB",
            grown_bytes,
            GROWTH_LIMIT_BYTES,
        )


def find_troubles(troubles: Mapping[str, str]) -> Iterator[Finding]:
    """What somebody has to mend, said by who came upon it."""
    for name, message in troubles.items():
        yield Finding(name, Severity.CRITICAL, message)


def find_troubled_feeds(feeds: Iterable[FeedHealth], now_ns: int) -> Iterator[Finding]:
    """Feeds that are stale or have lost their venue; `now_ns` is the monotonic time."""
    for feed in feeds:
        state = feed.state(now_ns)
        if state is FeedState.STALE:
            message = f"{feed.name}: stale, {_staleness(feed, now_ns)}"
            yield Finding(f"feed:{feed.name}", Severity.WARNING, message)
        elif feed.error is not None and state in (FeedState.RETRYING, FeedState.CONNECTING):
            message = f"{feed.name}: not connected, retry {feed.reconnects}: {feed.error}"
            yield Finding(f"feed:{feed.name}", Severity.CRITICAL, message)


def _staleness(feed: FeedHealth, now_ns: int) -> str:
    overdue = [name for name, subscription in feed.subscriptions.items() if subscription.is_overdue(now_ns)]
    if not overdue:
        return f"silent for more than {SILENT_NS / NS_PER_SECOND:g} s"
    named = ", ".join(overdue[:_NAMED_LIMIT])
    return f"{len(overdue)} of {len(feed.subscriptions)} subscriptions overdue: {named}" + (
        ", …" if len(overdue) > _NAMED_LIMIT else ""
    )


def _severity(is_critical: bool) -> Severity:
    return Severity.CRITICAL if is_critical else Severity.WARNING
