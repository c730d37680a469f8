"""Many clients in one process, as light as Python has them: they join, hear, and go.

A client here is a socket and a few words. Some of them look at what they are sent, and go before the
others, whose sockets are only emptied now and then: so it is the server which is measured and not
this. How busy and how late this process itself was is part of each answer all the same.
"""

import errno
import os
import re
import selectors
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import quantiles

from monitor.descriptors import OTHERS, allow_sockets
from monitor.errors import ConfigError
from monitor.probe.door import Door, request, text_frame

READERS = 200
"""Clients, evenly spread, that look at what they are sent."""
SWEEP_SECONDS = 0.25
"""From one time that the others' sockets are emptied to the next; what a socket holds is far more."""
SWEPT_AT_ONCE = 16
"""Of them, between two looks at the readers: 0.1 ms."""
AT_ONCE = 128
"""Handshakes under way, but in a wave."""
JOIN_SECONDS = 5.0
_TOO_LATE = f"not in within {JOIN_SECONDS:g} s"
SAMPLES = 500_000
"""Latencies kept of one listening; more are counted and no more kept."""
CHUNK_BYTES = 65_536
TURN_SECONDS = 0.05
_MARK = re.compile(rb'"mark":"([^"/]{1,64})/(\d{1,20})"')
_MARK_BYTES = 100
_ERROR = re.compile(rb'"error":\{"code":(\d{1,5})')
_CLOSE = re.compile(rb"\x88[\x02-\x7d]([\x03-\x13].)", re.DOTALL)
"""By its code, 1000 to 4999 and no text: the length of a text frame may end in the same byte, as 136 does."""
_PING, _PONG = b"\x81\x02{}", text_frame(b"{}")


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of an attempt to have so many clients."""

    clients: int
    failures: dict[str, int]
    """Attempts that failed, by their cause in words."""
    took_ms: list[float]
    """Of each client that came in, from dialling to its last subscription; sorted."""
    seconds: float
    """Until the last was in, or given up."""


@dataclass(frozen=True, slots=True)
class Listened:
    """What the readers heard in some seconds, and how this process fared."""

    latencies_ms: dict[str, list[float]]
    """By kind, from the publisher's call to the reader's hand; sorted."""
    cut: dict[str, int]
    """Clients that the server ended, by its reason in words."""
    cpu_percent: float
    """Of a core, this process."""
    lag_ms: float
    """What a message may have waited for us, in 9 of 10 turns at most."""


def mark(kind: str) -> str:
    """What a publication carries so that its latency can be told by whoever reads it on this machine."""
    return f"{kind}/{time.monotonic_ns()}"


def allow_descriptors(least: int, clients: int) -> int:
    """Let this process have sockets for so many clients; returns for how many it may.

    Raises ConfigError if they are not even `least`.
    """
    allowed = allow_sockets(clients)
    if allowed < least:
        raise ConfigError(
            f"this process may open {allowed + OTHERS} files, and {least} clients need {least + OTHERS}:"
            " raise that bound (ulimit -n)"
        )
    return allowed


class _Member:
    """One client; `step` is what is done next when its socket has something."""

    __slots__ = ("began", "is_in", "is_reader", "number", "seen", "socket", "step")

    def __init__(self, number: int, connection: socket.socket, step: Callable[["_Member"], None]) -> None:
        self.number = number
        self.socket = connection
        self.step = step
        self.began = time.monotonic()
        self.is_in = False
        self.is_reader = False
        self.seen = b""
        """While it joins all it was sent; then the end of it, in which a mark may have begun."""

    @property
    def is_watched(self) -> bool:
        return self.is_reader or not self.is_in


class Crowd:
    """Clients of one server; each method blocks until it can answer."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._family, self._address = door.resolve()
        self._tls = door.tls()
        self._rooms: Mapping[str, int] = {}
        self._selector = selectors.DefaultSelector()
        """Of those who join, and of the readers while they listen."""
        self._members: dict[int, _Member] = {}
        self._unswept: list[_Member] = []
        self._sweep_at = 0.0
        self._in = 0
        self._failures: Counter[str] = Counter()
        self._cut: Counter[str] = Counter()
        self._took_ms: list[float] = []
        self._latencies: dict[str, list[float]] | None = None
        self._since_ns = 0
        self._turns: list[float] = []

    def invite(self, rooms: Mapping[str, int]) -> None:
        """Which channels each client subscribes to, and for how many of them there is room (0: all)."""
        self._rooms = rooms

    def join(self, clients: int, at_once: int = AT_ONCE) -> Joined:
        """Have so many clients: more come in, or the newest go."""
        self._failures.clear()
        self._took_ms.clear()
        for number in [number for number in self._members if number >= clients]:
            self._drop(self._members[number])
        began = time.monotonic()
        deadline = began + JOIN_SECONDS
        waiting = [number for number in range(clients) if number not in self._members]
        waiting.reverse()
        while (waiting or self._in < len(self._members)) and time.monotonic() < deadline:
            while waiting and len(self._members) - self._in < at_once:
                try:
                    self._dial(waiting.pop())
                except OSError as error:
                    self._failures[error.strerror or str(error)] += 1
            self._turn(deadline)
        for member in [member for member in self._members.values() if not member.is_in]:
            self._fail(member, _TOO_LATE)
        self._failures.update(_TOO_LATE for _ in waiting)
        seconds = time.monotonic() - began
        return Joined(self._in, dict(self._failures), sorted(self._took_ms), seconds)

    def listen(self, seconds: float) -> Listened:
        """What is heard of publications that are made from now on."""
        self._latencies, self._since_ns = {}, time.monotonic_ns()
        self._cut.clear()
        self._turns.clear()
        began, cpu = time.monotonic(), time.process_time()
        self._begin_reading()
        self.idle(seconds)
        self._end_reading()
        share = (time.process_time() - cpu) / (time.monotonic() - began)
        heard, self._latencies = self._latencies, None
        latencies_ms = {kind: sorted(latencies) for kind, latencies in heard.items()}
        lag_ms = 1_000 * quantiles([0.0, 0.0, *self._turns], n=10)[-1]
        return Listened(latencies_ms, dict(self._cut), round(100 * share, 1), round(lag_ms, 3))

    def _begin_reading(self) -> None:
        members = list(self._members.values())
        for member in members[:: max(1, len(members) // READERS)]:
            member.is_reader = True
            self._selector.register(member.socket, selectors.EVENT_READ, member)

    def _end_reading(self) -> None:
        for member in self._members.values():
            if member.is_reader:
                member.is_reader = False
                self._selector.unregister(member.socket)

    def leave(self) -> None:
        """All go at once, by a reset."""
        for member in list(self._members.values()):
            member.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._drop(member)

    def idle(self, seconds: float) -> None:
        """Take what comes for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._turn(deadline)

    def _turn(self, deadline: float) -> None:
        """Who is waited for, and then some of the others if it is time for them."""
        wait = 0.0 if self._unswept else max(0.0, min(TURN_SECONDS, deadline - time.monotonic()))
        ready = self._selector.select(wait)
        began = time.monotonic()
        for key, _ in ready:
            self._advance(key.data)
        self._sweep(began)
        if self._latencies is not None and (ready or self._unswept):
            self._turns.append(time.monotonic() - began)

    def _sweep(self, now: float) -> None:
        if not self._unswept and now >= self._sweep_at:
            self._sweep_at = now + SWEEP_SECONDS
            self._unswept = [member for member in self._members.values() if not member.is_watched]
        for member in self._unswept[-SWEPT_AT_ONCE:]:
            if self._members.get(member.number) is member:
                self._advance(member)
        del self._unswept[-SWEPT_AT_ONCE:]

    def _advance(self, member: _Member) -> None:
        try:
            member.step(member)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._fail(member, error.strerror or str(error))

    def _dial(self, number: int) -> None:
        connection = self._socket()
        try:
            if (error := connection.connect_ex(self._address)) not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
        except OSError:
            connection.close()
            raise
        member = self._members[number] = _Member(number, connection, self._connect)
        self._selector.register(connection, selectors.EVENT_WRITE, member)

    def _socket(self) -> socket.socket:
        """Wrapped before it is connected, so it stays the same one whatever becomes of it."""
        plain = socket.socket(self._family)
        plain.setblocking(False)
        if self._tls is None:
            return plain
        return self._tls.wrap_socket(plain, server_hostname=self._door.host, do_handshake_on_connect=False)

    def _connect(self, member: _Member) -> None:
        if error := member.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        member.step = self._greet
        self._selector.modify(member.socket, selectors.EVENT_READ, member)
        self._greet(member)

    def _greet(self, member: _Member) -> None:
        if isinstance(member.socket, ssl.SSLSocket):
            member.socket.do_handshake()
        member.socket.send(request(self._door))
        member.step = self._enter

    def _enter(self, member: _Member) -> None:
        """The answer to the upgrade."""
        member.seen += self._receive(member)
        head, end, rest = member.seen.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "[: len(head)]):
            raise OSError(0, f"answered {head[9:12].decode(errors='replace')}")
        if end:
            member.seen, member.step = rest, self._subscribe
            member.socket.send(text_frame(self._door.hello(self._wanted(member))))

    def _wanted(self, member: _Member) -> list[str]:
        return [channel for channel, room in self._rooms.items() if not room or member.number < room]

    def _subscribe(self, member: _Member) -> None:
        """Replies come in any order, as each travels in its channel's lane."""
        member.seen += self._receive(member)
        if errors := _ERROR.findall(member.seen):
            raise OSError(0, f"error {errors[0].decode()}")
        if member.seen.count(b'"id":') <= len(self._wanted(member)):
            return
        self._selector.unregister(member.socket)
        member.is_in, member.seen, member.step = True, b"", self._hear
        self._in += 1
        self._took_ms.append((time.monotonic() - member.began) * 1_000)

    def _hear(self, member: _Member) -> None:
        data = self._receive(member)
        if _PING in data:
            member.socket.send(_PONG)
        if self._latencies is not None and member.is_reader:
            self._read(member, self._latencies, data)

    def _read(self, member: _Member, latencies: dict[str, list[float]], data: bytes) -> None:
        now_ns, text, end = time.monotonic_ns(), member.seen + data, 0
        for found in _MARK.finditer(text):
            end = found.end()
            if (stamp_ns := int(found[2])) >= self._since_ns:
                kept = latencies.setdefault(found[1].decode(errors="replace"), [])
                if len(kept) < SAMPLES:
                    kept.append((now_ns - stamp_ns) / 1e6)
        member.seen = text[end:][-_MARK_BYTES:]

    def _receive(self, member: _Member) -> bytes:
        data = member.socket.recv(CHUNK_BYTES)
        if isinstance(member.socket, ssl.SSLSocket):
            while pending := member.socket.pending():
                data += member.socket.recv(pending)
        if closed := _CLOSE.search(data):
            raise OSError(0, f"closed with {int.from_bytes(closed[1], 'big')}")
        if not data:
            raise OSError(0, "cut")
        return data

    def _fail(self, member: _Member, cause: str) -> None:
        (self._cut if member.is_in else self._failures)[cause] += 1
        self._drop(member)

    def _drop(self, member: _Member) -> None:
        self._in -= member.is_in
        del self._members[member.number]
        if member.is_watched:
            self._selector.unregister(member.socket)
        member.socket.close()
