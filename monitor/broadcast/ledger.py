"""What became of a channel's publications for one client.

It balances at any moment: offered = sent + merged + dropped + pending, in messages. A client
that keeps up costs nothing here: its group knows what each member has been sent, and the
ledger is brought up to date when the client leaves the fast path or somebody asks.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Ledger:
    """Messages, and their bytes on the wire as the client's encoding has them."""

    offered: int = 0
    offered_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    merged: int = 0
    dropped: int = 0
    late: int = 0
    """Of those sent, how many came after their kind's threshold."""
    pending: int = 0
    resent: int = 0
    """Of those offered, how many were offered again, because the client had missed them."""

    def send(self, messages: int, size_bytes: int) -> None:
        """Offered and sent at once."""
        self.offered += messages
        self.offered_bytes += size_bytes
        self.sent += messages
        self.sent_bytes += size_bytes

    def queue(self, messages: int, size_bytes: int) -> None:
        """Offered, and waiting now."""
        self.offered += messages
        self.offered_bytes += size_bytes
        self.pending += messages

    def resend(self, messages: int) -> None:
        """Offered again, and waiting now."""
        self.queue(messages, 0)
        self.resent += messages

    def deliver(self, messages: int, size_bytes: int) -> None:
        """What waited was sent."""
        self.pending -= messages
        self.sent += messages
        self.sent_bytes += size_bytes

    def merge(self, messages: int) -> None:
        """So many that waited are no messages of their own any more."""
        self.pending -= messages
        self.merged += messages

    def drop(self, messages: int) -> None:
        """What waited will not be sent."""
        self.pending -= messages
        self.dropped += messages

    def add(self, other: "Ledger") -> None:
        """Take another one's figures in."""
        self.offered += other.offered
        self.offered_bytes += other.offered_bytes
        self.sent += other.sent
        self.sent_bytes += other.sent_bytes
        self.merged += other.merged
        self.dropped += other.dropped
        self.late += other.late
        self.pending += other.pending
        self.resent += other.resent

    @property
    def is_balanced(self) -> bool:
        return self.offered == self.sent + self.merged + self.dropped + self.pending
