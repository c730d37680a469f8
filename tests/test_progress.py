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


def run(command: Sequence[str], directory: Path, stderr: int, stdout: int = subprocess.PIPE) -> bytes:
    """Its standard output, if that is a pipe."""
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
        stdout=stdout,
        stderr=stderr,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.stdout or b""


def on_terminal(command: Sequence[str], directory: Path, *, is_piped: bool = True) -> tuple[bytes, bytes]:
    """Standard output, if it is a pipe, and what a terminal as standard error, or both, was written."""
    master, slave = pty.openpty()
    try:
        printed = run(command, directory, slave, subprocess.PIPE if is_piped else slave)
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


def test_lines_that_are_printed_on_the_terminal_have_no_bar_among_them(tmp_path: Path) -> None:
    kept(tmp_path, [record(number) for number in range(1, 20)])
    _, written = on_terminal(["journal", "export"], tmp_path, is_piped=False)
    assert len(written.splitlines()) == 19
    assert LABELS["export"] not in written


def test_where_there_is_no_terminal_there_is_no_bar(tmp_path: Path) -> None:
    kept(tmp_path, [record(1)])
    with (tmp_path / "errors").open("wb") as errors:
        assert run(["journal", "check"], tmp_path, errors.fileno())
    assert (tmp_path / "errors").read_bytes() == b""
