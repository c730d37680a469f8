"""What a test found, as it is written to a file and read again.

A report carries the observation it rests on, so that `analyze` judges a file as it does a server.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from monitor.errors import ConfigError
from monitor.probe.observation import Observation


@dataclass(frozen=True, slots=True)
class Report:
    url: str
    time_ms: int
    """Since 1970, of its end."""
    version: str
    """The server's."""
    observation: Observation


def read_report(file: Path) -> Report:
    """Raises ConfigError for a file that can't be read or holds no report."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not a report of lanecast probe --json: {error}") from None
