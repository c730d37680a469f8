"""The short test: marked events of every kind go in, and must come out where they belong, in time.

One clock measures both ends, from the publisher's call to the subscriber's hand, so the HTTP call is
part of each figure; half a round trip is taken off. The subscriber is an operator, who may read all.
"""

import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Never

import trio

from monitor.backend import Backend, open_backend
from monitor.client import Client, CommandRejected, MapSubscription, Subscription
from monitor.clock import wall_ms
from monitor.config import Namespace
from monitor.errors import PeerError
from monitor.probe.documents import Kind
from monitor.probe.door import Door
from monitor.probe.observation import OnSecond, follow, observe, open_probe
from monitor.probe.report import Connected, Delivered, Report
from monitor.probe.routes import SHARED, Route, routes_of
from monitor.probe.verdict import troubles_of

CLIENTS = 20
"""Connected besides: whether connecting works, and one publication reaches all of them."""
ROUND_SECONDS = 0.5
PATIENCE_SECONDS = 0.1
"""For an answer, before the next kind is published: if all are so slow they come five times in 15 s."""
SETTLE_SECONDS = 1.0
"""For the last of what was published, before it counts as lost."""
PENDING = 4_096
KEY = "probe"
"""Of the maps."""
ROUND_TRIPS = 5


@dataclass(frozen=True, slots=True)
class Target:
    """Which server is tested, and as whom."""

    url: str
    api_key: str = field(repr=False)
    operator_token: str = field(repr=False)
    namespaces: Mapping[str, Namespace]
    certificate_file: Path | None = None

    @property
    def door(self) -> Door:
        return Door(self.url, self.operator_token, self.certificate_file)

    def open(self) -> Any:
        return open_probe(self.url, self.operator_token, self.certificate_file)


@dataclass(slots=True)
class Ear:
    """What one subscriber heard on a channel: when each number came, in seconds."""

    heard: dict[tuple[str, int], float] = field(default_factory=dict)
    repeated: int = 0

    def hear(self, data: Any) -> None:
        if not (isinstance(data, dict) and "kind" in data and "number" in data):
            return
        mark = (data["kind"], data["number"])
        self.repeated += mark in self.heard
        self.heard.setdefault(mark, time.perf_counter())


@dataclass(slots=True)
class Sent:
    """When each number of a kind was published, in seconds, and how many were refused."""

    times: dict[int, float] = field(default_factory=dict)
    refused: int = 0


async def listen(subscription: Subscription | MapSubscription, ear: Ear) -> None:
    """Hear a channel until cancelled or cut; a cut is seen as what is missing."""
    try:
        if isinstance(subscription, MapSubscription):
            async for _ in subscription:
                ear.hear(subscription.entries.get(KEY))
        else:
            async for publication in subscription:
                ear.hear(publication.data)
    except PeerError:
        return


async def run_trial(target: Target, seconds: int, on_second: OnSecond = lambda: None) -> Report:
    """Test a server for so long; `kinds` and thresholds are what it says of itself. Raises PeerError."""
    run = secrets.token_hex(4)
    async with target.open() as operator, trio.open_nursery() as nursery:
        trial = Trial(target, operator, nursery)
        report = await trial.run(run, seconds, on_second)
        nursery.cancel_scope.cancel()
    return replace(report, troubles=list(troubles_of(report)))


