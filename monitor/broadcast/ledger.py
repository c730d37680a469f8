"""What became of a channel's publications for one client.

It balances at any moment: offered = sent + merged + dropped + pending, in messages and in bytes.
A client that keeps up costs nothing here: its group knows what each member has been sent, and the
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
    merged_bytes: int = 0
    """What merging has saved; of changes that became one it is known once that is sent."""
    dropped: int = 0
    dropped_bytes: int = 0
    late: int = 0
    """Of those sent, how many came after their kind's threshold."""
    pending: int = 0
    pending_bytes: int = 0
    resent: int = 0
    """Of those offered, how many were offered again, because the client had missed them."""
    resent_bytes: int = 0
    """Like all of theirs, counted once the reply that brings them is sent."""

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
        self.pending_bytes += size_bytes

    def resend(self, messages: int) -> None:
        """Offered again, and waiting now."""
        self.queue(messages, 0)
        self.resent += messages

    def measure_resent(self, size_bytes: int) -> None:
        """What was offered again has its frame now."""
        self.queue(0, size_bytes)
        self.resent_bytes += size_bytes

    def deliver(self, messages: int, size_bytes: int) -> None:
        """What waited was sent."""
        self.pending -= messages
        self.pending_bytes -= size_bytes
        self.sent += messages
        self.sent_bytes += size_bytes

    def merge(self, messages: int, size_bytes: int) -> None:
        """So much of what waited is not to be sent on its own any more."""
        self.pending -= messages
        self.pending_bytes -= size_bytes
        self.merged += messages
        self.merged_bytes += size_bytes

    def drop(self, messages: int, size_bytes: int) -> None:
        """What waited will not be sent."""
        self.pending -= messages
        self.pending_bytes -= size_bytes
        self.dropped += messages
        self.dropped_bytes += size_bytes

    def add(self, other: "Ledger") -> None:
        """Take another one's figures in."""
        self.offered += other.offered
        self.offered_bytes += other.offered_bytes
        self.sent += other.sent
        self.sent_bytes += other.sent_bytes
        self.merged += other.merged
        self.merged_bytes += other.merged_bytes
        self.dropped += other.dropped
        self.dropped_bytes += other.dropped_bytes
        self.late += other.late
        self.pending += other.pending
        self.pending_bytes += other.pending_bytes
        self.resent += other.resent
        self.resent_bytes += other.resent_bytes

    @property
    def is_open(self) -> bool:
        """Whether anything waits; that somebody joined or left is no message, and has bytes."""
        return bool(self.pending or self.pending_bytes)

    @property
    def is_balanced(self) -> bool:
        messages = self.sent + self.merged + self.dropped + self.pending
        size_bytes = self.sent_bytes + self.merged_bytes + self.dropped_bytes + self.pending_bytes
        return (self.offered, self.offered_bytes) == (messages, size_bytes)
