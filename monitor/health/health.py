"""What is measured: counters that anybody may raise with a plain `+= 1`, looked at four times a second.

Writing costs an attribute, never a lock or a dict; all figures, windows and alerts are made in
`sample`, whose cost doesn't depend on how much is sent. So the monitor can't slow what it monitors.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import trio

from monitor.clock import wall_ms
from monitor.config import Lane, Namespace, Settings
from monitor.health import report, rules
from monitor.health.alerts import Alert, Alerts, Finding, Turn
from monitor.health.depth import LaneMeter
from monitor.health.encodings import EncodingMeter
from monitor.health.end_to_end import Samples
from monitor.health.failures import Failure, Failures
from monitor.health.feeds import FeedHealth, Standing
from monitor.health.journal import JournalMeter
from monitor.health.kind import KindMeter
from monitor.health.lag import PROBE_SECONDS, LagMeter
from monitor.health.latency import NS_PER_MS, ROTATIONS_PER_SECOND
from monitor.health.logbook import Logbook
from monitor.health.process import DiskMeter, ProcessMeter
from monitor.health.rates import Counters, RateMeter
from monitor.health.survey import Survey
from monitor.health.tuning import TuningLog
from monitor.health.webhook import WebhookMeter

_log = logging.getLogger("lanecast.alerts")

SAMPLE_SECONDS = 1 / ROTATIONS_PER_SECOND
START_SECONDS = 15
"""Feeds take up their markets and a console comes up beside them: how late all is then calls nobody."""
_LAG_JUDGED_FROM = (START_SECONDS + 60) * ROTATIONS_PER_SECOND
"""Samples, as the windows go by these: with the last of them none of the start's is left in a minute."""
_RATE_SECONDS = 2
"""Shorter makes the shown rates jump, longer makes them lag."""
_KIND_RATE_SECONDS = 10
"""Fills are rarer than one in two seconds."""
_TRAVELS_WITH = {"order_fill": "order_update", "bot_cycle": "bot_status", "bot_lifecycle": "bot_status"}
"""Kinds that share the channels of a namespace whose own kind is another one."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second."""

    published: float
    sent: float
    merged: float
    dropped: float
    bytes: float
    lanes: tuple[float, ...]
    """Messages sent, by lane."""
    kinds: dict[str, float]
    """Publications, by kind."""


@dataclass(slots=True)
class Totals:
    """What happened since start; summed over clients, offered = sent + merged + dropped + pending."""

    published: int = 0
    offered: int = 0
    sent: int = 0
    merged: int = 0
    resent: int = 0
    """Of those offered, what was offered again to clients that had missed it."""
    late: int = 0
    """Of those sent, how many came after their kind's threshold."""
    bytes: int = 0
    """Bytes sent."""
    accepted: int = 0
    """Sockets, also those that were no client's."""
    failed: int = 0
    """Handshakes and connections that ended by an error, or by us for cause."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Messages by reason."""
    closed: Counter[str] = field(default_factory=Counter)
    """Clients' connections by close code."""
    refused: Counter[str] = field(default_factory=Counter)
    """Bad requests by cause."""
    refused_ms: dict[str, int] = field(default_factory=dict)
    """When each of those was last seen to grow, in ms since 1970."""


