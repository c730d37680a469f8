"""The documents of the `ops:` channels: built four times a second at a fixed cost, however much is sent.

What everybody may know of the feeds, `market:feeds`, is told when it has changed.

A figure that is not known is null, never a zero that looks like one.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

import monitor
from monitor.config import Lane
from monitor.health.depth import LaneMeter
from monitor.health.encodings import EncodingMeter
from monitor.health.end_to_end import EndToEndMeter
from monitor.health.journal import JournalMeter
from monitor.health.kind import KindMeter, Window
from monitor.health.latency import NS_PER_MS
from monitor.health.rates import NS_PER_SECOND
from monitor.health.rules import standing_of

if TYPE_CHECKING:
    from monitor.health.health import Health

HEALTH = "ops:health"
ALERTS = "ops:alerts"
FEEDS = "ops:feeds"
MARKET_FEEDS = "market:feeds"


def has_document(channel: str) -> bool:
    return channel in _REPORTS


def health_document(health: "Health", channel: str) -> bytes | None:
    """A channel's document as things stand now, as JSON; None if health has none for it."""
    report = _REPORTS.get(channel)
    return None if report is None else orjson.dumps(report(health))


def health_report(health: "Health") -> dict[str, Any]:
    """The payload of `ops:health`."""
    lag = health.lag.last_10s.summary()
    rates = health.rates()
    return {
        "time": health.wall_ms(),
        "uptime_seconds": round(health.uptime_ns() / NS_PER_SECOND, 3),
        "version": monitor.__version__,
        "address": health.address,
        "pid": health.process.pid,
        "clients": health.clients,
        "subscriptions": health.subscriptions,
        "channels": sum(health.channel_counts().values()),
        "rates": {
            "published": round(rates.published, 1),
            "sent": round(rates.sent, 1),
            "merged": round(rates.merged, 1),
            "dropped": round(rates.dropped, 1),
            "bytes": round(rates.bytes),
        },
        "totals": _totals(health),
        "lanes": [_lane(lane, health.lanes[lane], rates.lanes[lane]) for lane in Lane],
        "kinds": [_kind(kind, rates.kinds[name]) for name, kind in health.kinds.items()],
        "encodings": [_encoding(name, meter) for name, meter in health.encodings.items()],
        "journal": _journal(health.journal),
        "tuning": tuning_report(health),
        "loop": {"lag_p99_ms": _ms(lag.p99_ns), "lag_max_ms": _ms(lag.worst_ns)},
        "process": {"memory_bytes": health.process.memory_bytes, "cpu_percent": health.process.cpu_percent},
        "disk": {"free_bytes": health.disk.free_bytes},
    }


def tuning_report(health: "Health") -> dict[str, Any]:
    """What tuning has done, the newest step first."""
    log = health.tuning
    return {
        "on": log.is_on,
        "configured": asdict(log.configured),
        "cadence": asdict(log.cadence),
        "steps": [asdict(step) for step in reversed(log.steps)],
    }


def alerts_report(health: "Health") -> dict[str, Any]:
    """The payload of `ops:alerts`."""
    alerts = health.alerts
    return {
        "alerts": [
            asdict(alert) | {"silenced_until": alerts.silenced_until(alert.name)} for alert in alerts.all()
        ]
    }


def feeds_report(health: "Health") -> dict[str, Any]:
    """The payload of `ops:feeds`."""
    now_ns = health.clock_ns()
    return {"feeds": [feed.row(now_ns) for feed in health.feeds.values()]}


def market_feeds_report(health: "Health") -> dict[str, Any]:
    """The payload of `market:feeds`; an account's feed is nobody else's business."""
    return {
        "feeds": [
            {"name": name, "state": standing.state, "since": _since_ms(health, standing.since_ns)}
            for name, standing in health.market_feeds().items()
        ]
    }


def _since_ms(health: "Health", since_ns: int | None) -> int | None:
    """On the wall's clock; at the earliest the start."""
    if since_ns is None:
        return None
    return health.wall_ms() - min(health.clock_ns() - since_ns, health.uptime_ns()) // NS_PER_MS


