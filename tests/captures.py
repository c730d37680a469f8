"""The recorded sessions beside the checkout, and how to write a made-up one."""

import gzip
import shutil
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import orjson
import pytest

CAPTURES = Path(__file__).parents[2] / "shared" / "captures"


def capture(name: str) -> Path:
    """`binance/spot_btcusdt_20240808`; skips the test where recordings are not at hand."""
    path = CAPTURES / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recorded session {name}: ../shared/captures is absent")
    return path


def beginning(of: Path, messages: int, directory: Path) -> Path:
    """The first messages of a recorded session, with what its venue answered over HTTP."""
    answers = of.name.replace(".jsonl", "_rest.jsonl")
    shutil.copy(of.with_name(answers), directory / answers)
    with gzip.open(of) as whole, gzip.open(directory / of.name, "wb", compresslevel=1) as part:
        part.writelines(islice(whole, messages))
    return directory / of.name


def write_capture(path: Path, messages: Iterable[object], *, every_seconds: float = 0.1) -> Path:
    """A session of these messages, all from the venue but those wrapped by `said`."""
    with gzip.open(path, "wb") as file:
        for index, message in enumerate(messages):
            direction = "out" if isinstance(message, said) else "in"
            body = message.message if isinstance(message, said) else message
            raw = body if isinstance(body, str) else orjson.dumps(body).decode()
            file.write(
                orjson.dumps({"ts": 1_000 + index * every_seconds, "dir": direction, "raw": raw}) + b"\n"
            )
    return path


class said:
    """A message of the recorder."""

    def __init__(self, message: object) -> None:
        self.message = message
