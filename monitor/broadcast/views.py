"""The hub's source: market state, published at each namespace's cadence while somebody watches.

A market may change a thousand times a second; its book goes out ten times. The changes in
between are merged where they arise, so nobody downstream has to throw anything away. What
nobody has heard of yet is not looked at: any client can invent thousands of names.
"""

import math
from dataclasses import dataclass

import trio

from monitor.broadcast.hub import Hub
from monitor.broadcast.ladder import FORMS, Variant
from monitor.broadcast.maps import Maps
from monitor.config import Delivery
from monitor.market.state import MarketState
from monitor.market.view import View
from monitor.turn import Turn


@dataclass(slots=True)
class _Open:
    view: View
    due_ns: int


class Views:
    def __init__(self, market: MarketState, hub: Hub, maps: Maps) -> None:
        self._market = market
        self._hub = hub
        self._maps = maps
        self._clock_ns = hub.health.clock_ns
        self._open: dict[tuple[str, Variant], _Open] = {}
        self._unheard: dict[str, dict[tuple[str, Variant], _Open]] = {}
        """By the name of their market or account: watched, and nothing to be seen yet."""
        self._opened = trio.Event()

    def owns(self, channel: str) -> bool:
        return self._market.view(channel) is not None

    def knows(self, channel: str) -> bool:
        return self._market.knows(channel)

    def whole(self, channel: str, variant: Variant) -> bytes | None:
        """State for a new subscriber; those who are there already hear of it at the cadence, as always.

        That of a map is not told here but taken over by the channel, which tells it in pages.
        """
        found = self._found(channel, variant)
        if found is not None:
            return None if self._is_map(channel) else found.view.whole()
        view = self._market.view(channel, FORMS[variant].depth)
        if view is None:
            return None
        # Kept open, a stream would be looked at every tick, for as long as anybody watches fills.
        if view.interval_seconds != math.inf:
            self._keep(channel, variant, _Open(view, self._due(view, variant)))
        whole = view.whole()
        if self._is_map(channel):
            self._maps.adopt(channel, whole)
            return None
        return whole

    def _is_map(self, channel: str) -> bool:
        return self._hub.namespace(channel).delivery is Delivery.MAP

    def _found(self, channel: str, variant: Variant) -> _Open | None:
        key = channel, variant
        return self._open.get(key) or self._unheard.get(_name(channel), {}).get(key)

    def _keep(self, channel: str, variant: Variant, found: _Open) -> None:
        is_heard = self._market.knows(channel)
        kept = self._open if is_heard else self._unheard.setdefault(_name(channel), {})
        kept[channel, variant] = found
        self._opened.set()

    def close(self, channel: str, variant: Variant) -> None:
        name = _name(channel)
        self._open.pop((channel, variant), None)
        if (unheard := self._unheard.get(name)) is not None:
            unheard.pop((channel, variant), None)
            if not unheard:
                del self._unheard[name]

    def _open_heard(self) -> None:
        """What was waited for and has been heard of now is looked at from now on."""
        for name in self._market.take_heard():
            self._open |= self._unheard.pop(name, {})

    def _due(self, view: View, variant: Variant) -> int:
        return self._clock_ns() + int(max(view.interval_seconds, FORMS[variant].interval_seconds) * 1e9)

    def _publish(self, channel: str, variant: Variant, found: _Open) -> None:
        changes = found.view.changes()
        if changes is None:
            return
        if self._is_map(channel):
            self._maps.follow(channel, changes)
        else:
            self._hub.publish_sourced(channel, changes, variant)
        found.due_ns = self._due(found.view, variant)

    async def _publish_due(self) -> None:
        """Publish the changes of every watched channel whose interval has passed, giving way in between."""
        self._open_heard()
        now_ns = self._clock_ns()
        turn = Turn(clock_ns=self._clock_ns)
        for (channel, variant), found in list(self._open.items()):
            if self._is_due(channel, variant, found, now_ns):
                self._publish(channel, variant, found)
            await turn.give_way()

    def _is_due(self, channel: str, variant: Variant, found: _Open, now_ns: int) -> bool:
        """While a fan-out is under way, changes gather here, where they cost nothing.

        A view that was closed while others had their turn must not speak any more.
        """
        is_open = self._open.get((channel, variant)) is found
        return is_open and found.due_ns <= now_ns and self._hub.is_ready(channel)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Publish at the cadence until cancelled; sleeps while nobody watches."""
        task_status.started()
        while True:
            await self._opened.wait()
            while self._open or self._unheard:
                await trio.sleep(self._hub.outflow.cadence.tick_ms / 1_000)
                await self._publish_due()
            self._opened = trio.Event()


def _name(channel: str) -> str:
    """The market or account that a channel is about."""
    return channel.partition(":")[2]
