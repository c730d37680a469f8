"""Server CPU of one delivered message, Lanecast and its peers in interleaved rounds.

All servers are up from the first round to the last, each with its own clients, and only one of
them sends at a time. CPU is the process's own clock, read from outside from before a turn until
the last client has the last message.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.fanout.certificate import make_certificate, missing_for_tls
from benchmarks.fanout.load import Load, start_load
from benchmarks.fanout.peers.catalogue import (
    BARE,
    PEERS,
    PICOWS,
    SOCKETIFY,
    TRIO_WEBSOCKET,
    WEBSOCKETS,
    WEBSOCKETS_DEFLATE,
    Peer,
)
from benchmarks.fanout.process import SERVER_CORE, Child, start
from benchmarks.fanout.product import CHANNELS, Product, start_product
from benchmarks.fanout.table import Row, Table

LANECAST = "lanecast"
LANECAST_DEFLATE = "lanecast, shared deflate"
LANECAST_TLS = "lanecast, TLS"
SMALL, LARGE = 140, 1_081
PENDING = (8, 32)
TURN_SECONDS = 1.0
COUNT_MIN = 8
TICK_MS = 2
"""So short that ticks can come as often as single messages: with fewer sends a second each of them costs
more, as the clients' sockets leave the caches between."""
WARM_UP_MESSAGES = 5
_WAIT_SECONDS = 30.0


@dataclass(slots=True)
class Contender:
    """A server with its clients, and how one has it send."""

    name: str
    server: Child
    load: Load
    send: Callable[[int, int, float], object]
    """Given bytes, count, and how many a second."""
    per_second: float
    burst: int = 1
    only_bytes: int = 0
    """Takes part in the rounds with this size only; 0 takes part in all."""
    in_one: int = 1
    """So many messages come as one frame of their bytes."""
    count: int = 0
    us: dict[int, list[float]] = field(default_factory=dict)
    """CPU of a delivered message, by size, a figure a round."""
    last_ms: dict[int, list[float]] = field(default_factory=dict)

    @property
    def clients(self) -> int:
        return self.load.ready.ready

    def warm_up(self) -> None:
        """Find out how many messages fit a turn."""
        used_us, _ = self._turn(LARGE if self.only_bytes else SMALL, WARM_UP_MESSAGES * self.burst)
        fit = int(TURN_SECONDS * 1e6 / (used_us * self.clients * self.burst))
        self.count = self.burst * max(COUNT_MIN, min(fit, int(self.per_second * TURN_SECONDS)))

    def take_turn(self, size: int) -> None:
        if self.only_bytes in (0, size):
            used_us, last_ms = self._turn(size, self.count)
            self.us.setdefault(size, []).append(used_us)
            self.last_ms.setdefault(size, []).extend(last_ms)

    def _turn(self, size: int, count: int) -> tuple[float, list[float]]:
        self.load.reset()
        self.load.attend()
        before = self.server.cpu_seconds()
        self.send(size, count, self.per_second)
        expected = count // self.in_one * self.clients
        arrived = self.load.expect(expected, _WAIT_SECONDS)
        used = self.server.cpu_seconds() - before
        if arrived != expected:
            raise RuntimeError(f"{self.name}: {arrived} of {expected} messages arrived")
        return used / (arrived * self.in_one) * 1e6, self.load.report().last_ms


@dataclass(frozen=True, slots=True)
class Costs:
    """What the rounds gave, by contender's name."""

    clients: int
    contenders: dict[str, Contender]
    absent: dict[str, str]

    def us(self, name: str, size: int) -> float:
        return median(self.contenders[name].us[size])

    def ratio(self, name: str, other: str, size: int) -> float | None:
        """The median of the rounds' ratios; None if one of them is not here."""
        if name not in self.contenders or other not in self.contenders:
            return None
        rounds = zip(self.contenders[name].us[size], self.contenders[other].us[size], strict=True)
        return median(one / two for one, two in rounds)


