"""What a console costs the server and itself, view by view, and what other terminal programs cost beside it.

The crowd is idle and not pinged, so all that the server uses is for the console, once what it uses
without one is taken off. (The pings of 5,000 that came at once come at once, every 25 s, and cost more
than a console: a figure taken with them says which second it was.) All take their turns in each round,
on the load's core; the processes' own CPU clocks are read, and medians of the rounds told.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.fanout.load import compile_c, start_load
from benchmarks.fanout.machine import load_average
from benchmarks.fanout.process import allow_descriptors
from benchmarks.fanout.product import CHANNELS, OPERATOR_KEY, Product, start_product
from benchmarks.fanout.table import Table, number, p99
from benchmarks.programs import OURS, Program, lanecast, left_out, others, version
from benchmarks.terminal import Terminal, open_terminal

CLIENTS = 5_000
ROUNDS = 3
SETTLE_SECONDS = 0.5
VIEW_SECONDS, PROGRAM_SECONDS = 2.0, 4.0
"""The longer one is two looks of a program that looks every two seconds."""
KEYS_SECONDS, KEY_GAP_SECONDS = 2.5, 0.03
KEY_AGAIN_SECONDS, KEY_TIMES = 3.0, 5
LIMITS = {"connections": 9_999, "ping_seconds": 3_600}
SERVER_TARGET_PERCENT = 2.0
CONSOLE_TARGET_PERCENT = 15.0
VIEWS = {
    "overview": b"1",
    "connections": b"2",
    "channels": b"3",
    "ledger": b"7",
    "ledger by client": b"t",
}
"""With the keys that lead from one to the next."""
SLOW, SLOW_SECONDS = b"1---", 2.0
"""The keys to the first view, and from there to its being drawn so often."""


class Cost(NamedTuple):
    """Of a view, in percent of a core."""

    server: float
    console: float


class Sample(NamedTuple):
    """Of a program at one pace, in one round."""

    start_seconds: float
    cpu_percent: float
    memory_mb: float
    written_kb: float
    """To the terminal, a second."""
    key_p50_ms: float
    """From a key to the first word of what it leads to."""
    key_p99_ms: float


FIGURES = (
    "start, s",
    "CPU, % of a core",
    "memory, MB",
    "to the terminal, kB/s",
    "key to screen, ms, p50",
    "p99",
)


def main() -> None:
    """Measure everything in each round, and print the tables."""
    options = _options()
    allow_descriptors()
    costs: list[Mapping[str, Cost]] = []
    samples: list[Mapping[str, Sample]] = []
    with tempfile.TemporaryDirectory() as directory, start_product(limits=LIMITS) as product:
        load = compile_c("load.c", Path(directory))
        programs = others(Path(directory))
        with start_load(load, product.port, options.clients, channels=CHANNELS[:3], at_once=256):
            time.sleep(SETTLE_SECONDS)
            for number in range(1, options.rounds + 1):
                print(f"round {number} of {options.rounds}", file=sys.stderr)
                of_views, of_ours = _attach(product)
                costs.append(of_views)
                samples.append(of_ours | {program.title: _open(program) for program in programs})
    _report(costs, samples, programs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    return parser.parse_args()


def _attach(product: Product) -> tuple[dict[str, Cost], dict[str, Sample]]:
    """The server without a console, then each view of one, and the console at two paces."""
    ours, costs = lanecast(product.url, OPERATOR_KEY), {}
    (without,) = _percents(VIEW_SECONDS, product.child.cpu_seconds)
    with open_terminal(ours.command, ours.surroundings, ours.first_screen) as console:
        samples = {ours.title: _sample(console, ours)}
        for view, keys in VIEWS.items():
            console.press(keys)
            time.sleep(SETTLE_SECONDS)
            server, own = _percents(VIEW_SECONDS, product.child.cpu_seconds, console.cpu_seconds)
            costs[view] = Cost(server - without, own)
        console.press(SLOW)
        slow = replace(ours, pace_seconds=SLOW_SECONDS)
        return costs, samples | {slow.title: _sample(console, slow)}


def _open(program: Program) -> Sample:
    with open_terminal(program.command, program.surroundings, program.first_screen) as terminal:
        return _sample(terminal, program)


def _sample(terminal: Terminal, program: Program) -> Sample:
    time.sleep(SETTLE_SECONDS)
    written = terminal.written_bytes
    (cpu_percent,) = _percents(PROGRAM_SECONDS, terminal.cpu_seconds)
    written_kb = (terminal.written_bytes - written) / PROGRAM_SECONDS / 1_000
    memory_mb = terminal.memory_bytes() / 1_000_000
    keys_ms = list(_keys_ms(terminal, program))
    return Sample(terminal.start_seconds, cpu_percent, memory_mb, written_kb, median(keys_ms), p99(keys_ms))


def _keys_ms(terminal: Terminal, program: Program) -> Iterator[float]:
    """Open and close the help for a while."""
    give_up = time.monotonic() + KEYS_SECONDS
    while time.monotonic() < give_up:
        for word in (program.help_word, program.screen_word):
            yield _answer_ms(terminal, program.help_key, word)
            time.sleep(KEY_GAP_SECONDS)


def _answer_ms(terminal: Terminal, key: bytes, word: bytes) -> float:
    """A key that is lost, as btop loses one now and then, is pressed again, as a person does."""
    terminal.expect(word)
    pressed = time.monotonic()
    for _ in range(KEY_TIMES):
        terminal.press(key)
        with contextlib.suppress(TimeoutError):
            return 1_000 * (terminal.wait(KEY_AGAIN_SECONDS) - pressed)
    raise TimeoutError(f"{word!r} was not written, though {key!r} was pressed {KEY_TIMES} times")


def _percents(seconds: float, *clocks: Callable[[], float]) -> list[float]:
    """What each of these CPU clocks gains meanwhile, of the time that really goes by."""
    began, before = time.monotonic(), [clock() for clock in clocks]
    time.sleep(seconds)
    passed = time.monotonic() - began
    return [100 * (clock() - was) / passed for clock, was in zip(clocks, before, strict=True)]


def _report(
    costs: Sequence[Mapping[str, Cost]], samples: Sequence[Mapping[str, Sample]], programs: Sequence[Program]
) -> None:
    tables = (_views_table(costs), _programs_table(samples), _ratios_table(samples, programs))
    print("\n\n".join(table.markdown() for table in tables))
    about = [*dict.fromkeys(map(version, programs)), *left_out(programs)]
    about += [f"{len(psutil.pids())} processes", f"load average {load_average():.1f}"]
    print("\n" + ", ".join(about))


def _views_table(rounds: Sequence[Mapping[str, Cost]]) -> Table:
    rows = []
    for view in VIEWS:
        servers, consoles = zip(*(costs[view] for costs in rounds), strict=True)
        figures = (median(servers), max(servers), median(consoles), max(consoles))
        rows.append([view, *(f"{figure:.2f}" for figure in figures)])
    bounds = [f"server, at most {SERVER_TARGET_PERCENT:g}", "worst round"]
    bounds += [f"console, under {CONSOLE_TARGET_PERCENT:g}", "worst round"]
    return Table("What a console costs, in percent of a core", ["view", *bounds], rows)


def _programs_table(rounds: Sequence[Mapping[str, Sample]]) -> Table:
    rows = []
    for title in rounds[0]:
        figures = zip(*(samples[title] for samples in rounds), strict=True)
        rows.append([title, *(number(median(figure)) for figure in figures)])
    return Table("Beside other programs", ["program", *FIGURES], rows)


def _ratios_table(rounds: Sequence[Mapping[str, Sample]], programs: Sequence[Program]) -> Table:
    """Ours through each of the others that looks as often, round by round."""
    rows = []
    for other in programs:
        ours = replace(other, name=OURS)
        pairs = [zip(samples[ours.title], samples[other.title], strict=True) for samples in rounds]
        ratios = zip(*([own / its for own, its in pair] for pair in pairs), strict=True)
        rows.append([other.title, *(number(median(ratio)) for ratio in ratios)])
    return Table("Lanecast, times the other", ["other", *FIGURES], rows)


if __name__ == "__main__":
    main()