class Health:
    """Everything that is measured of one server."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self.clock_ns = clock_ns
        self.wall_ms = wall_ms
        self.address: str | None = None
        """Where the server listens; set once it does."""
        self.clients = 0
        self.encodings: dict[str, EncodingMeter] = defaultdict(EncodingMeter)
        """By name."""
        self.subscriptions = 0
        self.channels: Mapping[str, Sized] = {}
        """In use, by who has spoken in them; the hub's own."""
        self.no_room_ns: dict[str, int] = {}
        """When a channel was refused last, by whose it would have been."""
        self.lanes = [LaneMeter() for _ in Lane]
        self.kinds = _kind_meters(settings)
        self.samples = Samples()
        self.tuning = TuningLog(settings.cadence, settings.cadence)
        self.totals = Totals()
        self.lag = LagMeter()
        self.feeds: dict[str, FeedHealth] = {}
        """By name; the app enters each feed that it starts."""
        self.troubles: dict[str, str] = {}
        """What somebody has to mend, in words, by name; who came upon it takes it out again."""
        self.journal = JournalMeter()
        self.process = ProcessMeter()
        self.disk = DiskMeter(settings.data_dir)
        self.survey = Survey()
        """Of the clients that are behind, or on the ladder; made anew after each look at them."""
        self.alerts = Alerts()
        self.alerts.listeners.append(_log_turn)
        self.webhook = WebhookMeter()
        self.logbook = Logbook()
        self._started_ns = clock_ns()
        self._feed_states: dict[str, str] = {}
        self._samples = 0
        self._rates = RateMeter(_RATE_SECONDS * ROTATIONS_PER_SECOND, self._started_ns, self._counters())
        self._kind_rates = RateMeter(
            _KIND_RATE_SECONDS * ROTATIONS_PER_SECOND, self._started_ns, self._kind_counters()
        )
        self._refused_before: Counter[str] = Counter()
        self._failures = Failures()
        self._endings = RateMeter(60, self._started_ns, (0, 0))

    def note_sent(self, lane: Lane, messages: int, frame_bytes: int) -> None:
        """Messages were offered and sent at once, with so many bytes on the wire."""
        totals = self.totals
        totals.offered += messages
        totals.sent += messages
        totals.bytes += frame_bytes
        self.lanes[lane].sent += messages

    def note_offered(self, lane: Lane, messages: int, size_bytes: int) -> None:
        """Messages wait for a client."""
        self.totals.offered += messages
        self.lanes[lane].add(messages, size_bytes)

    def note_delivered(self, lane: Lane, messages: int, size_bytes: int) -> None:
        """Messages that waited were sent."""
        self.totals.sent += messages
        self.lanes[lane].sent += messages
        self.lanes[lane].remove(messages, size_bytes)

    def note_merged(self, lane: Lane, messages: int, size_bytes: int) -> None:
        """Messages that waited became part of another one, which saved so many bytes."""
        self.totals.merged += messages
        self.lanes[lane].remove(messages, size_bytes)

    def note_dropped(self, lane: Lane, messages: int, size_bytes: int, reason: str) -> None:
        """Messages that waited will not be sent."""
        self.totals.dropped[reason] += messages
        self.lanes[lane].remove(messages, size_bytes)

    def note_failed(self, cause: str, peer: str) -> None:
        """A connection ended by an error, or by us for cause."""
        self.totals.failed += 1
        self._failures.add(Failure(self.clock_ns(), cause, peer))

    def uptime_ns(self) -> int:
        """Since the program started."""
        return self.clock_ns() - self._started_ns

    def channel_counts(self) -> dict[str, int]:
        """By who has spoken in them."""
        return {voice: len(channels) for voice, channels in self.channels.items()}

    def rates(self) -> Rates:
        """Over the last two seconds, those of the kinds over the last ten."""
        published, sent, merged, dropped, size_bytes, *lanes = self._rates.per_second()
        kinds = dict(zip(self.kinds, self._kind_rates.per_second(), strict=True))
        return Rates(published, sent, merged, dropped, size_bytes, tuple(lanes), kinds)

    def sample(self) -> bool:
        """Close a quarter second: windows, rates, history and alerts; True when an alert changed."""
        now_ns = self.clock_ns()
        self._samples += 1
        self.samples.expire(now_ns)
        self.lag.rotate()
        self.journal.commit.rotate()
        for kind in self.kinds.values():
            kind.rotate()
        self._date_refusals()
        self._rates.read(now_ns, self._counters())
        self._kind_rates.read(now_ns, self._kind_counters())
        if self._samples % ROTATIONS_PER_SECOND == 0:
            self._end_second(now_ns)
        return self.alerts.update(self._findings(now_ns), now_ns // NS_PER_MS, self.wall_ms())

    def _date_refusals(self) -> None:
        # Here and not where each is counted: in a flood that would ask for the time a thousand times.
        grown = self.totals.refused - self._refused_before
        if grown:
            self.totals.refused_ms |= dict.fromkeys(grown, self.wall_ms())
            self._refused_before = self.totals.refused.copy()

    def _end_second(self, now_ns: int) -> None:
        for lane, oldest_ns in zip(self.lanes, self.survey.oldest_ns, strict=True):
            lane.age_ns = None if oldest_ns is None else max(0, now_ns - oldest_ns)
            lane.end_second()
        self._endings.read(now_ns, (self.totals.closed.total(), self.totals.failed))
        for kind in self.kinds.values():
            kind.end_second()
            if self._samples <= START_SECONDS * ROTATIONS_PER_SECOND:
                kind.budget.begin_anew()
        for feed in self.feeds.values():
            feed.end_second()
        self.lag.end_second()
        self._failures.end_second()
        self.process.read(self.clients)
        self.disk.read()

    def market_feeds(self) -> dict[str, Standing]:
        """How those stand that tell of markets, by name."""
        now_ns = self.clock_ns()
        return {name: feed.standing(now_ns) for name, feed in self.feeds.items() if feed.account is None}

    def feeds_turned(self) -> bool:
        """Whether one of them was lost, has become stale or is back since the last call."""
        before = self._feed_states
        self._feed_states = {name: standing.state for name, standing in self.market_feeds().items()}
        return self._feed_states != before

    def _counters(self) -> Counters:
        totals = self.totals
        return (
            totals.published,
            totals.sent,
            totals.merged,
            totals.dropped.total(),
            totals.bytes,
            *(lane.sent for lane in self.lanes),
        )

    def _kind_counters(self) -> Counters:
        return tuple(kind.count for kind in self.kinds.values())

    def _findings(self, now_ns: int) -> Iterator[Finding]:
        ended, failed = self._endings.gained()
        return chain(
            rules.find_deep_lanes(self.lanes, self.survey),
            rules.find_slow_clients(self.survey),
            rules.find_full_rooms(self.channel_counts(), self.no_room_ns, now_ns),
            rules.find_late_kinds(self.kinds.values(), self.journal.commit, self.process.wait.share),
            self._find_lag(),
            rules.find_failures(
                self.clients + ended, failed, self._failures.seconds, self._failures.since(now_ns)
            ),
            rules.find_growth(self.process.growth.bytes, self.process.memory_bytes, self.clients),
            rules.find_full_disk(self.disk.free_bytes, self.disk.directory),
            rules.find_troubles(self.troubles),
            rules.find_journal_trouble(self.journal),
            rules.find_troubled_feeds(self.feeds.values(), now_ns),
            rules.find_gaps(self.feeds.values()),
        )

    def _find_lag(self) -> Iterable[Finding]:
        if self._samples < _LAG_JUDGED_FROM:
            return ()
        return rules.find_lag(self.lag, self.process.cpu_percent, self.process.wait.share)


def _log_turn(turn: Turn, alert: Alert) -> None:
    level = logging.INFO if turn is Turn.CLEARED else logging.WARNING
    since = datetime.fromtimestamp(alert.since / 1_000, UTC)
    _log.log(
        level, "%s %s %s, since %s: %s", turn, alert.severity, alert.name, f"{since:%H:%M:%SZ}", alert.message
    )


def _kind_meters(settings: Settings) -> dict[str, KindMeter]:
    spaces = {space.kind: space for space in settings.namespaces.values()}
    return {
        name: _kind_meter(name, kind.threshold_ms, spaces.get(_TRAVELS_WITH.get(name, name)))
        for name, kind in settings.kinds.items()
    }


def _kind_meter(name: str, threshold_ms: float | None, space: Namespace | None) -> KindMeter:
    if space is None:
        return KindMeter(name, None, threshold_ms)
    return KindMeter(name, space.lane, threshold_ms, is_journaled=space.journal)


async def run_health(
    health: Health,
    publish: Callable[[str, bytes], None],
    watched: Callable[[str], bool],
    give_way: Callable[[], Awaitable[None]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Sample four times a second, probe the event loop's lag, publish the `ops:` channels; until cancelled.

    Args:
        publish: takes a channel and its JSON document.
        watched: whether anybody is subscribed to a channel; what nobody watches isn't built.
        give_way: lets what is urgent go first; a sample and its documents take 2 ms in all.
    """
    probe_due = sample_due = _next_due(0, trio.current_time(), PROBE_SECONDS)
    samples = 0
    task_status.started()
    while True:
        await trio.sleep_until(probe_due)
        now = trio.current_time()
        health.lag.note(now - probe_due)
        probe_due = _next_due(probe_due, now, PROBE_SECONDS)
        if now >= sample_due:
            sample_due = _next_due(sample_due, now, SAMPLE_SECONDS)
            await give_way()
            await _publish(health, publish, watched, samples, health.sample())
            samples += 1


def _next_due(due: float, now: float, period_seconds: float) -> float:
    """The schedule's first time after `now`: a late wake-up doesn't move it, missed ones are left out."""
    return due + period_seconds * (int((now - due) / period_seconds) + 1)


async def _publish(
    health: Health,
    publish: Callable[[str, bytes], None],
    watched: Callable[[str], bool],
    samples: int,
    alerts_changed: bool,
) -> None:
    """Build what is due and send it, each in a turn of its own: all at once would hold up a fill for 2 ms."""
    due = {
        report.HEALTH: True,
        report.ALERTS: alerts_changed,
        report.FEEDS: samples % ROTATIONS_PER_SECOND == 0,
        report.MARKET_FEEDS: health.feeds_turned(),
    }
    for channel, is_due in due.items():
        if is_due and watched(channel):
            await trio.lowlevel.checkpoint()
            if document := report.health_document(health, channel):
                await trio.lowlevel.checkpoint()
                publish(channel, document)
