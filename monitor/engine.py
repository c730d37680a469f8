"""The engine: market state, broadcaster and what its sessions share, put together and run.

No socket and no feed: `app` opens the front door on it and sends feeds into it, `training`
runs it on its own. The walk of an event is a chain of plain calls, with no queue in it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from monitor.broadcast.hub import BadPublication, Hub, TooBusy, TooMany
from monitor.broadcast.ladder import Variant
from monitor.broadcast.maps import Maps
from monitor.broadcast.tuning import Tuning
from monitor.broadcast.views import Views
from monitor.clock import wall_ms
from monitor.config import Namespaces, Settings
from monitor.errors import FeedError
from monitor.events import Event, FillsMissing, OrderFill, OrdersListed, OrderUpdate
from monitor.health.health import Health, run_health
from monitor.health.report import has_document, health_document
from monitor.keyring import Keyring
from monitor.market.state import MarketState, Publication
from monitor.recheck import Rechecks
from monitor.serve.admission import Admission
from monitor.serve.census import Census
from monitor.serve.closes import Closes
from monitor.serve.commands import HANDLERS
from monitor.serve.house import House
from monitor.serve.operators import RPCS
from monitor.serve.registry import Registry
from monitor.serve.timers import Timers
from monitor.serve.tokens import TokenReader
from monitor.serve.window import Rates
from monitor.turnstile import Turnstile

_log = logging.getLogger("lanecast")


_LOOKED_UP = (OrderUpdate, OrderFill, OrdersListed)
"""What a feed that begins anew finds at its venue."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Made by `build_engine`."""

    house: House
    views: Views
    rechecks: Rechecks = field(default_factory=Rechecks)

    @property
    def hub(self) -> Hub:
        return self.house.hub

    @property
    def market(self) -> MarketState:
        return self.house.market

    @property
    def health(self) -> Health:
        return self.house.hub.health

    def ingest(self, event: Event, received_ns: int) -> None:
        """One event from a feed, all the way to the sockets. Never raises for what a venue sends."""
        if self._is_premature(event):
            return
        try:
            publications = self.market.apply(event, self.health.wall_ms())
        except FeedError as error:
            self.health.totals.refused["event"] += 1
            _log.debug("an event was not taken: %s", error)
            return
        for publication in publications:
            self._publish(event, publication, received_ns)

    def _is_premature(self, event: Event) -> bool:
        """That all was looked up, of which some found no room."""
        return (
            isinstance(event, FillsMissing)
            and event.since_ms is None
            and self.rechecks.is_due(event.account, event.venue)
        )

    def _publish(self, event: Event, publication: Publication, received_ns: int) -> None:
        try:
            receipt = self.hub.publish(
                publication.channel,
                publication.payload,
                kind=publication.kind,
                stamp_ns=received_ns,
                key=publication.key,
                is_told_once=publication.is_told_once,
            )
        except (TooBusy, TooMany, BadPublication) as error:
            self._refuse(event, publication, error)
        else:
            receipt.then_if_new(publication.note)

    def _refuse(self, event: Event, publication: Publication, error: Exception) -> None:
        """Not noted: nobody was told, so a lookup at the venue is to find it new."""
        is_error = publication.is_told_once
        if isinstance(error, TooBusy) and isinstance(event, _LOOKED_UP):
            # A look-up may bring 100,000 that find none: the others are counted.
            is_error = self.rechecks.refuse(event.account, event.venue)
        level = logging.ERROR if is_error else logging.DEBUG
        _log.log(
            level, "%s: what a feed told finds no room: %s", publication.key or publication.channel, error
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Tick, time out, look at the views and sample health until cancelled."""
        with self.health.logbook.listening(_log):
            await self._run(task_status)

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            house = self.house
            for service in (self.hub.run, house.maps.run, house.timers.run, self.views.run, house.tuning.run):
                await nursery.start(service)
            hub = self.hub
            await nursery.start(
                run_health, self.health, hub.publish_sourced, hub.is_ready, hub.outflow.give_way
            )
            task_status.started()


def build_engine(
    settings: Settings,
    keys: Keyring,
    public_accounts: frozenset[str],
    *,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    wall_ms: Callable[[], int] = wall_ms,
) -> Engine:
    """Everything between the feeds and the front door, not yet running.

    Raises:
        ConfigError: the JWKS file can't be used.
    """
    health = Health(settings, clock_ns=clock_ns, wall_ms=wall_ms)
    hub = Hub(settings, Namespaces(settings.namespaces), health)
    market = MarketState(lambda channel: hub.namespace(channel).interval_ms)
    maps = Maps(hub)
    views = Views(market, hub, maps)
    hub.source = _Source(views, health)
    registry = Registry(health)
    house = House(
        settings=settings,
        tokens=TokenReader(keys, settings),
        hub=hub,
        maps=maps,
        tuning=Tuning(
            hub.outflow, health, is_on=settings.tuning, bytes_per_second=settings.tuning_bytes_per_second
        ),
        closes=Closes(),
        market=market,
        census=Census(clock_ns),
        registry=registry,
        admission=Admission(settings.limits, registry, health.totals),
        publications=Rates(settings.limits.publications_per_second),
        timers=Timers(),
        turnstile=Turnstile(),
        public_accounts=public_accounts,
        handlers=HANDLERS,
        rpcs=RPCS,
    )
    return Engine(house, views)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a new subscriber's state comes from: the market, or health as it is now."""

    views: Views
    health: Health

    def owns(self, channel: str) -> bool:
        return self.views.owns(channel)

    def knows(self, channel: str) -> bool:
        return has_document(channel) or self.views.knows(channel)

    def whole(self, channel: str, variant: Variant) -> bytes | None:
        return health_document(self.health, channel) or self.views.whole(channel, variant)

    def close(self, channel: str, variant: Variant) -> None:
        self.views.close(channel, variant)
