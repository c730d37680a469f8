"""When an operator is called: raised once something has stayed bad, cleared once it has stayed fine.

One bad sample raises nothing and one good sample clears nothing, so an alert at the edge of its
limit doesn't flicker. While it lasts it keeps the worst that was seen.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

RAISE_MS = 1_000
CLEAR_MS = 10_000
KEPT = 100


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
    raised: int
    cleared: int | None = None


class _Latch:
    """A claim that follows its sign only after the sign has held for a while."""

    __slots__ = ("_differs_since_ms", "is_on")

    def __init__(self) -> None:
        self.is_on = False
        self._differs_since_ms: int | None = None

    def follow(self, sign: bool, now_ms: int) -> None:
        if sign == self.is_on:
            self._differs_since_ms = None
            return
        if self._differs_since_ms is None:
            self._differs_since_ms = now_ms
        if now_ms - self._differs_since_ms >= (RAISE_MS if sign else CLEAR_MS):
            self.is_on = sign
            self._differs_since_ms = None

    @property
    def is_idle(self) -> bool:
        return not self.is_on and self._differs_since_ms is None


class _Watch:
    """One name that was found bad lately, and its alert once it is raised."""

    __slots__ = ("alert", "bad", "critical")

    def __init__(self) -> None:
        self.bad = _Latch()
        self.critical = _Latch()
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
        self._watches: dict[str, _Watch] = {}
        self._cleared: deque[Alert] = deque(maxlen=KEPT)
        self._last_id = 0

    def update(self, findings: Iterable[Finding], now_ms: int, wall_ms: int) -> bool:
        """Take in all that is bad now, a name at most once; True when an alert changed.

        `now_ms` may be any steady clock, `wall_ms` is what the alerts are dated with.
        """
        found = {finding.name: finding for finding in findings}
        for name in found.keys() - self._watches.keys():
            self._watches[name] = _Watch()
        changes = [self._follow(name, found.get(name), now_ms, wall_ms) for name in list(self._watches)]
        return any(changes)

    def active(self) -> list[Alert]:
        """Those raised and not cleared, newest first."""
        return _newest_first(watch.alert for watch in self._watches.values() if watch.alert)

    def all(self) -> list[Alert]:
        """The active ones and the last hundred cleared ones, newest first."""
        return _newest_first([*self.active(), *self._cleared])

    def _follow(self, name: str, finding: Finding | None, now_ms: int, wall_ms: int) -> bool:
        watch = self._watches[name]
        watch.follow(finding, now_ms)
        before = watch.alert
        if not watch.bad.is_on:
            self._clear(watch, wall_ms)
        elif finding is not None:
            watch.alert = self._raised(finding, wall_ms) if before is None else _worsened(before, finding)
        if watch.alert is not None:
            watch.alert = replace(watch.alert, severity=watch.severity)
        if watch.bad.is_idle:
            del self._watches[name]
        return watch.alert != before

    def _raised(self, finding: Finding, wall_ms: int) -> Alert:
        self._last_id += 1
        return Alert(
            id=self._last_id,
            name=finding.name,
            severity=finding.severity,
            message=finding.message,
            value=finding.value,
            limit=finding.limit,
            raised=wall_ms,
        )

    def _clear(self, watch: _Watch, wall_ms: int) -> None:
        if watch.alert is not None:
            self._cleared.append(replace(watch.alert, cleared=wall_ms))
            watch.alert = None


def _worsened(alert: Alert, finding: Finding) -> Alert:
    if finding.value is not None and alert.value is not None and finding.value <= alert.value:
        return alert
    return replace(alert, message=finding.message, value=finding.value, limit=finding.limit)


def _newest_first(alerts: Iterable[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: alert.id, reverse=True)
