"""What a test found, as it is written to a file and read again.

A report carries the observation it rests on, so that `analyze` judges a file as it does a server.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

import monitor
from monitor.errors import ConfigError
from monitor.probe.documents import Promise
from monitor.probe.observation import Observation

_LAST_MS = 253_402_300_799_000
"""The end of the year 9999: a calendar has no later one."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How a kind's marked events fared."""

    kind: str
    lane: str
    channel: str
    published: int
    refused: int
    lost: int
    repeated: int
    late: int
    """Over the threshold, from the publisher's call to the subscriber, less half a round trip."""
    threshold_ms: Promise | None
    p50_ms: float | None
    worst_ms: float | None
    server_p99_ms: float | None
    """The server's own figure: to the socket, over the last 10 s."""


@dataclass(frozen=True, slots=True)
class Connected:
    attempts: int
    failed: int
    missed: int
    """Publications that one of the clients did not get."""
    round_trip_ms: float

    @property
    def line_ms(self) -> float:
        """There, or back."""
        return self.round_trip_ms / 2


@dataclass(frozen=True, slots=True)
class Heard:
    """How a kind's publications reached those who listened, in one step of the long test."""

    kind: str
    threshold_ms: Promise | None
    count: int
    """Deliveries that were looked at."""
    late: int
    """Over the threshold, by more than the probe's own lag."""
    doubtful: int
    """Over the threshold, but by less than that."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What the server said of itself at the end of a step."""

    cpu_percent: float
    lag_p99_ms: float | None
    memory_bytes: int
    depth: int
    """Messages that wait, in all lanes."""
    sent_rate: float


@dataclass(frozen=True, slots=True)
class Own:
    """How the probe itself fared in a step."""

    cpu_percent: float
    """Of a core, the process that listens."""
    lag_ms: float
    """How late it was with publishing and hearing, each in 9 of 10 turns at most."""
    machine_percent: float
    """Of all cores of the probe's machine, whoever used them; but for who gives way to others."""


@dataclass(frozen=True, slots=True)
class Step:
    """Some seconds of the long test."""

    name: str
    clients: int
    failures: dict[str, int]
    """Clients that did not get in, by cause."""
    cut: dict[str, int]
    """Clients that the server ended, by cause."""
    kinds: list[Heard]
    server: Standing
    own: Own


class Limit(StrEnum):
    """What ended the ramp."""

    THRESHOLD = "threshold"
    """A kind came later than promised."""
    CONNECTIONS = "connections"
    """Clients did not get in, or were cut."""
    PROBE = "probe"
    """The probe, or the machine, had no more to give: the server may well bear more."""
    BOUND = "bound"
    """The most clients that the probe has."""
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Knee:
    clients: int
    """The most that the server bore; 0 if not even the first step held."""
    broken_at: int | None
    """The fewest that it surely did not, or of which the probe could not tell."""
    limit: Limit
    reason: str
    """In words, with numbers."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Clients that were cut all at once, and came back all at once."""

    clients: int
    back: int
    failures: dict[str, int]
    seconds: float
    """Until the last was back, or given up."""
    p50_ms: float
    """Of one client, from dialling to its last subscription."""
    step: Step
    """What those felt who stayed."""


@dataclass(frozen=True, slots=True)
class Load:
    ramp: Annotated[list[Step], msgspec.Meta(min_length=1)]
    """In the order in which they were tried."""
    knee: Knee
    villains: Annotated[list[Step], msgspec.Meta(min_length=1)]
    """By the villain's name; the first is without one."""
    wave: Wave
    observation: Observation
    """Of the step by which the knee is told, else of the first."""


@dataclass(frozen=True, slots=True)
class Report:
    url: str
    time_ms: Annotated[int, msgspec.Meta(ge=0, le=_LAST_MS)]
    """Since 1970, of its end."""
    version: str
    """The server's."""
    seconds: int
    kinds: list[Delivered]
    connected: Connected
    leaks: list[str]
    """What came to somebody, or would have, whom it was not for; in words."""
    observation: Observation
    troubles: list[str] = field(default_factory=list)
    """Why the server is not healthy, in words; empty if it is."""
    load: Load | None = None
    """Of the long test."""


def read_report(file: Path) -> Report:
    """Raises ConfigError for a file that can't be read or holds no report."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except FileNotFoundError:
        raise ConfigError(f"there is no file {file}; the address of a server begins with http://") from None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} {_misread(file.read_bytes())}: {error}") from None


class _Signed(msgspec.Struct):
    """By what a report of any version is known."""

    version: str
    observation: dict[str, object]


def _misread(content: bytes) -> str:
    """What a file is instead of a report that is read here."""
    try:
        signed = msgspec.json.decode(content, type=_Signed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "is not a report of lanecast probe --json"
    return (
        f"is a report on a server of version {signed.version}, in a form that version {monitor.__version__}"
        " does not read; probe that server anew"
    )