def measure_costs(
    programs: Path, clients: int, rounds: int, *, per_second: float, names: Sequence[str] = ()
) -> Costs:
    """Run the rounds with those whose names are given, else with all."""
    with contextlib.ExitStack() as stack:
        contenders = list(_lanecast(stack, programs, clients, per_second, is_whole=not names))
        absent = {}
        if not names or LANECAST_TLS in names:
            if lacking := missing_for_tls(programs):
                absent[LANECAST_TLS] = lacking
            else:
                contenders.append(_encrypted(stack, programs, clients, per_second))
        for peer in PEERS:
            if names and peer.name not in names:
                continue
            if lacking := peer.missing():
                absent[peer.name] = lacking
                print(f"  {peer.name} is left out: {lacking}", flush=True)
                continue
            contenders.append(_peer(stack, programs, peer, clients, per_second))
            if peer.name == BARE:
                contenders += [_in_one(contenders[-1], pending, per_second) for pending in PENDING]
        for contender in contenders:
            contender.warm_up()
        for number in range(rounds):
            _play_round(contenders, number)
        return Costs(clients, {contender.name: contender for contender in contenders}, absent)


def _play_round(contenders: list[Contender], number: int) -> None:
    """Each round begins with another one, so that nobody always follows the same."""
    shift = number % len(contenders)
    for size in (SMALL, LARGE):
        for contender in contenders[shift:] + contenders[:shift]:
            contender.take_turn(size)


def _peer(
    stack: contextlib.ExitStack, programs: Path, peer: Peer, clients: int, per_second: float
) -> Contender:
    server = stack.enter_context(start(peer.command(programs), core=SERVER_CORE))
    is_deflated = peer.name == WEBSOCKETS_DEFLATE
    load = stack.enter_context(
        start_load(programs / "load", int(server.read()), clients, deflate=is_deflated)
    )
    return Contender(
        peer.name,
        server,
        load,
        lambda size, count, rate: server.ask(f"{size} {count} {rate}"),
        per_second,
        only_bytes=LARGE if is_deflated else 0,
    )


def _in_one(bare: Contender, pending: int, per_second: float) -> Contender:
    """The bare loop with several messages as one frame: the least that as many pending can cost here."""
    return Contender(
        in_one_name(pending),
        bare.server,
        bare.load,
        lambda size, count, rate: bare.server.ask(f"{size * pending} {count // pending} {rate}"),
        per_second,
        burst=pending,
        in_one=pending,
    )


def _lanecast(
    stack: contextlib.ExitStack, programs: Path, clients: int, per_second: float, *, is_whole: bool
) -> Iterator[Contender]:
    product = stack.enter_context(start_product(tick_ms=TICK_MS))
    load = stack.enter_context(start_load(programs / "load", product.port, clients, channels=CHANNELS))
    product.wait_subscribed("bench:one", clients)
    yield _sender(LANECAST, product, load, "bench:one", per_second)
    for pending in PENDING:
        yield _sender(pending_name(pending), product, load, "bench:tick", per_second, burst=pending)
    if is_whole:
        packed = stack.enter_context(start_product())
        load = stack.enter_context(
            start_load(programs / "load", packed.port, clients, channels=CHANNELS, deflate=True)
        )
        packed.wait_subscribed("bench:one", clients)
        yield _sender(LANECAST_DEFLATE, packed, load, "bench:one", per_second, only_bytes=LARGE)


def _encrypted(stack: contextlib.ExitStack, programs: Path, clients: int, per_second: float) -> Contender:
    product = stack.enter_context(start_product(tls=make_certificate(programs)))
    load = stack.enter_context(
        start_load(programs / "load", product.port, clients, channels=CHANNELS, tls=True)
    )
    product.wait_subscribed("bench:one", clients)
    return _sender(LANECAST_TLS, product, load, "bench:one", per_second)


def _sender(
    name: str,
    product: Product,
    load: Load,
    channel: str,
    per_second: float,
    *,
    burst: int = 1,
    only_bytes: int = 0,
) -> Contender:
    def send(size: int, count: int, rate: float) -> None:
        product.publish(channel, bytes=size, count=count, rate=rate, burst=burst, in_turn=True)

    return Contender(name, product.child, load, send, per_second, burst=burst, only_bytes=only_bytes)


def pending_name(pending: int) -> str:
    return f"lanecast, {pending} pending"


def in_one_name(pending: int) -> str:
    return f"{BARE}, {pending} in one"


