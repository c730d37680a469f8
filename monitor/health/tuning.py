"""What tuning has done, for whoever looks: the cadence as set and as it is, and each step with its cause."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from monitor.config import Cadence

STEPS_SHOWN = 20


class Outcome(StrEnum):
    TRYING = "trying"
    KEPT = "kept"
    TAKEN_BACK = "taken back"
    """It did not help."""
    REVERTED = "reverted"
    """An operator wanted it so."""


@dataclass(slots=True)
class TuningStep:
    """One setting moved by one notch."""

    time_ms: int
    knob: str
    """The setting's name."""
    before: int
    after: int
    cause: str
    """In words and numbers."""
    outcome: Outcome = Outcome.TRYING


@dataclass(slots=True)
class TuningLog:
    configured: Cadence
    cadence: Cadence
    is_on: bool = False
    steps: deque[TuningStep] = field(default_factory=lambda: deque(maxlen=STEPS_SHOWN))
    """Oldest first."""
