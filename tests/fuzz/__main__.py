"""The long fuzzing: python -m tests.fuzz [--inputs N] [TARGET...].

Looks for what fails, what takes more than 50 ms of CPU time, and memory that grows. A twentieth of
the inputs is led by coverage, if atheris is there: it finds the ways in, at a third of the speed.
The others are mutants of the corpus, and of what it found, which is kept below build/fuzz; what is
worth keeping goes into tests/fuzz/corpus.
"""

import argparse
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
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.fanout.memory import used_bytes
from tests.fuzz.mutation import CORPUS, LENGTH_MAX, Mutator, corpus

NAMES = sorted(path.name for path in CORPUS.iterdir())
FOUND = Path("build/fuzz")
INPUTS = dict.fromkeys(NAMES, 500_000) | {
    "jwks": 1_000_000,
    "tokens": 1_500_000,
    "upgrade": 2_500_000,
    "websocket": 1_000_000,
}
"""By target: ten million of all, more of those that take a tenth of what a visit to the server takes."""
LED_PART = 20
PROCESSES = 2
SLOW_SECONDS = 0.05
LED_SLOWNESS = 4
"""How many times as long code takes that counts its branches for atheris."""
GROWTH_BYTES = 16 * 2**20
"""From a tenth of the way to its end; atheris itself keeps what it has found."""
LOOKED_AT = ["monitor", "h11"]
"""Packages whose branches lead atheris."""


class Watch:
    """Runs a target, and judges what it costs."""

    def __init__(self, name: str, target: Callable[[bytes], bool], inputs: int, slow_seconds: float) -> None:
        self._name = name
        self._slow_seconds = slow_seconds
        self._target = target
        self._warm_at = max(1, inputs // 10)
        self._report_every = max(1, inputs // 5)
        self._memory_bytes = 0
        self.count = 0
        self.taken = 0
        self.worst_seconds = 0.0

    def __call__(self, data: bytes) -> None:
        seconds = self._time(data)
        if seconds > self._slow_seconds:
            # A second look: the collector is nobody's fault here.
            gc.collect()
            seconds = self._time(data)
            if seconds > self._slow_seconds:
                raise AssertionError(f"{self._name}: {seconds * 1_000:.0f} ms for {len(data)} bytes")
        self.worst_seconds = max(self.worst_seconds, seconds)
        self.count += 1
        if self.count == self._warm_at:
            self._memory_bytes = _memory()
        if self.count % self._report_every == 0:
            self.report()

    def _time(self, data: bytes) -> float:
        """Of the whole process: what a target leaves to a thread counts."""
        start = time.process_time()
        self.taken += self._target(data)
        return time.process_time() - start

    def report(self) -> None:
        grown = _memory() - self._memory_bytes if self._memory_bytes else 0
        print(
            f"{self._name}: {self.count} inputs, {self.taken / self.count:.0%} taken,"
            f" at most {self.worst_seconds * 1_000:.1f} ms,"
            f" memory grown by {grown / 2**20:.1f} MiB since {min(self.count, self._warm_at)}",
            flush=True,
        )
        assert grown < GROWTH_BYTES, f"{self._name}: memory grows"


def _memory() -> int:
    """In use: what the C library holds in pieces between grows by tens of megabytes in an hour of nothing."""
    gc.collect()
    return used_bytes()


def fuzz(name: str, inputs: int, *, is_led: bool) -> None:
    """One target in this process, which atheris ends."""
    logging.getLogger("lanecast").setLevel(logging.ERROR)
    (FOUND / name / "found").mkdir(parents=True, exist_ok=True)
    atheris: Any = None
    if is_led:
        try:
            atheris = importlib.import_module("atheris")
        except ImportError:
            return
    with atheris.instrument_imports(include=LOOKED_AT) if atheris else nullcontext():
        from tests.fuzz.targets import TARGETS
    entry = TARGETS[name]
    found = [path.read_bytes() for path in sorted((FOUND / name / "found").iterdir())]
    mutator = Mutator(corpus(name), entry.shape, found)
    with entry.open() as target:
        # As the server does: what is there from the start is not looked through again and again.
        gc.freeze()
        watch = Watch(name, target, inputs, SLOW_SECONDS * (LED_SLOWNESS if atheris else 1))
        if atheris:
            _fuzz_led(atheris, name, watch, mutator, inputs)
        else:
            _fuzz_mutants(name, watch, mutator, inputs)


def _fuzz_led(atheris: Any, name: str, watch: Watch, mutator: Mutator, inputs: int) -> None:
    def mutate(data: bytes, length_max: int, seed: int) -> bytes:
        if seed % 2:
            return bytes(atheris.Mutate(data, length_max))
        return mutator.mutate(data, random.Random(seed))[:length_max]

    directory = FOUND / name
    arguments = [f"-runs={inputs}", f"-max_len={LENGTH_MAX}", f"-artifact_prefix={directory}/failed-"]
    arguments += ["-verbosity=0", "-print_final_stats=1", "-rss_limit_mb=1024", "-timeout=600"]
    paths = [str(directory / "found"), str(CORPUS / name)]
    atheris.Setup([sys.argv[0], *arguments, *paths], watch, custom_mutator=mutate)
    atheris.Fuzz()


def _fuzz_mutants(name: str, watch: Watch, mutator: Mutator, inputs: int) -> None:
    seed = random.SystemRandom().getrandbits(32)
    for data in islice(mutator.mutants(seed), inputs):
        try:
            watch(data)
        except BaseException:
            (FOUND / name / f"failed-{seed}-{watch.count}").write_bytes(data)
            raise


def _run(name: str, inputs: int) -> bool:
    """Both parts, each in a process of its own; false once one fails."""
    led = inputs // LED_PART
    parts = [("--led", led), ("--mutants", inputs - led)]
    command = [sys.executable, "-m", "tests.fuzz", name]
    return all(
        not subprocess.run([*command, part, "--inputs", str(count)], check=False).returncode
        for part, count in parts
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--inputs", type=int, help="of each target; else ten million and more of all")
    here = parser.add_mutually_exclusive_group()
    here.add_argument("--led", action="store_true", help="one target in this process, led by coverage")
    here.add_argument("--mutants", action="store_true", help="one target in this process, from what is kept")
    given = parser.parse_args()
    names = given.targets or NAMES
    inputs = {name: given.inputs or INPUTS[name] for name in names}
    if given.led or given.mutants:
        fuzz(names[0], inputs[names[0]], is_led=given.led)
        return 0
    with ThreadPoolExecutor(max_workers=min(PROCESSES, os.cpu_count() or 1)) as pool:
        passed = dict(zip(names, pool.map(_run, names, inputs.values()), strict=True))
    failed = [name for name in names if not passed[name]]
    print(f"failed: {', '.join(failed)}" if failed else f"{sum(inputs.values())} inputs: ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
