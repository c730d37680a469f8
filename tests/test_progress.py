"""What a command that takes a while shows on a terminal, and nowhere else."""

import os
import pty
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.process import CHECKOUT, Process, surroundings
from tests.serve.running import KEYS
from tests.storage.journal import kept, record

PATIENCE_SECONDS = 60
LABELS = {
    "probe": b"probing",
    "analyze": b"watching",
    "check": b"checking",
    "export": b"exporting",
    "train": b"training",
}


def run(command: Sequence[str], directory: Path, stderr: int) -> bytes:
    """Its standard output."""
    keys = {
        "LANECAST_API_KEY": KEYS.api,
        "LANECAST_OPERATOR_KEY": KEYS.operator,
        "LANECAST_TOKEN_KEY": KEYS.token,
    }
    done = subprocess.run(
        [*CHECKOUT, *command],
        cwd=directory,
        env=surroundings(CHECKOUT) | keys | {"LANECAST_DATA_DIR": str(directory), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.stdout


def on_terminal(command: Sequence[str], directory: Path) -> tuple[bytes, bytes]:
    """Standard output, which is a pipe, and what a terminal as standard error was written."""
    master, slave = pty.openpty()
    try:
        printed = run(command, directory, slave)
        os.close(slave)
        written = b""
        try:
            while more := os.read(master, 65_536):
                written += more
        except OSError:
            pass  # Linux says so at the end of a terminal
        return printed, written
    finally:
        os.close(master)


@pytest.mark.parametrize("name", LABELS)
def test_bar_is_on_the_terminal_and_the_result_alone_in_the_pipe(
    name: str, process: Process, tmp_path: Path
) -> None:
    commands = {
        "probe": ["probe", process.address, "--seconds", "2", "--json"],
        "analyze": ["analyze", process.address, "--seconds", "2", "--json"],
        "check": ["journal", "check"],
        "export": ["journal", "export"],
        "train": ["dictionary", "train", "--seconds", "60"],
    }
    kept(tmp_path, [record(number) for number in range(1, 20)])
    printed, written = on_terminal(commands[name], tmp_path)
    assert LABELS[name] in written
    assert LABELS[name] not in printed
    assert printed


def test_where_there_is_no_terminal_there_is_no_bar(tmp_path: Path) -> None:
    kept(tmp_path, [record(1)])
    with (tmp_path / "errors").open("wb") as errors:
        assert run(["journal", "check"], tmp_path, errors.fileno())
    assert (tmp_path / "errors").read_bytes() == b""
