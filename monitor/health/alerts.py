"""When an operator is called: raised once something burns, cleared once it has stayed fine.

Two windows decide: bad for half of the last 10 s, or for a tenth of the last 5 min. So one bad second
at night calls nobody, and what is bad a little but again and again does. An alert that hangs at the
edge of its limit doesn't flicker, and while it lasts it keeps the worst that was seen.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from monitor.errors import LanecastError
from monitor.health.latency import ROTATIONS_PER_SECOND

FAST_MS, FAST_SAMPLES = 10_000, 5 * ROTATIONS_PER_SECOND
SLOW_MS, SLOW_SAMPLES = 300_000, 30 * ROTATIONS_PER_SECOND
"""Of the samples in so much time, how many must be bad."""
CLEAR_MS = 30_000
"""Without a bad sample."""
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


class _Watch:
    """One name that was found bad lately, and its alert once it is raised."""

    __slots__ = ("alert", "bad", "critical")

    def __init__(self) -> None:
        self.bad = _Claim()
        self.critical = _Claim()
        self.alert: Alert | None = None

    def follow(self, finding: Finding | None, now_ms: int) -> None:
        self.bad.follow(finding is not None, now_ms)
        self.critical.follow(finding is not None and finding.severity is Severity.CRITICAL, now_ms)

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
        """Those raised and not cleared, newest first."""
        return _newest_first(watch.alert for watch in self._watches.values() if watch.alert)

    def all(self) -> list[Alert]:
        """The active ones and the last hundred cleared ones, newest first."""
        return _newest_first([*self.active(), *self._cleared])

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
            self._keep(watch, finding, wall_ms - now_ms + watch.bad.since_ms(now_ms), wall_ms)
        elif watch.alert is not None:
            self._clear(watch, watch.alert, wall_ms)
        if watch.bad.is_idle:
            del self._watches[name]

    def _keep(self, watch: _Watch, finding: Finding | None, since: int, wall_ms: int) -> None:
        before = watch.alert
        if finding is not None:
            watch.alert = self._raised(finding, since, wall_ms) if before is None else _worst(before, finding)
        assert watch.alert is not None
        watch.alert = replace(watch.alert, severity=watch.severity)
        if before is None:
            self._tell(Turn.RAISED, watch.alert)
        elif before.severity is Severity.WARNING and watch.severity is Severity.CRITICAL:
            watch.alert = replace(watch.alert, acknowledged=False)  # of what was less
            self._tell(Turn.WORSENED, watch.alert)
        self._is_changed |= watch.alert != before

    def _raised(self, finding: Finding, since: int, wall_ms: int) -> Alert:
        self._last_id += 1
        return Alert(
            id=self._last_id,
            name=finding.name,
            severity=finding.severity,
            message=finding.message,
            value=finding.value,
            limit=finding.limit,
            since=since,
            raised=wall_ms,
        )

    def _clear(self, watch: _Watch, alert: Alert, wall_ms: int) -> None:
        cleared = replace(alert, cleared=wall_ms)
        self._cleared.append(cleared)
        watch.alert = None
        self._is_changed = True
        self._tell(Turn.CLEARED, cleared)

    def _tell(self, turn: Turn, alert: Alert) -> None:
        for listener in self.listeners:
            listener(turn, alert)


def _worst(alert: Alert, finding: Finding) -> Alert:
    if finding.value is not None and alert.value is not None and finding.value <= alert.value:
        return alert
    return replace(alert, message=finding.message, value=finding.value, limit=finding.limit)


def _newest_first(alerts: Iterable[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: alert.id, reverse=True)
