"""Clients that do harm, each in its own way and for some seconds; a server must not let the others feel it.

All of them are bounded: in sockets, in acts a second, and by their deadline.
"""

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

from monitor.probe.door import Door, request, text_frame

PATIENCE_SECONDS = 2.0
ACTS_PER_SECOND = 100
STUCK, SLOW, HALF_OPEN, FLOODING = 5, 20, 60, 5
"""Clients of a kind."""
BURST = 50
"""Commands at once; twice as many in a second are more than a server takes from one client."""
_SIP_BYTES = 256
_RECEIVE_BYTES = 4_096
"""Of the kernel, so that not reading is soon felt."""


class Villains:
    """Those of one server, who read or leave unread one channel."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._address = door.resolve()
        self._tls = door.tls()

    def act(self, name: str, channel: str, seconds: float) -> None:
        """Do harm for so long; who is thrown out comes again."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.ExitStack() as stack:
                try:
                    VILLAINS[name](self, stack, channel, deadline)
                except OSError:
                    time.sleep(1 / ACTS_PER_SECOND)

    def idle(self, seconds: float) -> None:
        """Harm nobody for so long."""
        time.sleep(seconds)

    def never_read(self, stack: contextlib.ExitStack, channel: str, deadline: float) -> None:
        clients = [stack.enter_context(self._join(channel)) for _ in range(STUCK)]
        _wait_thrown_out(clients, deadline)

    def read_slowly(self, stack: contextlib.ExitStack, channel: str, deadline: float) -> None:
        clients = [stack.enter_context(self._join(channel)) for _ in range(SLOW)]
        for _ in _paced(deadline, 10):
            for client in clients:
                if select.select([client], [], [], 0)[0]:
                    client.recv(_SIP_BYTES)

    def reset(self, stack: contextlib.ExitStack, channel: str, deadline: float) -> None:
        for _ in _paced(deadline, ACTS_PER_SECOND):
            with self._join(channel) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def stay_half_open(self, stack: contextlib.ExitStack, channel: str, deadline: float) -> None:
        """Some without a request, some with half of one, some with a frame's first byte."""
        for number in range(HALF_OPEN):
            client = stack.enter_context(self._join(channel) if number % 3 == 2 else self._dial())
            client.sendall((b"", request(self._door)[:40], b"\x81")[number % 3])
        time.sleep(max(0.0, deadline - time.monotonic()))

    def leave_in_frame(self, stack: contextlib.ExitStack, channel: str, deadline: float) -> None:
        half = text_frame(b'{"id":9,"rpc":{"method":"' + b"x" * 4_000)[:2_000]
        for _ in _paced(deadline, ACTS_PER_SECOND):
            with self._join(channel) as client:
                client.sendall(half)

    def flood_commands(self, stack: contextlib.ExitStack, channel: str, deadline: float) -> None:
        burst = b"".join(text_frame(b'{"id":%d,"rpc":{"method":"me"}}' % n) for n in range(9, 9 + BURST))
        clients = [stack.enter_context(self._join(channel)) for _ in range(FLOODING)]
        for _ in _paced(deadline, ACTS_PER_SECOND / FLOODING):
            for client in clients:
                client.sendall(burst)
                while select.select([client], [], [], 0)[0]:
                    if not client.recv(65_536):
                        return

    def _dial(self) -> socket.socket:
        family, address = self._address
        client = socket.socket(family)
        client.settimeout(PATIENCE_SECONDS)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        try:
            client.connect(address)
            return (
                client
                if self._tls is None
                else self._tls.wrap_socket(client, server_hostname=self._door.host)
            )
        except BaseException:
            client.close()
            raise

    def _join(self, channel: str) -> socket.socket:
        client = self._dial()
        try:
            client.sendall(request(self._door))
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := client.recv(512)):
                    raise ConnectionResetError
                head += more
            client.sendall(text_frame(self._door.hello([channel])))
            client.recv(512)
        except BaseException:
            client.close()
            raise
        return client


VILLAINS: dict[str, Callable[[Villains, contextlib.ExitStack, str, float], None]] = {
    "never reads": Villains.never_read,
    "reads slowly": Villains.read_slowly,
    "resets": Villains.reset,
    "half open": Villains.stay_half_open,
    "leaves in a frame": Villains.leave_in_frame,
    "floods commands": Villains.flood_commands,
}


def _paced(deadline: float, rate: float) -> Iterator[None]:
    """At most so often a second, until the deadline."""
    while (began := time.monotonic()) < deadline:
        yield
        time.sleep(max(0.0, began + 1 / rate - time.monotonic()))


def _wait_thrown_out(clients: list[socket.socket], deadline: float) -> None:
    """Until the server has ended one of them, without taking any of what it sent before."""
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLRDHUP)
    poll.poll(max(0.0, deadline - time.monotonic()) * 1_000)
