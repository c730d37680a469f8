"""What a test found, as it is written to a file and read again.

A report carries the observation it rests on, so that `analyze` judges a file as it does a server.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from monitor.errors import ConfigError
from monitor.probe.observation import Observation


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
    threshold_ms: float | None
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


@dataclass(frozen=True, slots=True)
class Report:
    url: str
    time_ms: int
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


def read_report(file: Path) -> Report:
    """Raises ConfigError for a file that can't be read or holds no report."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not a report of lanecast probe --json: {error}") from None
