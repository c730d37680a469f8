"""A zstd dictionary made from the product's own traffic.

The engine runs on a simulated market and a clock that jumps, with a viewer and an operator on
it who have no sockets: what they would be sent are the samples. Several sessions that begin
months apart, or the dictionary would learn today's date and prices by heart.
"""

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from random import Random
from typing import Any, cast

import orjson
import trio
import zstandard
from trio.testing import MockClock
from wsproto import ConnectionType
from wsproto.connection import Connection as Framing
from wsproto.events import TextMessage

from monitor.broadcast.zstd import Zstd
from monitor.config import DEFAULT_NAMESPACES, Delivery, Limits, Settings
from monitor.dictionary import Dictionary
from monitor.engine import Engine, build_engine
from monitor.feeds.simulator import Simulation
from monitor.feeds.simulator.catalogue import ACCOUNT, MARKETS
from monitor.health.feeds import FeedHealth
from monitor.keyring import Keyring
from monitor.keys import Keys
from monitor.serve.connection import Connection
from monitor.serve.loading import Phase
from monitor.serve.session import Session
from monitor.serve.tokens import make_token
from monitor.serve.websocket import WebSocket

SESSIONS = 6
"""Each of another seed and date."""
SESSION_APART_MS = 75 * 86_400_000
VENUES = (b"sim.", b"binance.", b"kalshi.")
"""What the market is called, session by session: a name that is not learned costs 10 bytes a trade."""
SIZE_BYTES = 32_768
"""16 KiB cost 3 % in bytes over all traffic, 64 KiB save nothing; who has another one loads it once."""
LEVEL = 3
"""That its statistics are made for; any other is within 1 %."""
RATE = 20.0
"""Trades a second, over all markets: the simulator's default."""
WAKE_SECONDS = 0.01
PAUSE_SECONDS = 2.0
"""Between two looks of a viewer at another market."""
MARKETS_WATCHED = 3
"""At a time; one after the other gives way to another. With more, books are most of what is learned."""
CONSOLE_SECONDS, CONSOLE_AWAY_SECONDS = 2, 20
"""Its documents are long and alike: watched all the time they would be half of what is learned."""
HELD_OUT_EVERY = 8
"""Of the samples, one in so many is for judging dictionaries and not for making them."""
SEGMENTS = (200, 300, 400, 600, 800, 1_000, 1_500)
"""Lengths that the trainer picks from the samples (its `k`); which one does best is luck, within 4 %."""

_PAGE = (
    "trades:all",
    "market:hot",
    "market:analytics.hour",
    "market:analytics.day",
    "market:sparkline",
    *(f"{name}:{ACCOUNT}" for name in ("orders", "bots", "botstate", "open_orders")),
)
_MAPS = frozenset(
    name for name, namespace in DEFAULT_NAMESPACES.items() if namespace.delivery is Delivery.MAP
)
_CONSOLE = ("ops:health", "ops:alerts", "ops:feeds", f"orders:{ACCOUNT}")


def train_dictionary(
    samples: list[bytes], size_bytes: int = SIZE_BYTES, *, on_candidate: Callable[[], None] = lambda: None
) -> Dictionary:
    """Make a dictionary of at most so many bytes for each of `SEGMENTS`, and return the best."""
    held_out = samples[::HELD_OUT_EVERY]
    learned = [payload for number, payload in enumerate(samples) if number % HELD_OUT_EVERY]
    judged: list[tuple[int, Dictionary]] = []
    for k in SEGMENTS:
        made = zstandard.train_dictionary(size_bytes, [*learned], k=k, d=8, level=LEVEL)
        candidate = Dictionary(made.as_bytes())
        judged.append((_encoded_bytes(candidate, held_out), candidate))
        on_candidate()
    return min(judged, key=itemgetter(0))[1]


def _encoded_bytes(dictionary: Dictionary, payloads: list[bytes]) -> int:
    encoding = Zstd(dictionary)
    return sum(len(encoding.frame(payload)) for payload in payloads)


def record(seconds: int, *, seed: int = 1, on_second: Callable[[], None] = lambda: None) -> list[bytes]:
    """The payloads of all frames that a viewer and an operator would be sent in so many seconds.

    `on_second` is called after each of them.
    """
    samples: list[bytes] = []
    now_ms = time.time_ns() // 1_000_000
    for number in range(SESSIONS):
        share = seconds // SESSIONS + (number < seconds % SESSIONS)
        start_ms = now_ms + number * SESSION_APART_MS
        recorder = Recorder()
        session = _Recording(Random(seed + number), seed + number, start_ms, recorder)
        trio.run(session.run, share, on_second, clock=MockClock(autojump_threshold=0))
        venue = VENUES[number % len(VENUES)]
        samples += [payload.replace(VENUES[0], venue) for payload in recorder.payloads]
    return samples


class Recorder:
    """An encoding that keeps each payload it is given: one a frame, however many clients share it."""

    name = "recorder"

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def frame(self, payload: bytes) -> bytes:
        self.payloads.append(payload)
        return payload

    def is_slow(self, payload_bytes: int) -> bool:
        return False


