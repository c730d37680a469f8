"""What is known of the journal: whether it keeps what is published, how long that takes, how full it is."""

from enum import StrEnum

from monitor.health.latency import LatencyMeter


class JournalState(StrEnum):
    OFF = "off"
    """No namespace is journaled."""
    DURABLE = "durable"
    NOT_DURABLE = "not_durable"
    """What is published is sent at once and not kept; `trouble` says why."""


class JournalMeter:
    def __init__(self) -> None:
        self.state = JournalState.OFF
        self.trouble = ""
        """Why it is not durable."""
        self.aside = ""
        """Where a corrupt file was put when a new one was begun."""
        self.since_ms: int | None = None
        """When the state was entered, in ms since 1970."""
        self.depth = 0
        self.waiting_bytes = 0
        """On their way into it, with the commit under way."""
        self.commit = LatencyMeter()
        """From handing a commit to the thread to hearing of its end."""
        self.rows = 0
        self.bytes = 0
        self.kept = 0
        self.not_kept = 0
        """Publications of journaled channels that went out without being in it."""
        self.duplicates = 0

    def enter(self, state: JournalState, trouble: str, now_ms: int) -> None:
        if state is not self.state:
            self.since_ms = now_ms
        self.state = state
        self.trouble = trouble
