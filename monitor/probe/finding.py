"""What a rule says: never without figures, and never without what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that limits a server."""

    cause: str
    sentence: str
    evidence: list[str]
    """Figures, as observed."""
    setting: str
    """What to change."""
    effect: str
    weight: float
    """How many times over its limit it is; what ranks the findings."""
