"""Recorded sessions: JSON lines, plain, gzip or zstd, told by their first bytes and not their name.

Decides what counts as a recording. It prevents the replay that silently ends early: a line that
is no line of a recording, or a file cut off in the middle, is said with its number.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import orjson
import zstandard

from monitor.errors import CaptureError

LINE_BYTES = 64 * 2**20
"""The longest line read; the largest message that a venue was seen to send has 5 MB."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class TapeLine:
    """One message as it crossed the socket."""

    seconds: float | None
    """When it was received, in seconds since 1970; None where nobody noted it."""
    is_inbound: bool
    raw: str


@dataclass(frozen=True, slots=True)
class RestBody:
    """One HTTP answer of the same session; `url` is None where nobody noted it."""

    seconds: float | None
    url: str | None
    raw: str


def read_tape(path: Path) -> Iterator[TapeLine]:
    """The messages in order; CaptureError names the line that is none."""
    for number, record in _records(path):
        direction = record.get("dir", "in")
        if direction not in ("in", "out"):
            raise CaptureError(f"{path}, line {number}: dir is {direction!r}, must be 'in' or 'out'")
        yield TapeLine(_seconds(path, number, record), direction == "in", _raw(path, number, record))


def read_rest(path: Path) -> Iterator[RestBody]:
    """The HTTP bodies recorded beside the session at `path`; nothing when there is no such file."""
    beside = _rest_path(path)
    if beside is None:
        return
    for number, record in _records(beside):
        url = record.get("url")
        if url is not None and not isinstance(url, str):
            raise CaptureError(f"{beside}, line {number}: url must be a text or null, got {url!r}")
        yield RestBody(_seconds(beside, number, record), url, _raw(beside, number, record))


def _rest_path(path: Path) -> Path | None:
    stem = path.name.partition(".")[0]
    return min(path.parent.glob(f"{stem}_rest.*"), default=None)


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _opened(path) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LINE_BYTES), b""), 1):
            if line.strip():
                yield number, _record(path, number, line)


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        record = None
    if not isinstance(record, dict):
        raise CaptureError(f"{path}, line {number}: not a line of a recorded session (a JSON object)")
    return record


def _seconds(path: Path, number: int, record: dict[str, Any]) -> float | None:
    seconds = record.get("ts")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise CaptureError(f"{path}, line {number}: ts must be seconds or null, got {seconds!r}")
    return float(seconds)


def _raw(path: Path, number: int, record: dict[str, Any]) -> str:
    raw = record.get("raw")
    if not isinstance(raw, str):
        raise CaptureError(f"{path}, line {number}: raw must be the text of a message, got {raw!r:.60}")
    return raw


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file, _inflated(file) as stream:
            yield stream
    except FileNotFoundError:
        raise CaptureError(f"no recorded session at {path}") from None
    except (EOFError, zlib.error, zstandard.ZstdError, gzip.BadGzipFile) as error:
        raise CaptureError(f"{path} is damaged: {error}") from None
    except OSError as error:
        raise CaptureError(f"can't read {path}: {error.strerror or error}") from None


def _inflated(file: io.BufferedReader) -> IO[bytes]:
    start = file.peek(4)[:4]
    if start.startswith(_GZIP):
        return cast("IO[bytes]", gzip.open(file))
    if start == _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return io.BufferedReader(cast("io.RawIOBase", reader))
    return file
