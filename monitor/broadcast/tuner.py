"""Which setting of the cadence moves, when something comes near its limit: one notch, tried, judged.

Prevents oscillation: a step that did not help is taken back and not tried again for long; one that
did is not undone by its opposite for as long; and between two steps every figure is renewed. So in
ten minutes no setting turns round more than three times, whatever is measured.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from monitor.config import Cadence

NEAR = 0.8
"""Of its limit: from here on something is done about it."""
LOOKS = 5
"""Whose median counts, one a second: a single bad second moves nothing."""
WINDOW_SECONDS = 20
"""From a step to its judgement: the figures look back ten seconds, and the looks five."""
REST_SECONDS = 10
"""From a judgement to the next step."""
BARRED_SECONDS = 600
HELPS_BY = 0.05
"""A step helped if its subject's load fell by this share at least."""

NOTCHES: dict[str, tuple[int, ...]] = {
    "tick_ms": (5, 10, 20, 35, 50, 75, 100, 150, 250),
    "tick_messages": (50, 100, 200, 500, 1_000, 2_000),
    "compression_from_bytes": (0, 250, 500, 1_000, 2_000, 4_000, 16_000),
    "compression_level": (1, 3, 5, 7, 9),
}

Move = tuple[str, int]
"""A setting, and up (1) or down (-1)."""

REMEDIES: dict[str, tuple[Move, ...]] = {
    "wait": (("tick_ms", -1), ("compression_level", -1), ("tick_ms", 1)),
    "encode": (("compression_level", -1), ("compression_from_bytes", 1), ("tick_ms", 1)),
    "write": (("tick_ms", 1), ("tick_messages", 1)),
    "bytes": (("compression_from_bytes", -1), ("compression_level", 1), ("tick_ms", 1)),
}
"""By what costs most, in the order in which they are tried. What the venue takes has no remedy here."""


class Pressure(NamedTuple):
    """How near something is to its limit."""

    subject: str
    """A kind, or `bytes`."""
    stage: str
    """What costs most of it: a key of `REMEDIES`, or a stage without a remedy."""
    load: float
    """Share of its limit."""
    words: str


class Change(NamedTuple):
    """What the tuner has done to its cadence, or found out about what it did."""

    knob: str
    before: int
    after: int
    cause: str
    helped: bool | None
    """None for a step that is being tried; False for one that was taken back just now."""


@dataclass(frozen=True, slots=True)
class _Trial:
    move: Move
    before: int
    subject: str
    load: float
    worst: float
    cause: str
    judged_at: float


class Tuner:
    def __init__(self, cadence: Cadence) -> None:
        self.cadence = cadence
        self._loads: dict[str, deque[float]] = {}
        self._trial: _Trial | None = None
        self._rests_until = 0.0
        self._barred: dict[Move, float] = {}
        """Moves that are not made before a time."""

    def judge(self, pressures: Sequence[Pressure], now: float) -> Change | None:
        """Look at how things stand, once a second; `now` is in seconds of any clock."""
        self._note(pressures)
        if self._trial is not None:
            return self._end(self._trial, now) if now >= self._trial.judged_at else None
        if now < self._rests_until:
            return None
        settled = [each for each in pressures if len(self._loads[each.subject]) == LOOKS]
        near = [each for each in settled if self._load(each.subject) >= NEAR]
        for pressure in sorted(near, key=lambda each: -self._load(each.subject)):
            if (change := self._try(pressure, now)) is not None:
                return change
        return None

    def revert(self, cadence: Cadence, now: float) -> None:
        """Go back to a cadence, and don't leave it again the same way for long."""
        for knob in NOTCHES:
            difference = getattr(self.cadence, knob) - getattr(cadence, knob)
            if difference:
                self._barred[knob, 1 if difference > 0 else -1] = now + BARRED_SECONDS
        self.cadence, self._trial = cadence, None
        self._rests_until = now + REST_SECONDS

    def _note(self, pressures: Sequence[Pressure]) -> None:
        """What is not there any more is forgotten: nothing can be said of it."""
        self._loads = {each.subject: self._loads.get(each.subject, deque(maxlen=LOOKS)) for each in pressures}
        for each in pressures:
            self._loads[each.subject].append(each.load)

    def _load(self, subject: str) -> float:
        return median(self._loads[subject])

    def _worst(self) -> float:
        return max(map(self._load, self._loads), default=0.0)

    def _try(self, pressure: Pressure, now: float) -> Change | None:
        for move in REMEDIES.get(pressure.stage, ()):
            knob, _ = move
            before = getattr(self.cadence, knob)
            after = self._notch(move)
            if after is not None and now >= self._barred.get(move, 0):
                self._set(knob, after)
                load = self._load(pressure.subject)
                self._trial = _Trial(
                    move, before, pressure.subject, load, self._worst(), pressure.words, now + WINDOW_SECONDS
                )
                return Change(knob, before, after, pressure.words, None)
        return None

    def _notch(self, move: Move) -> int | None:
        """The setting's next value in that direction; None at its end, and for compression that is off."""
        knob, direction = move
        if knob.startswith("compression") and not self.cadence.compression_level:
            return None
        now = getattr(self.cadence, knob)
        beyond = [notch for notch in NOTCHES[knob] if (notch - now) * direction > 0]
        return min(beyond, key=lambda notch: abs(notch - now), default=None)

    def _set(self, knob: str, value: int) -> None:
        self.cadence = replace(self.cadence, **{knob: value})

    def _end(self, trial: _Trial, now: float) -> Change:
        knob, direction = trial.move
        after = getattr(self.cadence, knob)
        helped = self._helped(trial)
        if helped:
            self._barred[knob, -direction] = now + BARRED_SECONDS
        else:
            self._barred[trial.move] = now + BARRED_SECONDS
            self._set(knob, trial.before)
        self._trial, self._rests_until = None, now + REST_SECONDS
        return Change(knob, trial.before, after, trial.cause, helped)

    def _helped(self, trial: _Trial) -> bool:
        """It did if its subject is better off, and nothing is worse than the worst was."""
        if trial.subject not in self._loads:
            return False
        is_better = self._load(trial.subject) <= (1 - HELPS_BY) * trial.load
        return is_better and self._worst() <= trial.worst
