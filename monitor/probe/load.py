"""The long test: more and more clients until a promise breaks, then those who do harm, then all at once.

Every step is the same measurement with somebody else on the line, so all of them compare. What was
late by less than this program's own lag is told of nobody, and where it is the probe that has no
more to give, that is the result.
"""

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import quantiles

import psutil
import trio

from monitor.clock import wall_ms
from monitor.errors import PeerError
from monitor.probe.backend import Backend, open_backend
from monitor.probe.crowd import Crowd, Joined, Listened, allow_descriptors, mark
from monitor.probe.knee import FIRST_CLIENTS, Ramp
from monitor.probe.observation import Observation, OnSecond, Row, observe
from monitor.probe.report import Heard, Load, Own, Report, Standing, Step, Wave
from monitor.probe.routes import SHARED, Route, routes_of
from monitor.probe.trial import Target, run_trial, tidy
from monitor.probe.verdict import harm_in, load_troubles_of
from monitor.probe.villains import VILLAINS, Villains
from monitor.probe.worker import Worker, open_worker

CLIENTS = 5_000
WAVE_CLIENTS = 1_000
VILLAIN_CLIENTS = 200
"""Who are on the line beside a villain: well below any knee, so that what they feel is his doing."""
ROUND_SECONDS = 0.25
BULK_BYTES, BULK_PER_SECOND = 16_000, 20
"""What villains are sent, or leave unread."""
SETTLE_SECONDS = 0.3
"""After clients came or went."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part may take."""

    trial_seconds: int
    ramp_seconds: int
    step_seconds: int

    @classmethod
    def of(cls, seconds: int) -> "Plan":
        """For a test of so many seconds in all: a minute has steps of two."""
        step = max(1, seconds // 30)
        return cls(max(2, seconds // 8), max(step, seconds * 2 // 5), step)


@dataclass(frozen=True, slots=True)
class Crew:
    """The processes that make load."""

    crowd: Worker
    """Who listens."""
    wave: Worker
    """Who comes back all at once."""
    villains: Worker


@asynccontextmanager
async def _ticking(on_second: OnSecond) -> AsyncIterator[None]:
    async def tick() -> None:
        while True:
            await trio.sleep(1)
            on_second()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        yield
        nursery.cancel_scope.cancel()


def run_full(target: Target, plan: Plan, on_second: OnSecond = lambda: None) -> Report:
    """The short test and then the long one. Forks, so it is called without a loop. Raises PeerError."""
    limit = allow_descriptors(CLIENTS)
    crowd, villains = partial(Crowd, target.door), partial(Villains, target.door)
    with open_worker(crowd) as first, open_worker(crowd) as second, open_worker(villains) as third:
        return trio.run(_run, target, plan, Crew(first, second, third), limit, on_second)


async def _run(target: Target, plan: Plan, crew: Crew, limit: int, on_second: OnSecond) -> Report:
    async with _ticking(on_second):
        report = await run_trial(target, plan.trial_seconds)
        load = await run_load(target, plan, crew, limit, report)
    return replace(report, time_ms=wall_ms(), load=load, troubles=[*report.troubles, *load_troubles_of(load)])


async def run_load(target: Target, plan: Plan, crew: Crew, limit: int, report: Report) -> Load:
    """Ramp, villains and wave, on the kinds that a short test has found. Raises PeerError."""
    kinds = [kind.kind for kind in report.kinds]
    routes = [
        route for route in routes_of(kinds, target.namespaces, secrets.token_hex(4)) if not route.is_map
    ]
    thresholds = {kind.kind: kind.threshold_ms for kind in report.kinds}
    async with (
        open_backend(target.url, target.api_key, target.certificate_file) as backend,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_publish, backend, routes)
        run = LoadRun(target, plan, crew, thresholds)
        channels = list({route.channel: route.namespace.subscriber_limit for route in routes}.items())
        await crew.crowd.call(Crowd.invite, channels)
        await crew.wave.call(Crowd.invite, channels)
        await run.ramp(limit)
        bulk = next((route for route in routes if route.kind == SHARED), routes[0])
        nursery.start_soon(_publish_bulk, backend, bulk)
        await run.suffer(_bulk_channel(bulk))
        await run.be_stormed()
        nursery.cancel_scope.cancel()
        await tidy(backend, routes)
    return run.result()


def _bulk_channel(route: Route) -> str:
    return f"{route.channel}-bulk"


async def _publish(backend: Backend, routes: Sequence[Route]) -> None:
    """Every kind once a round, without end; a refusal shows in what is not heard."""
    while True:
        began = trio.current_time()
        for route in routes:
            await _try(backend, route.channel, {"mark": mark(route.kind)}, route.kind)
        await trio.sleep_until(began + ROUND_SECONDS)


async def _publish_bulk(backend: Backend, route: Route) -> None:
    while True:
        await _try(backend, _bulk_channel(route), {"bulk": "x" * BULK_BYTES}, route.kind)
        await trio.sleep(1 / BULK_PER_SECOND)


async def _try(backend: Backend, channel: str, data: Row, kind: str) -> None:
    try:
        await backend.publish(channel, data, kind)
    except PeerError:
        return


class LoadRun:
    """One long test: what was measured so far."""

    def __init__(self, target: Target, plan: Plan, crew: Crew, thresholds: dict[str, float | None]) -> None:
        self._target = target
        self._plan = plan
        self._crew = crew
        self._thresholds = thresholds
        self._ramp: list[Step] = []
        self._villains: list[Step] = []

    def result(self) -> Load:
        return Load(self._ramp, self._knee, self._villains, self._wave, self._observation)

    async def ramp(self, limit: int) -> None:
        """More clients until something breaks twice; then between the last that held and that."""
        deadline = trio.current_time() + self._plan.ramp_seconds
        ramp = Ramp(limit)
        while (clients := ramp.next()) is not None and trio.current_time() < deadline:
            joined = await self._crew.crowd.call(Crowd.join, clients)
            step, seen = await self._measure("ramp", joined)
            self._ramp.append(step)
            if ramp.take(step, clients) or len(self._ramp) == 1:
                self._observation = seen
        self._knee = ramp.knee()

    async def suffer(self, channel: str) -> None:
        """The same few clients, first among themselves, then beside each villain; twice if that does harm."""
        clients = max(FIRST_CLIENTS, min(VILLAIN_CLIENTS, self._knee.clients // 2))
        joined = await self._crew.crowd.call(Crowd.join, clients)
        self._villains.append((await self._measure("nobody", joined))[0])
        for name in VILLAINS:
            step = await self._beside(name, channel, joined)
            self._villains.append(await self._beside(name, channel, joined) if harm_in(step) else step)

    async def _beside(self, villain: str, channel: str, joined: Joined) -> Step:
        seconds = self._plan.step_seconds + SETTLE_SECONDS
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(self._crew.villains.call, Villains.act, villain, channel, seconds))
            step, _ = await self._measure(villain, joined)
        return step

    async def be_stormed(self) -> None:
        """Others go and come back all at once, beside those who listen."""
        clients = max(FIRST_CLIENTS, min(WAVE_CLIENTS, self._knee.clients // 2))
        there: Joined = await self._crew.wave.call(Crowd.join, clients)
        back: list[Joined] = []

        async def storm() -> None:
            await trio.sleep(SETTLE_SECONDS)
            await self._crew.wave.call(Crowd.leave)
            back.append(await self._crew.wave.call(Crowd.join, clients, at_once=clients))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(storm)
            step, _ = await self._measure("reconnect wave", replace(there, clients=self._villains[0].clients))
        (came,) = back
        self._wave = Wave(
            there.clients, came.clients, came.failures, round(came.seconds, 3), _median(came.took_ms), step
        )

    async def _measure(self, name: str, joined: Joined) -> tuple[Step, Observation]:
        await trio.sleep(SETTLE_SECONDS)
        psutil.cpu_percent()
        seconds = self._plan.step_seconds
        heard: list[Listened] = []

        async def listen() -> None:
            heard.append(await self._crew.crowd.call(Crowd.listen, seconds))

        async with self._target.open() as operator, trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            seen = await observe(operator, seconds)
        (listened,) = heard
        own = Own(listened.cpu_percent, listened.lag_ms, psutil.cpu_percent())
        kinds = list(self._heard(listened))
        step = Step(name, joined.clients, joined.failures, listened.cut, kinds, _standing(seen), own)
        return step, seen

    def _heard(self, listened: Listened) -> Iterable[Heard]:
        for kind, latencies in listened.latencies_ms.items():
            yield heard_of(kind, latencies, self._thresholds.get(kind), listened.lag_ms)


def heard_of(kind: str, latencies_ms: Sequence[float], threshold_ms: float | None, lag_ms: float) -> Heard:
    """A kind's latencies (sorted, at least one) against its threshold; `lag_ms` is what may be our doing."""
    bound = float("inf") if threshold_ms is None else threshold_ms
    late = sum(latency > bound for latency in latencies_ms)
    surely = sum(latency - lag_ms > bound for latency in latencies_ms)
    return Heard(
        kind,
        threshold_ms,
        len(latencies_ms),
        surely,
        late - surely,
        _median(latencies_ms),
        round(quantiles([latencies_ms[0], *latencies_ms], n=100, method="inclusive")[-1], 3),
        round(latencies_ms[-1], 3),
    )


def _median(sorted_ms: Sequence[float]) -> float:
    return round(sorted_ms[len(sorted_ms) // 2], 3) if sorted_ms else 0.0


def _standing(seen: Observation) -> Standing:
    """The server's own figures at the end of a step."""
    last = seen.health[-1]
    return Standing(
        cpu_percent=last["process"]["cpu_percent"],
        lag_p99_ms=last["loop"]["lag_p99_ms"],
        memory_bytes=last["process"]["memory_bytes"],
        depth=sum(lane["depth"] for lane in last["lanes"]),
        sent_rate=last["rates"]["sent"],
    )
