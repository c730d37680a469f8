"""When an operator is called: raised once something burns, cleared once it has stayed fine.

Two windows decide: bad for half of the last 10 s, or for a tenth of the last 5 min. So one bad second
at night calls nobody, and what is bad a little but again and again does. An alert that hangs at the
edge of its limit doesn't flicker. While it lasts it says how things are, and then how bad they were: what
was worst an hour ago, told as now, names a client that has long gone.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from monitor.errors import LanecastError
from monitor.health.latency import ROTATIONS_PER_SECOND

FAST_MS, FAST_SAMPLES = 10_000, 5 * ROTATIONS_PER_SECOND
SLOW_MS, SLOW_SAMPLES = 300_000, 30 * ROTATIONS_PER_SECOND
"""Of the samples in so much time, how many must be bad."""
CLEAR_MS = 30_000
"""Without a bad sample."""
SAID_MS = 10_000
"""So long an alert's words stand, while it gets no worse: nobody reads them four times a second."""
KEPT = 100
SILENCE_SECONDS_MAX = 7 * 24 * 3_600


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is bad in this sample; `value` is the worse the greater it is."""

    name: str
    severity: Severity
    message: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """What an operator sees; times in ms since 1970."""

    id: int
    name: str
    severity: Severity
    message: str
    """As it was found last, and `value` and `limit` with it; once it is cleared, as it was at its worst."""
    value: float | None
    limit: float | None
    since: int
    """The first bad sample of those that raised it."""
    raised: int
    cleared: int | None = None
    acknowledged: bool = False
    """An operator has seen it."""


class Turn(StrEnum):
    """What became of an alert."""

    RAISED = "raised"
    WORSENED = "worsened"
    """It is critical now."""
    CLEARED = "cleared"


Listener = Callable[[Turn, Alert], None]


class UnknownAlert(LanecastError):
    """There is none of that id or name, not among those that are kept."""


class _Claim:
    """Something that is held to be so, or not: it follows its sign with the hysteresis of the windows."""

    __slots__ = ("_bad_ms", "is_on")

    def __init__(self) -> None:
        self.is_on = False
        self._bad_ms: deque[int] = deque(maxlen=SLOW_SAMPLES)
        """When the last bad samples were."""

    def follow(self, sign: bool, now_ms: int) -> None:
        bad = self._bad_ms
        if sign:
            bad.append(now_ms)
            self.is_on = self.is_on or self._burns(now_ms)
        elif self.is_on and now_ms - bad[-1] >= CLEAR_MS:
            self.is_on = False
            bad.clear()
        while bad and now_ms - bad[0] >= SLOW_MS:
            bad.popleft()

    def _burns(self, now_ms: int) -> bool:
        return self._burns_fast(now_ms) or (
            len(self._bad_ms) == SLOW_SAMPLES and now_ms - self._bad_ms[0] < SLOW_MS
        )

    def _burns_fast(self, now_ms: int) -> bool:
        bad = self._bad_ms
        return len(bad) >= FAST_SAMPLES and now_ms - bad[-FAST_SAMPLES] < FAST_MS

    def since_ms(self, now_ms: int) -> int:
        """The first bad sample of the window that burns."""
        return self._bad_ms[-FAST_SAMPLES if self._burns_fast(now_ms) else 0]

    @property
    def is_idle(self) -> bool:
        return not self.is_on and not self._bad_ms


class _Seen(NamedTuple):
    """What was found, and when, in ms since 1970."""

    finding: Finding
    at_ms: int

    @property
    def badness(self) -> tuple[bool, float]:
        """The greater the worse; of what has no value the last counts."""
        value = self.finding.value
        return self.finding.severity is Severity.CRITICAL, self.at_ms if value is None else value


class _Watch:
    """One name that was found bad lately, and its alert once it is raised."""

    __slots__ = ("alert", "bad", "critical", "said_ms", "worst")

    def __init__(self) -> None:
        self.bad = _Claim()
        self.critical = _Claim()
        self.alert: Alert | None = None
        self.said_ms = 0
        """Since when it has its words, by the clock of the samples."""
        self.worst: _Seen | None = None
        """Since it was raised."""

    def follow(self, finding: Finding | None, now_ms: int) -> None:
        self.bad.follow(finding is not None, now_ms)
        self.critical.follow(finding is not None and finding.severity is Severity.CRITICAL, now_ms)

    def note(self, seen: _Seen) -> None:
        """Keep it, if nothing since the alert was raised was as bad."""
        if self.worst is None or seen.badness > self.worst.badness:
            self.worst = seen

    @property
    def severity(self) -> Severity:
        return Severity.CRITICAL if self.critical.is_on else Severity.WARNING


class Alerts:
    """The active alerts and the last hundred that were cleared."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        """Told at once of each turn; what is silenced as well."""
        self._watches: dict[str, _Watch] = {}
        self._cleared: deque[Alert] = deque(maxlen=KEPT)
        self._silenced: dict[str, int] = {}
        """By name, until when, in ms since 1970."""
        self._last_id = 0
        self._is_changed = False

    def update(self, findings: Iterable[Finding], now_ms: int, wall_ms: int) -> bool:
        """Take in all that is bad now, a name at most once; True when an alert changed since the last call.

        `now_ms` may be any steady clock, `wall_ms` is what the alerts are dated with.
        """
        found = {finding.name: finding for finding in findings}
        for name in found.keys() - self._watches.keys():
            self._watches[name] = _Watch()
        for name in list(self._watches):
            self._follow(name, found.get(name), now_ms, wall_ms)
        self._end_silences(wall_ms)
        changed, self._is_changed = self._is_changed, False
        return changed

    def active(self) -> list[Alert]:
        """Those raised and not cleared, the critical ones first: of many only the first few may be shown."""
        active = (watch.alert for watch in self._watches.values() if watch.alert)
        return sorted(active, key=lambda alert: (alert.severity is not Severity.CRITICAL, -alert.id))

    def all(self) -> list[Alert]:
        """The active ones, then the last hundred cleared ones, newest first."""
        return [*self.active(), *reversed(self._cleared)]

    def silenced_until(self, name: str) -> int | None:
        """In ms since 1970; None if it is not silenced."""
        return self._silenced.get(name)

    def acknowledge(self, alert_id: int) -> Alert:
        """Note that somebody has seen an active alert. Raises UnknownAlert."""
        for watch in self._watches.values():
            if watch.alert is not None and watch.alert.id == alert_id:
                watch.alert = replace(watch.alert, acknowledged=True)
                self._is_changed = True
                return watch.alert
        raise UnknownAlert(f"no alert {alert_id} is active")

    def silence(self, name: str, until_ms: int | None) -> None:
        """Keep a name from calling anybody until then; None ends that. Raises UnknownAlert."""
        if name not in {alert.name for alert in self.all()} | self._silenced.keys():
            raise UnknownAlert(f"no alert is named {name!r}, neither an active nor a cleared one")
        self._is_changed = True
        if until_ms is None:
            self._end_silence(name)
        else:
            self._silenced[name] = until_ms

    def _end_silences(self, wall_ms: int) -> None:
        for name in [name for name, until_ms in self._silenced.items() if until_ms <= wall_ms]:
            self._end_silence(name)

    def _end_silence(self, name: str) -> None:
        """Say what goes on: nobody was called for it."""
        if self._silenced.pop(name, None) is None:
            return
        self._is_changed = True
        watch = self._watches.get(name)
        if watch is not None and watch.alert is not None:
            self._tell(Turn.RAISED, watch.alert)

    def _follow(self, name: str, finding: Finding | None, now_ms: int, wall_ms: int) -> None:
        watch = self._watches[name]
        watch.follow(finding, now_ms)
        if watch.bad.is_on:
            before = watch.alert or self._new(name, wall_ms - now_ms + watch.bad.since_ms(now_ms), wall_ms)
            self._keep(watch, before, finding, now_ms, wall_ms)
        elif watch.alert is not None:
            self._clear(watch, watch.alert, wall_ms)
        if watch.bad.is_idle:
            del self._watches[name]

    def _new(self, name: str, since: int, wall_ms: int) -> Alert:
        """One that has yet to be told what was found."""
        self._last_id += 1
        return Alert(self._last_id, name, Severity.WARNING, "", None, None, since, raised=wall_ms)

    def _keep(self, watch: _Watch, before: Alert, finding: Finding | None, now_ms: int, wall_ms: int) -> None:
        alert, turn = before, Turn.RAISED if watch.alert is None else None
        if turn is None and before.severity is Severity.WARNING and watch.severity is Severity.CRITICAL:
            alert, turn = replace(before, acknowledged=False), Turn.WORSENED  # what was seen was less
        if finding is not None:
            watch.note(_Seen(finding, wall_ms))
            if turn is not None or now_ms - watch.said_ms >= SAID_MS:
                alert, watch.said_ms = _worded(alert, finding), now_ms
        watch.alert = replace(alert, severity=watch.severity)
        self._is_changed |= watch.alert != before
        if turn is not None:
            self._tell(turn, watch.alert)

    def _clear(self, watch: _Watch, alert: Alert, wall_ms: int) -> None:
        assert watch.worst is not None  # what raised it
        cleared = replace(_at_worst(alert, watch.worst), cleared=wall_ms)
        self._cleared.append(cleared)
        watch.alert = None
        self._is_changed = True
        self._tell(Turn.CLEARED, cleared)

    def _tell(self, turn: Turn, alert: Alert) -> None:
        for listener in self.listeners:
            listener(turn, alert)


def _worded(alert: Alert, finding: Finding) -> Alert:
    return replace(alert, message=finding.message, value=finding.value, limit=finding.limit)


def _at_worst(alert: Alert, worst: _Seen) -> Alert:
    at = datetime.fromtimestamp(worst.at_ms / 1_000, UTC)
    message = f"{worst.finding.message} (at its worst, {at:%Y-%m-%d %H:%M:%SZ})"
    return _worded(alert, replace(worst.finding, message=message))
