"""`python -m benchmarks.fanout`: Lanecast beside its peers, every row against its target.

A full run takes about ten minutes and keeps its table in `benchmarks/README.md`; `--quick` takes
two and keeps nothing. What a peer needs and is not there is said, and it is left out.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fanout.cost import LANECAST_TLS, cost_rows, cost_table, many_rows, measure_costs, tls_rows
from benchmarks.fanout.crowd import (
    COMES_BACK,
    IS_CLOSED,
    crowd_rows,
    measure_crowd,
    measure_stall,
    measure_storm,
    stall_rows,
    storm_rows,
)
from benchmarks.fanout.harm import harm_rows, measure_harm
from benchmarks.fanout.lanes import lane_rows, measure_lanes, measure_stalled
from benchmarks.fanout.load import compile_c
from benchmarks.fanout.machine import load_average, stolen_seconds
from benchmarks.fanout.page import write_page
from benchmarks.fanout.peers.catalogue import BARE, PICOWS, SOCKETIFY, WEBSOCKETS
from benchmarks.fanout.plot import draw
from benchmarks.fanout.process import allow_descriptors, come_first
from benchmarks.fanout.table import Row, Table, rows_table
from benchmarks.fanout.wire import measure_wire, wire_rows

PLOT = Path(__file__).parents[1] / "fanout.svg"
MANY = (BARE, PICOWS, SOCKETIFY, WEBSOCKETS)
"""Who is measured at 5,000 clients too."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    clients: int = 1_000
    many_clients: int = 5_000
    rounds: int = 5
    pairs: int = 10
    harm_pairs: int = 6
    turn_seconds: float = 2.0
    wire_seconds: float = 40.0


QUICK = Plan(
    clients=300, many_clients=1_000, rounds=2, pairs=3, harm_pairs=2, turn_seconds=1.0, wire_seconds=10.0
)


@dataclass(slots=True)
class Run:
    """What was measured so far."""

    plan: Plan
    programs: Path
    tables: list[Table] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    """The machine's load average as each part began."""

    def cost(self) -> None:
        """Cost of a message at both sizes; draws the plot's left half later."""
        costs = measure_costs(self.programs, self.plan.clients, self.plan.rounds, per_second=100)
        self._add(cost_table(costs))
        self._rows("cost of a delivered message", cost_rows(costs))
        lanes = measure_lanes(self.programs, self.plan.clients, self.plan.rounds, self.plan.turn_seconds)
        self._rows(f"lanes, {self.plan.clients:,} clients, console attached", lane_rows(lanes))
        if why := draw(costs, lanes, PLOT if self.plan != QUICK else self.programs / "fanout.svg"):
            print(why)

    def tls(self) -> None:
        costs = measure_costs(
            self.programs, self.plan.clients, self.plan.rounds, per_second=100, names=(LANECAST_TLS,)
        )
        self._rows("what is sent encrypted", tls_rows(costs))

    def many(self) -> None:
        costs = measure_costs(
            self.programs, self.plan.many_clients, self.plan.rounds, per_second=20, names=MANY
        )
        self._add(cost_table(costs))
        self._rows("many clients", many_rows(costs))

    def stalled(self) -> None:
        figures = measure_stalled(self.programs, self.plan.clients, self.plan.pairs, self.plan.turn_seconds)
        self._rows(f"one among {self.plan.clients:,}", [figures.row()])

    def harm(self) -> None:
        figures = measure_harm(self.programs, self.plan.harm_pairs, self.plan.turn_seconds)
        self._rows("bad input, faults", harm_rows(figures))

    def crowd(self) -> None:
        figures = measure_crowd(self.programs, self.plan.many_clients)
        storm = measure_storm(self.programs, self.plan.many_clients)
        self._rows("connections", [*crowd_rows(figures), *storm_rows(storm)])
        clients = self.plan.clients
        rows: list[Row] = []
        for size in (COMES_BACK, IS_CLOSED):
            rows += stall_rows(measure_stall(self.programs, clients, size), clients, size)
        self._rows("a crowd that stops reading", rows)

    def wire(self) -> None:
        self._rows(
            "bytes on the wire, one client", wire_rows(measure_wire(self.programs, self.plan.wire_seconds))
        )

    def _rows(self, title: str, rows: Iterable[Row]) -> None:
        self._add(rows_table(title, list(rows)))

    def _add(self, table: Table) -> None:
        self.tables.append(table)
        print(f"\n{table.text()}", flush=True)


PARTS: dict[str, Callable[[Run], None]] = {
    "cost": Run.cost,
    "tls": Run.tls,
    "many": Run.many,
    "stalled": Run.stalled,
    "harm": Run.harm,
    "crowd": Run.crowd,
    "wire": Run.wire,
}

WHOLE = tuple(name for name in PARTS if name != "tls")
"""A whole run has the figures of `tls` in `cost` already."""


def main() -> None:
    options = _read_options()
    allow_descriptors()
    if options.nice:
        come_first(options.nice)
    started, stolen = time.monotonic(), stolen_seconds()
    with tempfile.TemporaryDirectory() as directory:
        programs = Path(directory)
        try:
            for source in ("load.c", "peers/bare.c"):
                compile_c(source, programs)
        except FileNotFoundError as error:
            sys.exit(f"the load client can't be made: {error}")
        run = Run(QUICK if options.quick else Plan(), programs)
        for name in options.parts or WHOLE:
            run.loads.append(load_average())
            PARTS[name](run)
    seconds = time.monotonic() - started
    minutes = seconds / 60
    loads = f"load average {min(run.loads):.1f} to {max(run.loads):.1f} as its parts began"
    share = (stolen_seconds() - stolen) / seconds
    loads += f", {share:.0%} of a core stolen by other guests of the host"
    if options.nice:
        loads += f", run at nice {options.nice}"
    print(f"\n{minutes:.1f} minutes; {loads}")
    if not options.quick and not options.parts:
        write_page(run.tables, PLOT, minutes, loads)


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanout", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"only {', '.join(PARTS)}; keeps no table")
    parser.add_argument("--quick", action="store_true", help="few clients and short turns; keeps no table")
    parser.add_argument("--nice", type=int, default=0, help="of all that it starts; -10 on a shared machine")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    main()
