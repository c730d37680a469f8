"""The long fuzzing: python -m tests.fuzz [--inputs N] [TARGET...], N of each target, two at a time.

Looks for what fails, what takes more than 50 ms of CPU time, and memory that grows. With atheris
the inputs are led by coverage, without it they are mutants of the corpus. What was found is kept
below build/fuzz; what is worth keeping goes into tests/fuzz/corpus.
"""

import argparse
import contextlib
import gc
import importlib
import logging
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import psutil

from tests.fuzz.mutation import CORPUS, LENGTH_MAX, corpus, mutants

NAMES = sorted(path.name for path in CORPUS.iterdir())
FOUND = Path("build/fuzz")
INPUTS = 1_200_000
"""Of each target: ten million and more of all."""
SLOW_SECONDS = 0.05
GROWTH_BYTES = 64 * 2**20
"""From a tenth of the way to its end; atheris itself keeps what it has found."""
LOOKED_AT = ["monitor", "h11"]
"""Packages whose branches lead atheris."""


class Watch:
    """Runs a target, and judges what it costs."""

    def __init__(self, name: str, target: Callable[[bytes], None], inputs: int) -> None:
        self._name = name
        self._target = target
        self._warm_at = max(1, inputs // 10)
        self._report_every = max(1, inputs // 5)
        self._memory_bytes = 0
        self.count = 0
        self.worst_seconds = 0.0

    def __call__(self, data: bytes) -> None:
        seconds = self._time(data)
        if seconds > SLOW_SECONDS:
            # A second look: the collector, or another's turn, is nobody's fault here.
            gc.collect()
            seconds = self._time(data)
            if seconds > SLOW_SECONDS:
                raise AssertionError(f"{self._name}: {seconds * 1_000:.0f} ms for {len(data)} bytes")
        self.worst_seconds = max(self.worst_seconds, seconds)
        self.count += 1
        if self.count == self._warm_at:
            self._memory_bytes = _memory()
        if self.count % self._report_every == 0:
            self.report()

    def _time(self, data: bytes) -> float:
        start = time.thread_time()
        self._target(data)
        return time.thread_time() - start

    def report(self) -> None:
        grown = _memory() - self._memory_bytes if self._memory_bytes else 0
        print(
            f"{self._name}: {self.count} inputs, at most {self.worst_seconds * 1_000:.1f} ms,"
            f" memory grown by {grown / 2**20:.1f} MiB since {min(self.count, self._warm_at)}",
            flush=True,
        )
        assert grown < GROWTH_BYTES, f"{self._name}: memory grows"


def _memory() -> int:
    gc.collect()
    memory: int = psutil.Process().memory_info().rss
    return memory


def fuzz(name: str, inputs: int) -> None:
    """One target in this process, which atheris ends."""
    logging.getLogger("lanecast").setLevel(logging.ERROR)
    directory = FOUND / name
    directory.mkdir(parents=True, exist_ok=True)
    atheris = None
    with contextlib.suppress(ImportError):
        atheris = importlib.import_module("atheris")
    if atheris is None:
        _fuzz_mutants(name, inputs)
        return
    with atheris.instrument_imports(include=LOOKED_AT):
        from tests.fuzz.targets import TARGETS
    arguments = [f"-runs={inputs}", f"-max_len={LENGTH_MAX}", f"-artifact_prefix={directory}/failed-"]
    arguments += ["-verbosity=0", "-print_final_stats=1", "-rss_limit_mb=1024", "-timeout=20"]
    paths = [str(directory / "found"), str(CORPUS / name)]
    (directory / "found").mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], *arguments, *paths], Watch(name, TARGETS[name](), inputs))
    atheris.Fuzz()


def _fuzz_mutants(name: str, inputs: int) -> None:
    from tests.fuzz.targets import TARGETS

    watch = Watch(name, TARGETS[name](), inputs)
    seed = random.SystemRandom().getrandbits(32)
    for data in islice(mutants(corpus(name), seed), inputs):
        try:
            watch(data)
        except BaseException:
            (FOUND / name / f"failed-{seed}-{watch.count}").write_bytes(data)
            raise


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--inputs", type=int, default=INPUTS, help="of each target")
    parser.add_argument("--here", action="store_true", help="one target, in this process")
    given = parser.parse_args()
    names = given.targets or NAMES
    if given.here:
        fuzz(names[0], given.inputs)
        return 0

    def run(name: str) -> int:
        command = [sys.executable, "-m", "tests.fuzz", "--here", "--inputs", str(given.inputs), name]
        return subprocess.run(command, check=False).returncode

    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        failed = [name for name, status in zip(names, pool.map(run, names), strict=True) if status]
    print(
        f"failed: {', '.join(failed)}" if failed else f"{len(names)} targets, {given.inputs} inputs each: ok"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
