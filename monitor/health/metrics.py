"""The same figures for Prometheus, made when it asks and never before.

Base units (seconds, bytes) and counters that only rise. Figures that aren't known have no sample.
No registry is global: that would mix two servers in one process.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import trio
from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

import monitor
from monitor.config import Lane
from monitor.health.health import Health
from monitor.health.journal import JournalMeter, JournalState
from monitor.health.latency import NS_PER_MS, Histogram
from monitor.health.rates import NS_PER_SECOND
from monitor.health.report import feeds_report

CONTENT_TYPE = CONTENT_TYPE_LATEST

_BOUNDS_MS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 10_000)
"""They hold the default thresholds; a count at a bound is exact to the histogram's 1.6 %."""

_FEED_COUNTERS = {
    "messages": "Messages received from the venue.",
    "gaps": "Times that something was found missing.",
    "retries": "Times that the venue could not be reached, or its connection was lost.",
    "garbage": "Messages that could not be understood.",
}

FRESH_NS = NS_PER_SECOND // 4
"""As often as the windows turn."""

Labelled = Iterable[tuple[str, float]]
"""A label's value and its sample."""


class Exposition:
    """All metrics as text, made at most four times a second: whoever can reach this server may ask."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._text = b""
        self._due_ns = 0
        self._making = trio.Lock()

    async def text(self) -> bytes:
        """To be served as `CONTENT_TYPE`. Others have their turn after each family: all take 5 to 10 ms."""
        async with self._making:
            if (now_ns := self._health.clock_ns()) >= self._due_ns:
                parts = []
                for part in exposition(self._health):
                    parts.append(part)
                    await trio.lowlevel.checkpoint()
                self._text, self._due_ns = b"".join(parts), now_ns + FRESH_NS
            return self._text


def exposition(health: Health) -> Iterator[bytes]:
    """All metrics as text, family by family."""
    families = chain(
        _server_metrics(health),
        _message_metrics(health),
        _connection_metrics(health),
        _encoding_metrics(health),
        _latency_metrics(health),
        _journal_metrics(health.journal),
        _feed_metrics(health),
        ProcessCollector(registry=None).collect(),
    )
    return (generate_latest(_Family(family)) for family in families)


class _Family(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _server_metrics(health: Health) -> Iterator[Metric]:
    yield InfoMetricFamily("lanecast_build", "The running version.", {"version": monitor.__version__})
    yield GaugeMetricFamily("lanecast_uptime_seconds", "Since the start.", health.uptime_ns() / NS_PER_SECOND)
    yield _active_alerts(health)
    webhook = health.webhook
    yield CounterMetricFamily("lanecast_webhook_sent", "Turns of alerts that were posted.", webhook.sent)
    yield CounterMetricFamily("lanecast_webhook_failed", "Attempts to post one that failed.", webhook.failed)
    yield CounterMetricFamily("lanecast_webhook_dropped", "Those that were given up.", webhook.dropped)
    yield GaugeMetricFamily(
        "lanecast_disk_free_bytes", "Where the data directory is.", health.disk.free_bytes
    )


def _active_alerts(health: Health) -> Metric:
    family = GaugeMetricFamily(
        "lanecast_alert_active", "1 for each alert raised and not cleared.", labels=["name", "severity"]
    )
    for alert in health.alerts.active():
        family.add_metric([alert.name, alert.severity], 1)
    return family


def _message_metrics(health: Health) -> Iterator[Metric]:
    totals = health.totals
    yield CounterMetricFamily("lanecast_published", "Publications taken in.", totals.published)
    yield CounterMetricFamily("lanecast_offered", "Messages meant for clients, one each.", totals.offered)
    yield CounterMetricFamily("lanecast_sent", "Messages sent to clients.", totals.sent)
    yield CounterMetricFamily("lanecast_sent_bytes", "Bytes sent to clients.", totals.bytes)
    yield CounterMetricFamily("lanecast_merged", "Messages replaced by a newer one of theirs.", totals.merged)
    yield CounterMetricFamily("lanecast_resent", "Messages offered again after a recovery.", totals.resent)
    yield _counters("lanecast_dropped", "Messages dropped.", "reason", totals.dropped.items())
    lanes = [(lane.name.lower(), health.lanes[lane]) for lane in Lane]
    yield _gauges("lanecast_lane_depth", "Messages waiting.", "lane", ((n, m.depth) for n, m in lanes))
    yield _gauges("lanecast_lane_bytes", "Bytes waiting.", "lane", ((n, m.bytes) for n, m in lanes))
    yield _counters("lanecast_lane_sent", "Messages sent.", "lane", ((n, m.sent) for n, m in lanes))


def _connection_metrics(health: Health) -> Iterator[Metric]:
    totals = health.totals
    yield GaugeMetricFamily("lanecast_clients", "Clients connected.", health.clients)
    yield GaugeMetricFamily("lanecast_subscriptions", "Subscriptions of all clients.", health.subscriptions)
    yield _gauges(
        "lanecast_channels",
        "Channels in use, by who has spoken in them.",
        "voice",
        health.channel_counts().items(),
    )
    yield CounterMetricFamily("lanecast_connections", "Sockets accepted.", totals.accepted)
    yield CounterMetricFamily("lanecast_connections_failed", "Connections that failed.", totals.failed)
    yield _counters(
        "lanecast_closed",
        "Connections closed, by WebSocket close code.",
        "code",
        totals.closed.items(),
    )
    yield _counters("lanecast_refused", "Bad requests refused.", "cause", totals.refused.items())


def _encoding_metrics(health: Health) -> Iterator[Metric]:
    meters = health.encodings.items()
    yield _gauges(
        "lanecast_clients_encoding",
        "Clients by what they are sent.",
        "encoding",
        ((name, meter.clients) for name, meter in meters),
    )
    yield _counters(
        "lanecast_payload_bytes",
        "Bytes of publications for clients, before they were encoded.",
        "encoding",
        ((name, meter.payload_bytes) for name, meter in meters),
    )
    yield _counters(
        "lanecast_frame_bytes",
        "Bytes of the frames that those publications went out in.",
        "encoding",
        ((name, meter.frame_bytes) for name, meter in meters),
    )
    yield _gauges(
        "lanecast_compression_ratio",
        "Payload bytes by frame bytes, since the start.",
        "encoding",
        ((name, meter.ratio) for name, meter in meters if meter.ratio is not None),
    )


def _latency_metrics(health: Health) -> Iterator[Metric]:
    kinds = health.kinds.values()
    yield _histograms(
        "lanecast_latency_seconds",
        "From publish to the last client's socket.",
        "kind",
        ((kind.name, kind.latency.since_start) for kind in kinds),
    )
    yield _stage_seconds(health)
    yield from _end_to_end_metrics(health)
    yield _gauges(
        "lanecast_latency_threshold_seconds",
        "The latency promised for a kind.",
        "kind",
        ((kind.name, kind.threshold_ns / NS_PER_SECOND) for kind in kinds if kind.threshold_ns is not None),
    )
    yield _gauges(
        "lanecast_latency_budget_left_ratio",
        "Of the deliveries that may be late in an hour; below 0 it is overdrawn.",
        "kind",
        ((kind.name, left) for kind in kinds if (left := kind.budget.left) is not None),
    )
    yield _counters(
        "lanecast_late",
        "Publications that reached their last client after the threshold, and slow clients once more each.",
        "kind",
        ((kind.name, kind.late) for kind in kinds if kind.threshold_ns is not None),
    )
    lag = HistogramMetricFamily("lanecast_loop_lag_seconds", "How late the event loop wakes a task.")
    lag.add_metric([], _buckets(health.lag.since_start), _sum_seconds(health.lag.since_start))
    yield lag


def _stage_seconds(health: Health) -> Metric:
    family = CounterMetricFamily(
        "lanecast_stage_seconds", "Where the latency's time went.", labels=["kind", "stage"]
    )
    for kind in health.kinds.values():
        for stage, spent_ns in kind.since_start().stages._asdict().items():
            family.add_metric([kind.name, stage], spent_ns / NS_PER_SECOND)
    return family


def _end_to_end_metrics(health: Health) -> Iterator[Metric]:
    meters = [(kind.name, kind.end_to_end) for kind in health.kinds.values()]
    yield _histograms(
        "lanecast_end_to_end_seconds",
        "From publish until a sampled client had it, each within its error.",
        "kind",
        ((name, meter.latency.since_start) for name, meter in meters),
    )
    yield _histograms(
        "lanecast_end_to_end_error_seconds",
        "The errors of those: half a round trip each.",
        "kind",
        ((name, meter.errors.since_start) for name, meter in meters),
    )
    yield _counters(
        "lanecast_end_to_end_unanswered",
        "Sampled clients that did not answer.",
        "kind",
        ((name, meter.unanswered) for name, meter in meters),
    )


def _journal_metrics(journal: JournalMeter) -> Iterator[Metric]:
    yield _gauges(
        "lanecast_journal_state",
        "1 for the state that the journal is in.",
        "state",
        ((state, state is journal.state) for state in JournalState),
    )
    yield GaugeMetricFamily("lanecast_journal_depth", "Publications that wait for it.", journal.depth)
    yield GaugeMetricFamily("lanecast_journal_waiting_bytes", "Bytes of them.", journal.waiting_bytes)
    yield GaugeMetricFamily("lanecast_journal_rows", "Publications in it.", journal.rows)
    yield GaugeMetricFamily("lanecast_journal_bytes", "Its file's size.", journal.bytes)
    yield CounterMetricFamily("lanecast_journal_kept", "Publications that were put in it.", journal.kept)
    yield CounterMetricFamily(
        "lanecast_journal_not_kept", "Publications that went out without being in it.", journal.not_kept
    )
    yield CounterMetricFamily(
        "lanecast_journal_duplicates", "Publications that were in it already.", journal.duplicates
    )
    commit = HistogramMetricFamily("lanecast_journal_commit_seconds", "From a commit's begin to its end.")
    commit.add_metric([], _buckets(journal.commit.since_start), _sum_seconds(journal.commit.since_start))
    yield commit


def _feed_metrics(health: Health) -> Iterator[Metric]:
    rows = feeds_report(health)["feeds"]
    state = GaugeMetricFamily("lanecast_feed_state", "1 for the state it is in.", labels=["feed", "state"])
    for row in rows:
        state.add_metric([row["name"], row["state"]], 1)
    yield state
    yield _gauges(
        "lanecast_feed_age_seconds",
        "Since its last message.",
        "feed",
        ((row["name"], row["age_ms"] / 1_000) for row in rows if row["age_ms"] is not None),
    )
    for name, documentation in _FEED_COUNTERS.items():
        yield _counters(
            f"lanecast_feed_{name}", documentation, "feed", ((row["name"], row[name]) for row in rows)
        )


def _counters(name: str, documentation: str, label: str, samples: Labelled) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=[label])
    for value, count in samples:
        family.add_metric([value], count)
    return family


def _gauges(name: str, documentation: str, label: str, samples: Labelled) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for value, gauge in samples:
        family.add_metric([value], gauge)
    return family


def _histograms(
    name: str, documentation: str, label: str, samples: Iterable[tuple[str, Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, documentation, labels=[label])
    for value, histogram in samples:
        family.add_metric([value], _buckets(histogram), _sum_seconds(histogram))
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    counts = [
        (str(bound_ms / 1_000), histogram.count - histogram.count_above(round(bound_ms * NS_PER_MS)))
        for bound_ms in _BOUNDS_MS
    ]
    return [*counts, ("+Inf", histogram.count)]


def _sum_seconds(histogram: Histogram) -> float:
    return histogram.sum_ns() / NS_PER_SECOND
