"""What a stand-in has to say, and the shape in which every venue's dialect says it.

A venue's file decides which paths, commands and streams exist and how a recorded message looks on
one connection; this one decides when a stream that is subscribed late has what it missed.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

from monitor.broadcast.frames import text_frame
from monitor.errors import CaptureError
from monitor.storage.tape import RestBody, TapeLine


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: a path, its query and headers with lower-case names."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @classmethod
    def parse(cls, target: str, headers: Iterable[tuple[bytes, bytes]]) -> "Request":
        path, _, query = target.partition("?")  # urlsplit would take `//x` for a host
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        return cls(path, dict(parse_qsl(query, keep_blank_values=True)), named)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, JSON."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """One recorded message that a subscriber of `stream` gets."""

    seconds: float
    """Since the start of the session, never less than the line before."""
    stream: str
    payload: bytes
    frame: bytes
    """The payload as a WebSocket frame."""
    opens: bool = False
    """It holds the stream's whole state: who has this line needs none before it."""


@dataclass(slots=True)
class Script:
    """The lines of a session in order."""

    lines: list[Line]
    _by_stream: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for index, line in enumerate(self.lines):
            self._by_stream[line.stream].append(index)

    @property
    def streams(self) -> set[str]:
        return set(self._by_stream)

    def missed(self, streams: Iterable[str], position: int) -> list[Line]:
        """What was said of these streams before `position` since each one's last whole state."""
        return [self.lines[index] for index in sorted(self._indexes(streams, position))]

    def before(self, stream: str, position: int) -> list[Line]:
        """All lines of one stream before `position`."""
        indexes = self._by_stream.get(stream, [])
        return [self.lines[index] for index in indexes[: bisect_left(indexes, position)]]

    def _indexes(self, streams: Iterable[str], position: int) -> Iterable[int]:
        for stream in streams:
            indexes = self._by_stream.get(stream, [])
            said = indexes[: bisect_left(indexes, position)]
            start = next((i for i in reversed(range(len(said))) if self.lines[said[i]].opens), None)
            if start is not None:
                yield from said[start:]


class Conversation(ABC):
    """One client's connection, as the venue sees it; payloads are JSON without frame."""

    is_ready = False
    """The replay may start: something is subscribed."""
    position = 0
    """The index of the next line of the script."""

    def __init__(self) -> None:
        self.streams: set[str] = set()
        """Those that are subscribed."""
        self.late: set[str] = set()
        """Streams subscribed since the last look; the session empties it."""

    def opening(self) -> list[bytes]:
        """What the venue says first."""
        return []

    @abstractmethod
    def command(self, text: str) -> list[bytes]:
        """The replies to one message of the client, in order."""

    def render(self, line: Line) -> bytes | None:
        """The line's frame as this client gets it; None when it is not for him."""
        return line.frame if line.stream in self.streams else None

    def beat(self) -> list[bytes]:
        """What the venue says when it had nothing to say for a second."""
        return []


class Venue(ABC):
    """One venue's paths and manners over one recorded session."""

    name: str
    ping_seconds: float = 20.0
    ping_payload: bytes = b""
    subscribe_seconds: float | None = None
    """Who has not subscribed by then is closed."""

    def __init__(self, lines: Iterable[Line]) -> None:
        """Raises CaptureError when the session holds nothing to replay."""
        self.script = Script(list(lines))
        if not self.script.lines:
            raise CaptureError(f"the recorded session looks like {self.name} but holds no message to replay")
        self.conversations: list[Conversation] = []
        """The open connections, oldest first; the server keeps them."""

    @abstractmethod
    def accept(self, request: Request) -> Conversation | Answer:
        """The conversation of a WebSocket upgrade, or why there is none."""

    def get(self, request: Request) -> Answer:
        """What a plain GET is answered."""
        return Answer(404, encode({"error": f"no such path {request.path}"}))


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole session in memory."""

    lines: Sequence[TapeLine]
    rest: Sequence[RestBody]

    def inbound(self) -> Iterable[tuple[float, str]]:
        """(seconds since the start, text), never going back, of what the venue said."""
        start: float | None = None
        at = 0.0
        for line in self.lines:
            if line.seconds is not None:
                start = line.seconds if start is None else start
                at = max(at, line.seconds - start)
            if line.is_inbound:
                yield at, line.raw

    def messages(self) -> Iterable[tuple[float, str, Any]]:
        """As `inbound`, each with what its JSON says."""
        return ((seconds, raw, orjson.loads(raw)) for seconds, raw in self.inbound())

    def outbound(self) -> Iterable[str]:
        """What the recorder said."""
        return (line.raw for line in self.lines if not line.is_inbound)


def line(seconds: float, stream: str, payload: bytes, *, opens: bool = False) -> Line:
    return Line(seconds, stream, payload, text_frame(payload), opens)


def encode(value: object) -> bytes:
    return orjson.dumps(value)