class Trial:
    def __init__(self, target: Target, operator: Client, nursery: trio.Nursery) -> None:
        self._target = target
        self._operator = operator
        self._nursery = nursery
        self._ears: dict[str, Ear] = {}
        self._sent: dict[str, Sent] = {}
        self._others: list[Client] = []
        """Who leaves no channel, and so is sent nothing of any that it has not asked for."""

    async def run(self, run: str, seconds: int, on_second: OnSecond) -> Report:
        kinds = await self._kinds()
        routes = list(routes_of(kinds, self._target.namespaces, run))
        self._sent = {route.kind: Sent() for route in routes}
        shared = next((route for route in routes if route.kind == SHARED), None)
        async with AsyncExitStack() as stack:
            for route in routes:
                await self._hear(route)
            stranger, intrusions = await self._watch_strangers(stack, routes)
            crowd, failed = await self._gather_crowd(shared)
            round_trip_ms = await self._round_trip()
            backend = await stack.enter_async_context(
                open_backend(self._target.url, self._target.api_key, self._target.certificate_file)
            )
            await backend.call("info")  # else a key that is not taken would be told as refused events
            async with trio.open_nursery() as publishing:
                publishing.start_soon(self._publish, backend, routes)
                seen = await observe(self._operator, seconds, on_second)
                publishing.cancel_scope.cancel()
            await trio.sleep(SETTLE_SECONDS)
            await tidy(backend, routes)
        strayed = [f"a channel beside it received {kind} {number}" for kind, number in stranger.heard]
        if strays := sum(client.strays for client in self._others):
            strayed.append(f"{strays} publications came to clients that are not subscribed to their channels")
        expected = set(self._ears[shared.channel].heard) if shared else set()
        missed = sum(len(expected - set(ear.heard)) for ear in crowd)
        connected = Connected(CLIENTS, failed, missed, round_trip_ms)
        last = {kind["kind"]: kind for kind in seen.health[-1]["kinds"]}
        return Report(
            url=self._target.url,
            time_ms=wall_ms(),
            version=seen.health[-1]["version"],
            seconds=seconds,
            kinds=[self._delivered(route, last[route.kind], connected.line_ms) for route in routes],
            connected=connected,
            leaks=intrusions + strayed,
            observation=seen,
        )

    async def _kinds(self) -> list[str]:
        subscription = await follow(self._operator, "ops:health")
        await self._operator.unsubscribe("ops:health")
        return [kind["kind"] for kind in subscription.data["kinds"]]

    async def _hear(self, route: Route) -> None:
        if route.channel in self._ears:
            return
        ear = self._ears[route.channel] = Ear()
        await self._follow(self._operator, route, route.channel, ear)

    async def _follow(self, client: Client, route: Route, channel: str, ear: Ear) -> None:
        subscription = (
            await client.subscribe_map(channel)
            if route.is_map
            else await client.subscribe(channel, capacity=PENDING)
        )
        self._nursery.start_soon(listen, subscription, ear)

    async def _watch_strangers(self, stack: AsyncExitStack, routes: list[Route]) -> tuple[Ear, list[str]]:
        """Somebody without a token, on the channels beside ours; tries ours where he must not read."""
        ear, intrusions = Ear(), []
        try:
            stranger = await stack.enter_async_context(
                open_probe(self._target.url, "", self._target.certificate_file)
            )
        except PeerError:
            return ear, []  # nobody gets in without a token
        self._others.append(stranger)
        for channel, route in {route.channel: route for route in routes}.items():
            if route.is_public:
                await self._follow(stranger, route, f"{channel}-beside", ear)
            elif await _may_read(stranger, channel, is_map=route.is_map):
                intrusions.append(f"{channel} is not public, and who has no token may read it")
        return ear, intrusions

    async def _gather_crowd(self, route: Route | None) -> tuple[list[Ear], int]:
        """Those who hear, and how many do not; all at once, as each has several round trips to make."""
        ears: list[Ear] = []
        async with trio.open_nursery() as joining:
            for _ in range(CLIENTS):
                joining.start_soon(self._join, route, ears)
        return ears, CLIENTS - len(ears)

    async def _join(self, route: Route | None, ears: list[Ear]) -> None:
        with suppress(PeerError):
            ears.append(await self._nursery.start(self._stay, route))

    async def _stay(self, route: Route | None, *, task_status: trio.TaskStatus[Ear]) -> None:
        """One of the crowd, connected until the end."""
        async with self._target.open() as client:
            self._others.append(client)
            ear = Ear()
            if route is not None:
                await self._follow(client, route, route.channel, ear)
            task_status.started(ear)
            await trio.sleep_forever()

    async def _round_trip(self) -> float:
        times_ms = []
        for _ in range(ROUND_TRIPS):
            started = time.perf_counter()
            await self._operator.rpc("me")
            times_ms.append((time.perf_counter() - started) * 1_000)
        return round(median(times_ms), 3)

    async def _publish(self, backend: Backend, routes: list[Route]) -> Never:
        """Every kind once a round, until cancelled, but for those whose last answer is still awaited.

        One after the other, as a burst would be late by our doing; but a slow one holds up no other for long.
        """
        answers: dict[str, trio.Event] = {}
        number = 0
        async with trio.open_nursery() as calls:
            while True:
                number += 1
                for route in routes:
                    answered = answers.get(route.kind)
                    if answered is None or answered.is_set():
                        answered = answers[route.kind] = trio.Event()
                        calls.start_soon(self._publish_one, backend, route, number, answered)
                    with trio.move_on_after(PATIENCE_SECONDS):
                        await answered.wait()
                await trio.sleep(ROUND_SECONDS)

    async def _publish_one(self, backend: Backend, route: Route, number: int, answered: trio.Event) -> None:
        sent, data = self._sent[route.kind], {"kind": route.kind, "number": number}
        sent.times[number] = time.perf_counter()
        # A call that is under way is finished: what it published must not be unknown to us.
        with trio.CancelScope(shield=True):
            try:
                if route.is_for_operators:
                    await self._publish_as_operator(route, data)
                elif route.is_map:
                    await backend.put(route.channel, KEY, data, route.kind)
                else:
                    await backend.publish(route.channel, data, route.kind)
            except PeerError:
                del sent.times[number]
                sent.refused += 1
        answered.set()

    async def _publish_as_operator(self, route: Route, data: dict[str, Any]) -> None:
        """What is for operators opens to no API key."""
        if route.is_map:
            await self._operator.map_publish(route.channel, KEY, data)
        else:
            await self._operator.publish(route.channel, data)

    def _delivered(self, route: Route, kind: Kind, line_ms: float) -> Delivered:
        sent, ear = self._sent[route.kind], self._ears[route.channel]
        heard = {number: at for (name, number), at in ear.heard.items() if name == route.kind}
        merges = route.is_map or route.namespace.delivery.merges
        newest = max(heard, default=0)
        lost = sum(number not in heard and not (merges and number < newest) for number in sent.times)
        took_ms = sorted(
            max(0.0, (heard[number] - at) * 1_000 - line_ms)
            for number, at in sent.times.items()
            if number in heard
        )
        threshold_ms = kind["threshold_ms"]
        return Delivered(
            kind=route.kind,
            lane=route.namespace.lane.name.lower(),
            channel=route.channel,
            published=len(sent.times),
            refused=sent.refused,
            lost=lost,
            repeated=ear.repeated,
            late=0 if threshold_ms is None else sum(ms > threshold_ms for ms in took_ms),
            threshold_ms=threshold_ms,
            p50_ms=round(median(took_ms), 3) if took_ms else None,
            worst_ms=round(took_ms[-1], 3) if took_ms else None,
            server_p99_ms=kind["last_10s"]["p99_ms"],
        )


async def _may_read(client: Client, channel: str, *, is_map: bool) -> bool:
    try:
        await (client.subscribe_map(channel) if is_map else client.subscribe(channel))
    except CommandRejected:
        return False
    return True


async def tidy(backend: Backend, routes: list[Route]) -> None:
    """Leave nothing behind that can be taken back: a journal keeps what it was given."""
    for route in {route.channel: route for route in routes}.values():
        if route.is_map or (route.namespace.history_size and not route.namespace.journal):
            await backend.forget(route.channel, is_map=route.is_map)