def cost_table(costs: Costs) -> Table:
    """Every contender with its medians."""
    rows = [_cells(costs, name) for name in costs.contenders]
    rows += [[name, *[""] * 5, f"left out: {why}"] for name, why in costs.absent.items()]
    columns = ["server CPU of a delivered message", f"{SMALL} B, µs", "times bare"]
    columns += [f"{LARGE:,} B, µs", "times bare", "last client p50, ms", ""]
    return Table(f"{costs.clients:,} clients, one message at a time", columns, rows)


def _cells(costs: Costs, name: str) -> list[str]:
    cells = [name]
    for size in (SMALL, LARGE):
        if size in costs.contenders[name].us:
            ratio = costs.ratio(name, BARE, size)
            cells += [f"{costs.us(name, size):.2f}", f"{ratio:.2f}" if ratio else ""]
        else:
            cells += ["", ""]
    last_ms = costs.contenders[name].last_ms.get(SMALL)
    return [*cells, f"{median(last_ms):.1f}" if last_ms else "", ""]


def cost_rows(costs: Costs) -> Iterator[Row]:
    """The targets for one message at a time and for several."""
    bounds: list[tuple[str, str, float]] = [
        (LANECAST, BARE, 1.15),
        (LANECAST, WEBSOCKETS, 0.67),
        (pending_name(8), BARE, 0.18),
        (pending_name(32), BARE, 0.06),
    ]
    for size in (SMALL, LARGE):
        at = partial(_label, size)
        for name, other, bound in bounds:
            if (ratio := costs.ratio(name, other, size)) is not None:
                yield Row(at(f"{name} / {other}"), ratio, "times", at_most=bound)
        for pending in PENDING:
            if (ratio := costs.ratio(in_one_name(pending), BARE, size)) is not None:
                yield Row(at(f"{in_one_name(pending)} / {BARE}"), ratio, "times", note="the machine's own")
        if (ratio := costs.ratio(TRIO_WEBSOCKET, LANECAST, size)) is not None:
            yield Row(at(f"{TRIO_WEBSOCKET} / {LANECAST}"), ratio, "times", at_least=11)
        native = [name for name in (PICOWS, SOCKETIFY) if name in costs.contenders]
        if native:
            better = min(native, key=lambda name: costs.us(name, size))
            ratio = costs.ratio(LANECAST, better, size)
            assert ratio is not None
            yield Row(
                at(f"{LANECAST} / better of picows, socketify"), ratio, "times", at_most=1.2, note=better
            )
    yield from _deflate_rows(costs)
    yield from tls_rows(costs)


def tls_rows(costs: Costs) -> Iterator[Row]:
    """The target for what is sent encrypted."""
    for size in (SMALL, LARGE):
        if (ratio := costs.ratio(LANECAST_TLS, LANECAST, size)) is not None:
            yield Row(_label(size, f"{LANECAST_TLS} / {LANECAST}"), ratio, "times", at_most=1.8)


def _deflate_rows(costs: Costs) -> Iterator[Row]:
    at = partial(_label, LARGE)
    if (ratio := costs.ratio(LANECAST_DEFLATE, LANECAST, LARGE)) is not None:
        yield Row(at("shared deflate / uncompressed"), ratio, "times", at_most=1.25)
    if (ratio := costs.ratio(LANECAST_DEFLATE, WEBSOCKETS_DEFLATE, LARGE)) is not None:
        yield Row(at("shared deflate / websockets' deflate"), ratio, "times", at_most=0.125)
        least = costs.us(BARE, SMALL) / costs.us(WEBSOCKETS_DEFLATE, LARGE)
        yield Row(f"{BARE}, {SMALL} B / websockets' deflate, {LARGE:,} B", least, "times", note="the same")


def many_rows(costs: Costs) -> Iterator[Row]:
    """The target for five times as many clients."""
    for size in (SMALL, LARGE):
        ratio = costs.ratio(LANECAST, BARE, size)
        assert ratio is not None
        yield Row(f"{costs.clients:,} clients, {size:,} B: {LANECAST} / {BARE}", ratio, "times", at_most=1.2)


def _label(size: int, what: str) -> str:
    return f"{size:,} B: {what}"
