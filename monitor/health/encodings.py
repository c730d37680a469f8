"""What each encoding saves: bytes of the publications for its clients, and of the frames they went out in.

Counted once an item, when its fan-out ends, never for each client.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class EncodingMeter:
    clients: int = 0
    """Connected now."""
    payload_bytes: int = 0
    """Since start, summed over clients, as JSON text."""
    frame_bytes: int = 0
    """The same publications as WebSocket messages, headers included."""

    def note_item(self, clients: int, payload_bytes: int, frame_bytes: int) -> None:
        """One frame went to so many clients."""
        self.payload_bytes += clients * payload_bytes
        self.frame_bytes += clients * frame_bytes

    @property
    def ratio(self) -> float | None:
        """How many times shorter the frames are; None before the first."""
        return self.payload_bytes / self.frame_bytes if self.frame_bytes else None
