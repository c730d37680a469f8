"""The long test: more and more clients until a promise breaks, then those who do harm, then all at once.

Every step is the same measurement with somebody else on the line, so all of them compare. What was
late by less than this program's own lag is told of nobody, and where it is the probe that has no
more to give, that is the result.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from statistics import quantiles

import psutil
import trio

from monitor.backend import open_backend
from monitor.clock import wall_ms
from monitor.errors import PeerError
from monitor.probe.crowd import Crowd, Joined, Listened, allow_descriptors
from monitor.probe.knee import FIRST_CLIENTS, Ramp
from monitor.probe.observation import Observation, OnSecond, observe
from monitor.probe.pulse import Pulse
from monitor.probe.report import Heard, Knee, Load, Own, Report, Standing, Step, Wave
from monitor.probe.routes import SHARED, Route, routes_of
from monitor.probe.trial import Target, run_trial, tidy
from monitor.probe.verdict import harm_in, load_troubles_of
from monitor.probe.villains import VILLAINS, Villains
from monitor.probe.worker import Worker, open_worker

CLIENTS = 5_000
WAVE_CLIENTS = 1_000
VILLAIN_CLIENTS = 200
"""Who are on the line beside a villain: well below any knee, so that what they feel is his doing."""
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
        return cls(max(2, seconds // 8), max(step, seconds // 2), step)


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
    """The short test and then the long one. Forks, so it is called without a loop. Raises PeerError,
    and ConfigError where this process may have too few sockets."""
    limit = allow_descriptors(FIRST_CLIENTS, CLIENTS)
    crowd, villains = partial(Crowd, target.door), partial(Villains, target.door)
    with (
        open_worker(crowd) as first,
        open_worker(crowd, gives_way=True) as second,
        open_worker(villains, gives_way=True) as third,
    ):
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
    bulk = _for_bulk(routes)
    async with open_backend(target.url, target.api_key, target.certificate_file) as backend:
        async with trio.open_nursery() as nursery:
            pulse = Pulse(backend)
            nursery.start_soon(pulse.publish, routes)
            thresholds = {kind.kind: kind.threshold_ms for kind in report.kinds}
            course = Course(target, plan, crew, thresholds, pulse)
            rooms = {route.channel: route.namespace.subscriber_limit for route in routes}
            await crew.crowd.call(Crowd.invite, rooms)
            climb = await course.climb(limit)
            some = max(FIRST_CLIENTS, climb.knee.clients // 2)
            nursery.start_soon(pulse.publish_bulk, bulk.channel, bulk.kind)
            villains = await course.suffer(bulk.channel, min(VILLAIN_CLIENTS, some))
            listening = villains[0].clients
            await crew.wave.call(Crowd.invite, rooms_beside(rooms, listening))
            wave = await course.be_stormed(min(WAVE_CLIENTS, some), listening)
            nursery.cancel_scope.cancel()
        # A report of a minute's work is worth more than what a server keeps until its next start.
        with suppress(PeerError):
            await tidy(backend, [*routes, bulk])
    return Load(climb.steps, climb.knee, villains, wave, climb.observation)


def rooms_beside(rooms: Mapping[str, int], clients: int) -> dict[str, int]:
    """The channels in which others are subscribed already, with the room that is left (0: without bound)."""
    return {channel: room and room - clients for channel, room in rooms.items() if not 0 < room <= clients}


def _for_bulk(routes: Sequence[Route]) -> Route:
    """A channel of its own, for what villains leave unread."""
    beside = next((route for route in routes if route.kind == SHARED), routes[0])
    return replace(beside, channel=f"{beside.channel}-bulk")


@dataclass(frozen=True, slots=True)
class Climb:
    """What became of more and more clients."""

    steps: list[Step]
    knee: Knee
    observation: Observation
    """Of the step by which the knee is told, else of the first."""


@dataclass(frozen=True, slots=True)
class Course:
    """Where the steps of one long test are run, and by whom."""

    target: Target
    plan: Plan
    crew: Crew
    thresholds: Mapping[str, float | None]
    pulse: Pulse

    async def climb(self, limit: int) -> Climb:
        """More clients until something breaks twice; then between the last that held and that."""
        deadline = trio.current_time() + self.plan.ramp_seconds
        ramp, steps, told = Ramp(limit), [], None
        while (clients := ramp.next()) is not None and (told is None or trio.current_time() < deadline):
            joined = await self.crew.crowd.call(Crowd.join, clients)
            step, seen = await self.measure("ramp", joined)
            steps.append(step)
            if ramp.take(step, clients) or told is None:
                told = seen
        assert told is not None
        return Climb(steps, ramp.knee(), told)

    async def suffer(self, channel: str, clients: int) -> list[Step]:
        """The same few clients, first among themselves, then beside each villain; twice if that does harm."""
        joined = await self.crew.crowd.call(Crowd.join, clients)
        steps = [(await self.measure("nobody", joined))[0]]
        for name in VILLAINS:
            step = await self._beside(name, channel, joined)
            steps.append(await self._beside(name, channel, joined) if harm_in(step) else step)
        return steps

    async def _beside(self, villain: str, channel: str, joined: Joined) -> Step:
        seconds = self.plan.step_seconds + SETTLE_SECONDS
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(self.crew.villains.call, Villains.act, villain, channel, seconds))
            step, _ = await self.measure(villain, joined)
        return step

    async def be_stormed(self, clients: int, listening: int) -> Wave:
        """Others go and come back all at once, beside those who listen."""
        there: Joined = await self.crew.wave.call(Crowd.join, clients)
        back: list[Joined] = []

        async def storm() -> None:
            await trio.sleep(SETTLE_SECONDS)
            await self.crew.wave.call(Crowd.leave)
            back.append(await self.crew.wave.call(Crowd.join, there.clients, at_once=there.clients))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(storm)
            step, _ = await self.measure("reconnect wave", replace(there, clients=listening))
        (came,) = back
        seconds, middle_ms = round(came.seconds, 3), _median(came.took_ms)
        return Wave(there.clients, came.clients, came.failures, seconds, middle_ms, step)

    async def measure(self, name: str, joined: Joined) -> tuple[Step, Observation]:
        """One step, with these clients on the line."""
        await trio.sleep(SETTLE_SECONDS)
        used_percent()
        self.pulse.take_lag_ms()
        seconds = self.plan.step_seconds
        heard: list[Listened] = []

        async def listen() -> None:
            heard.append(await self.crew.crowd.call(Crowd.listen, seconds))

        async with self.target.open() as operator, trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            seen = await observe(operator, seconds)
        (listened,) = heard
        lag_ms = round(listened.lag_ms + self.pulse.take_lag_ms(), 3)
        own = Own(listened.cpu_percent, lag_ms, used_percent())
        kinds = [
            heard_of(kind, latencies, self.thresholds.get(kind), lag_ms)
            for kind, latencies in listened.latencies_ms.items()
        ]
        step = Step(name, joined.clients, joined.failures, listened.cut, kinds, _standing(seen), own)
        return step, seen


def used_percent() -> float:
    """Of all cores since this was last asked, but for what gives way to others (`nice`)."""
    spent = psutil.cpu_times_percent()
    return round(100 - spent.idle - spent.nice - getattr(spent, "iowait", 0.0), 1)


def heard_of(kind: str, latencies_ms: Sequence[float], threshold_ms: float | None, lag_ms: float) -> Heard:
    """A kind's latencies (sorted, at least one) against its threshold; `lag_ms` is what may be our doing."""
    bound = float("inf") if threshold_ms is None else threshold_ms
    late = sum(latency > bound for latency in latencies_ms)
    surely = sum(latency - lag_ms > bound for latency in latencies_ms)
    shares = quantiles([latencies_ms[0], *latencies_ms], n=100, method="inclusive")
    return Heard(
        kind,
        threshold_ms,
        len(latencies_ms),
        surely,
        late - surely,
        round(shares[49], 3),
        round(shares[89], 3),
        round(shares[98], 3),
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
