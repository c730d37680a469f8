"""One account's open orders and last fills, and what of that is new.

A venue's word on an order is its whole state, so the newest replaces; an execution is counted
once by (venue, market, fill id), because after a reconnect venues tell it again. An order that
its venue lists no longer is gone, though nobody said how: it would be shown as open for ever.
"""

from typing import Any

import orjson

from monitor.events import AccountPast, OrderFill, OrdersListed, OrderUpdate
from monitor.market.entries import Entries
from monitor.market.market import Market
from monitor.market.told import OPEN_STATUSES, Told
from monitor.market.view import Sections
from monitor.recent import Recent, SeenIds

FILLS_SHOWN = 50
_SEEN_FILLS = 100_000
_MARKETS = 1_000
"""In which there were orders; the one that was heard of longest ago is forgotten."""
_GONE = {"status": "GONE", "reason": "not among the venue's open orders", "time": None}
"""Ended while its venue was not heard: nobody knows when, nor whether it was filled or cancelled."""


class OpenOrders(Entries):
    """What `open_orders:` shows."""

    def holds(self, told: Told) -> bool:
        """Whether an order is open just as this says."""
        return self._fields.get(_order_key(told)) == _untyped(told)

    def updates(self) -> list[Told]:
        return [_typed(fields) for fields in self._fields.values()]


class Orders:
    """What `orders:` starts from."""

    def __init__(self, *, awaits_past: bool) -> None:
        self.open = OpenOrders(awaits_past=awaits_past)
        self._awaits_past = awaits_past
        self._fills: dict[str, orjson.Fragment] = {}
        self._seen = SeenIds(_SEEN_FILLS)
        self._times = Recent[str, int](_MARKETS)
        """When each market's newest order or fill happened; if fills were missing then, since when."""
        self._missing: dict[str, int] = {}
        """By venue, since when fills may be missing now."""

    def knows(self, told: Told) -> bool:
        """Whether it is no news: a fill that was told before, an open order as it was told last."""
        return fill_key(told) in self._seen if told["type"] == "order_fill" else self.open.holds(told)

    def miss(self, venue: str, since_ms: int | None) -> None:
        """From here on what the venue tells stands behind a hole that began then; None: there is none."""
        if since_ms is None:
            self._missing.pop(venue, None)
        else:
            self._missing[venue] = since_ms

    def doubt(self, told: Told) -> Told:
        """What a venue tells, with since when fills may be missing before it, if any may."""
        since_ms = 0 if self._awaits_past else self._missing.get(told["market"].partition(".")[0])
        return told if since_ms is None else told | {"missing_since": since_ms}

    def gone(self, listed: OrdersListed) -> list[Told]:
        """The last word on each order that was open at the venue and is not among those it lists."""
        still = {(f"{listed.venue}.{market}", order) for market, order in listed.orders}
        return [
            self.doubt(told | _GONE)
            for told in self.open.updates()
            if told["market"].startswith(f"{listed.venue}.") and (told["market"], told["order"]) not in still
        ]

    def take(self, told: Told, payload: bytes) -> None:
        """Take what a payload says, which was encoded as `payload`."""
        self._note_time(told["market"], told.get("missing_since", told.get("time")))
        if told["type"] == "order_fill":
            self._take_fill(fill_key(told), orjson.Fragment(payload))
        elif told["status"] in OPEN_STATUSES:
            self.open.put(_order_key(told), _untyped(told))
        else:
            self.open.drop(_order_key(told))

    def recall(self, before: "Orders") -> None:
        """Be as if what `before` was told had been told first; it is used up by that."""
        self._awaits_past = False
        self.open.recall(before.open)
        before._seen.extend(self._seen)
        for key, fill in self._fills.items():
            before._take_fill(key, fill)
        for market, time_ms in self._times.items():
            before._note_time(market, time_ms)
        self._seen, self._fills, self._times = before._seen, before._fills, before._times

    def _take_fill(self, key: str, fill: orjson.Fragment) -> None:
        self._seen.add(key)
        self._fills.pop(key, None)  # one that is told again is the youngest
        self._fills[key] = fill
        if len(self._fills) > FILLS_SHOWN:
            del self._fills[next(iter(self._fills))]

    def _note_time(self, market: str, time_ms: int | None) -> None:
        if isinstance(time_ms, int):
            self._times.keep(market, max(time_ms, self._times.get(market, 0)))

    def past(self, venue: str) -> AccountPast | None:
        """What is known of the account at a venue; None if no time is."""
        times = {
            market.removeprefix(f"{venue}."): time_ms
            for market, time_ms in self._times.items()
            if market.startswith(f"{venue}.")
        }
        since_ms = max(times.values(), default=0)
        return AccountPast(since_ms, frozenset(times)) if since_ms else None

    def sections(self) -> Sections:
        return {"orders": self.open.updates(), "fills": list(self._fills.values())}


def _typed(fields: dict[str, Any]) -> Told:
    return {"type": "order_update", **fields}


def _untyped(told: Told) -> dict[str, Any]:
    """What is said of the order itself."""
    return {name: value for name, value in told.items() if name not in ("type", "missing_since")}


def _order_key(told: Told) -> str:
    """What an order is known by among those of its account: venues number them by market, and each anew."""
    return f"{told['market']}/{told['order']}"


def fill_key(told: Told) -> str:
    """What an execution is known by, among those of its account: its venue, its market and its id there."""
    return f"{told['market']}/{told['fill']}"


def tell_update(market: Market, update: OrderUpdate) -> Told:
    """The payload of an order's new state."""
    return {
        "type": "order_update",
        "market": market.key,
        "order": update.order_id,
        "side": update.side,
        "order_type": update.order_type,
        "status": update.status,
        "price": market.price_text(update.price),
        "size": market.size_text(update.size),
        "filled": market.size_text(update.filled),
        "client_order": update.client_order_id,
        "bot": update.bot_id,
        "role": update.role,
        "reason": update.reason,
        "time": update.time_ms,
    }


def tell_fill(market: Market, fill: OrderFill) -> Told:
    """The payload of an execution."""
    told = {
        "type": "order_fill",
        "market": market.key,
        "order": fill.order_id,
        "fill": fill.fill_id,
        "side": fill.side,
        "price": market.price_text(fill.price),
        "size": market.size_text(fill.size),
        "filled": _known(market, fill.filled),
        "order_size": _known(market, fill.order_size),
        "status": fill.status,
        "fee": fill.fee,
        "fee_asset": fill.fee_asset,
        "maker": fill.is_maker,
        "client_order": fill.client_order_id,
        "bot": fill.bot_id,
        "role": fill.role,
        "delay_ms": fill.delay_ms,
        "time": fill.time_ms,
    }
    return told | {"backfilled": True} if fill.is_backfilled else told


def _known(market: Market, size: int | None) -> str | None:
    return None if size is None else market.size_text(size)
