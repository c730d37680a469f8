"""How the members that keep up are written to, in the order in which they are served.

A plain socket's own `send` stands here: one system call and nothing else. What is encrypted on
its way passes the wire's `send_now`, and costs more; so the clock is looked at more often.
"""

from collections.abc import Callable

BROKEN = -1
SOCKETS_PER_LOOK = 64
"""They cost about 0.2 ms. `send` costs the kernel 4 % less than `write` to the descriptor."""
WIRES_PER_LOOK = 32
"""As long as the plain ones."""

Send = Callable[[bytes], int]


class Line:
    """Wherever a member stands in its group, what sends to it stands here."""

    __slots__ = ("_sends", "clients_per_look")

    def __init__(self, clients_per_look: int) -> None:
        self.clients_per_look = clients_per_look
        """Sends between two looks at the clock."""
        self._sends: list[Send] = []

    def append(self, send: Send) -> None:
        self._sends.append(send)

    def move(self, source: int, target: int) -> None:
        self._sends[target] = self._sends[source]

    def pop(self) -> None:
        self._sends.pop()

    def write(self, frame: bytes, start: int, clock_ns: Callable[[], int], until_ns: int) -> tuple[int, int]:
        """Write a frame to the members from `start` on, until one doesn't take all of it or the time is up.

        Returns:
            The place of the first that has not got all, and how much of it that one took: the frame's
            length if it was not its turn yet, `BROKEN` if its socket is.
        """
        place, taken, last = start, len(frame), len(self._sends)
        while place < last and taken == len(frame):
            place, taken = self._write_some(frame, place)
            if clock_ns() >= until_ns:
                break
        return place, taken

    def _write_some(self, frame: bytes, place: int) -> tuple[int, int]:
        """Write to those between two looks at the clock."""
        length = taken = len(frame)
        try:
            for send in self._sends[place : place + self.clients_per_look]:
                taken = send(frame)
                if taken != length:
                    break
                place += 1
        except BlockingIOError:
            taken = 0
        except OSError:
            taken = BROKEN
        return place, taken
