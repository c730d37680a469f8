"""How much waits in a lane: now, at its worst in each second, over the last minute.

Depth is pushed by whoever queues, not polled, so that a peak between two looks is seen.
"""

from collections import deque

HISTORY_SECONDS = 60


class LaneMeter:
    """What one lane holds for all clients together; `sent` is counted up by the sender."""

    __slots__ = ("_history", "_second_peak", "age_ns", "bytes", "depth", "sent")

    def __init__(self) -> None:
        self.depth = 0
        """Messages waiting now."""
        self.bytes = 0
        """Bytes waiting now."""
        self.sent = 0
        """Messages sent since start."""
        self.age_ns: int | None = None
        """How long the oldest message had waited when that was looked at, once a second; None: none waits."""
        self._second_peak = 0
        self._history = deque([0] * HISTORY_SECONDS, maxlen=HISTORY_SECONDS)

    def add(self, messages: int, size_bytes: int) -> None:
        """Something was queued."""
        self.depth += messages
        self.bytes += size_bytes
        if self.depth > self._second_peak:
            self._second_peak = self.depth

    def remove(self, messages: int, size_bytes: int) -> None:
        """Something left the queue, sent or not."""
        self.depth -= messages
        self.bytes -= size_bytes

    def end_second(self) -> None:
        """Move the peak of the second that ends now into the history."""
        self._history.append(self._second_peak)
        self._second_peak = self.depth

    @property
    def peak(self) -> int:
        """The greatest depth within the last minute."""
        return max(self._second_peak, *self._history)

    @property
    def history(self) -> list[int]:
        """The peak of each of the last 60 whole seconds, oldest first; 0 from before the start."""
        return list(self._history)
