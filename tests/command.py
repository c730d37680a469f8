"""`lanecast` as a person types it: within this process, or in one of its own where that is what is tested."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli import main

PATIENCE_SECONDS = 60
Done = subprocess.CompletedProcess[str]


def lanecast(surroundings: Mapping[str, str], *arguments: str, stdin: str = "", **variables: str) -> Done:
    """Run a command here: most of what a process of its own would take is its imports."""
    interrupt = signal.getsignal(signal.SIGINT)
    with (
        pytest.MonkeyPatch.context() as patch,
        chdir(_directory(surroundings)),
        CliRunner().isolation(stdin) as (out, err, _),
    ):
        patch.setattr(os, "environ", {**surroundings, **variables})
        # Without pytest's handlers a warning goes where a process of its own has it: to stderr.
        patch.setattr(logging.getLogger(), "handlers", [])
        patch.setattr(sys, "argv", ["lanecast", *arguments])
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGINT, interrupt)
        status = ended.value.code or 0
        assert isinstance(status, int)
        return Done(arguments, status, out.getvalue().decode(), err.getvalue().decode())


def started(surroundings: Mapping[str, str], *arguments: str, **variables: str) -> Done:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "monitor", *arguments],
        env={**surroundings, **variables},
        cwd=_directory(surroundings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@contextmanager
def serving(surroundings: Mapping[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server and the address at the end of its first line."""
    with subprocess.Popen(
        [sys.executable, "-m", "monitor", *arguments, "--port", "0"],
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def _directory(surroundings: Mapping[str, str]) -> Path:
    """Where a command runs: beside its data."""
    return Path(surroundings["LANECAST_DATA_DIR"]).parent