def _totals(health: "Health") -> dict[str, Any]:
    totals = health.totals
    return {
        "published": totals.published,
        "offered": totals.offered,
        "sent": totals.sent,
        "merged": totals.merged,
        "dropped": totals.dropped.total(),
        "pending": sum(lane.depth for lane in health.lanes),
        "resent": totals.resent,
        "late": totals.late,
        "bytes": totals.bytes,
        "connections": health.clients + totals.closed.total(),
        "failed": totals.failed,
        "drops": dict(totals.dropped),
        "refused": dict(totals.refused),
        "refused_at": totals.refused_ms,
    }


def _journal(journal: JournalMeter) -> dict[str, Any]:
    commit = journal.commit.last_minute.summary()
    return {
        "state": journal.state,
        "since": journal.since_ms,
        "trouble": journal.trouble or None,
        "aside": journal.aside or None,
        "depth": journal.depth,
        "waiting_bytes": journal.waiting_bytes,
        "commit_p50_ms": _ms(commit.p50_ns),
        "commit_p99_ms": _ms(commit.p99_ns),
        "rows": journal.rows,
        "bytes": journal.bytes,
        "kept": journal.kept,
        "not_kept": journal.not_kept,
        "duplicates": journal.duplicates,
    }


def _lane(lane: Lane, meter: LaneMeter, rate: float) -> dict[str, Any]:
    return {
        "lane": lane.name.lower(),
        "depth": meter.depth,
        "bytes": meter.bytes,
        "age_ms": _ms(meter.age_ns),
        "peak": meter.peak,
        "history": meter.history,
        "rate": round(rate, 1),
    }


def _encoding(name: str, meter: EncodingMeter) -> dict[str, Any]:
    return {
        "encoding": name,
        "clients": meter.clients,
        "payload_bytes": meter.payload_bytes,
        "frame_bytes": meter.frame_bytes,
        "ratio": None if meter.ratio is None else round(meter.ratio, 2),
    }


def _kind(kind: KindMeter, rate: float) -> dict[str, Any]:
    last_minute = _window(kind.last_minute())
    return {
        "kind": kind.name,
        "lane": None if kind.lane is None else kind.lane.name.lower(),
        "threshold_ms": None if kind.threshold_ns is None else kind.threshold_ns / NS_PER_MS,
        **last_minute,
        "count": kind.count,
        "rate": round(rate, 1),
        "late": kind.late,
        "budget_left": None if (left := kind.budget.left) is None else round(left, 4),
        "state": standing_of(kind.threshold_ns, kind.latency.last_minute.summary().p99_ns),
        "last_10s": _window(kind.last_10s()),
        "since_start": _window(kind.since_start()),
        "end_to_end": _end_to_end(kind.end_to_end),
    }


def _window(window: Window) -> dict[str, Any]:
    summary = window.latency.summary()
    return {
        "count": summary.count,
        "p50_ms": _ms(summary.p50_ns),
        "p99_ms": _ms(summary.p99_ns),
        "p999_ms": _ms(summary.p999_ns),
        "worst_ms": _ms(summary.worst_ns),
        "stages": _means(window),
        "worst_client": _worst_client(window),
    }


def _end_to_end(meter: EndToEndMeter) -> dict[str, Any] | None:
    """Of the last minute; None as long as nothing was asked for."""
    summary = meter.latency.last_minute.summary()
    if not (meter.latency.since_start.count or meter.unanswered):
        return None
    return {
        "count": summary.count,
        "p50_ms": _ms(summary.p50_ns),
        "p99_ms": _ms(summary.p99_ns),
        "worst_ms": _ms(summary.worst_ns),
        "error_ms": _ms(meter.errors.last_minute.summary().worst_ns),
        "unanswered": meter.unanswered,
    }


def _means(window: Window) -> dict[str, float | None] | None:
    """Milliseconds that each stage took of the mean latency."""
    count = window.latency.count
    if not count:
        return None
    return {f"{stage}_ms": _ms(spent // count) for stage, spent in window.stages._asdict().items()}


def _worst_client(window: Window) -> dict[str, Any] | None:
    if (worst := window.worst) is None:
        return None
    return {"client": worst.client, "ms": _ms(worst.latency_ns), "stage": worst.stage}


def _ms(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else round(duration_ns / NS_PER_MS, 3)


_REPORTS: dict[str, Callable[["Health"], dict[str, Any]]] = {
    HEALTH: health_report,
    ALERTS: alerts_report,
    FEEDS: feeds_report,
    MARKET_FEEDS: market_feeds_report,
}