@dataclass(slots=True)
class _Recording:
    """One session of the market, with those who watch it."""

    random: Random
    seed: int
    start_ms: int
    recorder: Recorder

    def _now_ns(self) -> int:
        return int(trio.current_time() * 1e9)

    def _now_ms(self) -> int:
        return self.start_ms + int(trio.current_time() * 1_000)

    async def run(self, seconds: int, on_second: Callable[[], None]) -> None:
        keys = Keyring(Keys(secrets.token_hex(), secrets.token_hex(), secrets.token_hex()))
        # A viewer without a socket answers no ping.
        settings = Settings(limits=Limits(ping_seconds=3_600))
        engine = build_engine(
            settings, keys, frozenset({ACCOUNT}), clock_ns=self._now_ns, wall_ms=self._now_ms
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            await nursery.start(self._simulate, engine)
            token = make_token(keys.console, "operator")
            for commands in (self._page_commands(), self._console_commands(token)):
                nursery.start_soon(self._view, engine, commands)
            for _ in range(seconds):
                await trio.sleep(1)
                on_second()
            nursery.cancel_scope.cancel()

    async def _simulate(
        self, engine: Engine, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        simulation = Simulation(self.seed, RATE, self._now_ms())
        feed = engine.health.feeds["simulator"] = FeedHealth("simulator", venue="sim")
        feed.connected(self._now_ns())
        for event in simulation.history():
            engine.ingest(event, self._now_ns())
        task_status.started()
        while True:
            await trio.sleep(WAKE_SECONDS)
            for event in simulation.advance(self._now_ms()):
                feed.hear(self._now_ns())
                feed.subscription("trades").hear(self._now_ns())
                engine.ingest(event, self._now_ns() - self.random.randrange(3_000_000))

    async def _view(self, engine: Engine, commands: AsyncGenerator[dict[str, Any]]) -> None:
        limit_bytes = engine.house.settings.limits.message_bytes
        async with aclosing(commands):
            await Session(
                engine.house,
                cast(Connection, Viewer(commands)),
                WebSocket(is_deflated=False, limit_bytes=limit_bytes, early=b""),
                self.recorder,
            ).run()

    async def _page_commands(self) -> AsyncGenerator[dict[str, Any]]:
        yield {"connect": {"name": "page"}}
        for channel in _PAGE:
            yield _subscribe(channel)
        specs = list(MARKETS)
        self.random.shuffle(specs)
        watched = [f"sim.{spec.market}" for spec in specs]
        for market in watched[:MARKETS_WATCHED]:
            for command in _watch("subscribe", market):
                yield command
        while True:
            for index in range(len(watched)):
                await trio.sleep(PAUSE_SECONDS)
                leaving, coming = watched[index], watched[(index + MARKETS_WATCHED) % len(watched)]
                for command in (*_watch("unsubscribe", leaving), *_watch("subscribe", coming)):
                    yield command
                again = self.random.choice(_PAGE)
                yield {"unsubscribe": {"channel": again}}
                yield _subscribe(again)

    async def _console_commands(self, token: str) -> AsyncGenerator[dict[str, Any]]:
        yield {"connect": {"token": token, "name": "console"}}
        for channel in _CONSOLE:
            yield _subscribe(channel)
        while True:
            await trio.sleep(CONSOLE_SECONDS)
            yield {"rpc": {"method": "ops.connections", "data": {}}}
            for channel in _CONSOLE:
                yield {"unsubscribe": {"channel": channel}}
            await trio.sleep(CONSOLE_AWAY_SECONDS)
            for channel in _CONSOLE:
                yield _subscribe(channel)


def _subscribe(channel: str) -> dict[str, Any]:
    is_map = channel.partition(":")[0] in _MAPS
    return {"subscribe": {"channel": channel} | ({"type": 1, "phase": Phase.STATE} if is_map else {})}


def _watch(method: str, market: str) -> Iterator[dict[str, Any]]:
    for namespace in ("trades", "ticker", "book"):
        yield {method: {"channel": f"{namespace}:{market}"}}


@dataclass(slots=True)
class Viewer:
    """A session's connection without a socket: takes everything, and says its commands."""

    commands: AsyncIterator[dict[str, Any]]
    address: str = "127.0.0.1:50000"
    _framing: Framing = field(default_factory=partial(Framing, ConnectionType.CLIENT))
    _last_id: int = 0
    _is_closed: bool = False

    @property
    def plain(self) -> None:
        return None

    def send_now(self, data: bytes | memoryview) -> int:
        return len(data)

    async def send_all(self, data: bytes) -> None:
        self._is_closed = True

    async def finish(self) -> None:
        pass

    async def receive(self) -> bytes:
        if self._is_closed:
            return b""
        command = await anext(self.commands)
        self._last_id += 1
        return self._framing.send(TextMessage(orjson.dumps({"id": self._last_id, **command}).decode()))

    def close(self) -> None:
        self._is_closed = True
