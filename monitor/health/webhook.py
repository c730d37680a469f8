"""What became of the alerts that were to be posted."""

from dataclasses import dataclass


@dataclass(slots=True)
class WebhookMeter:
    sent: int = 0
    failed: int = 0
    """Attempts; most are followed by another one."""
    dropped: int = 0
    """Given up after the last attempt, or pushed out by newer ones."""
