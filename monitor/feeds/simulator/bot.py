"""One paper bot's martingale cycles: buy, buy more on the way down, sell the lot a little higher.

    base order ─► take profit + safety order ─► completed
                       ▲            │ price fell
                       └────────────┘ (average price sinks, take profit is placed anew)

Money is added up in scaled integers, so a cycle's profit is what its fills say to the last
digit. Orders are on paper: trades of the market fill them, they are not in its book.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from monitor.events import (
    BotCycle,
    BotLifecycle,
    BotStatus,
    Event,
    OrderFill,
    OrderRole,
    OrderUpdate,
    Side,
    Trade,
)
from monitor.feeds.simulator.catalogue import ACCOUNT, VENUE, BotSpec
from monitor.feeds.simulator.market import SimulatedMarket

_FEE_DIVISOR = 10_000
"""The fee is a basis point of what was traded."""
_FEE_DECIMALS = 4
_STOP_STEPS = 6
"""How many first steps below the last safety order a cycle is given up."""
_PAUSE_CHANCE = 0.05

Later = Callable[[float, Callable[[int], Iterator[Event]]], None]
"""Has an action run so many milliseconds from now; it is given the time."""


@dataclass(slots=True)
class Order:
    order_id: str
    role: OrderRole
    side: Side
    order_type: str
    price: int
    size: int
    placed_ms: int
    filled: int = 0
    status: str = "NEW"
    reason: str = ""


class PaperBot:
    """A bot and its account of the running cycle."""

    def __init__(
        self, spec: BotSpec, market: SimulatedMarket, random: Random, later: Later, pace: float, run_id: str
    ) -> None:
        self.spec = spec
        self.market = market
        self._random = random
        self._later = later
        self._pace = pace
        self._run_id = f"{run_id}-{spec.bot_id}"
        self._serial = 0
        self._completed = 0
        self._profit = 0
        self._status = "stopped"
        self._cycle = 0
        self._step = 0
        self._begin()

    @property
    def _decimals(self) -> int:
        spec = self.market.spec
        return spec.price_decimals + spec.size_decimals

    def create(self, now_ms: int) -> Iterator[Event]:
        yield self._lifecycle("created", now_ms)
        yield self._status_event(now_ms)

    def start(self, now_ms: int) -> Iterator[Event]:
        self._status = "active"
        yield self._lifecycle("started", now_ms)
        yield self._status_event(now_ms)
        yield from self._start_cycle(now_ms)

    def on_trade(self, trade: Trade) -> Iterator[Event]:
        """Fill what this trade's price reaches, now and then only half of it."""
        for order in list(self._open.values()):
            if order.order_type == "LIMIT" and _reaches(trade.price, order):
                rest = order.size - order.filled
                size = rest if self._random.random() < 0.75 else (rest + 1) // 2
                yield from self._fill(order, order.price, size, trade.time_ms)
        if self._is_given_up(trade.price):
            yield from self._give_up(trade.time_ms)

    def _begin(self) -> None:
        self._open: dict[str, Order] = {}
        self._position = self._bought = self._spent = 0
        self._earned = self._traded = 0
        self._base_price = self._take_profit_price = 0
        self._safety_filled = self._safety_placed = 0

    def _start_cycle(self, now_ms: int) -> Iterator[Event]:
        self._begin()
        self._cycle += 1
        yield self._cycle_event("base_order", now_ms)
        order, placed = self._place(
            OrderRole.BASE, Side.BUY, "MARKET", self.market.best_ask, self.spec.base_size, now_ms
        )
        yield placed
        self._later(self._random.uniform(3, 25), lambda at_ms: self._fill_at_market(order, at_ms))

    def _fill_at_market(self, order: Order, now_ms: int) -> Iterator[Event]:
        price = self.market.best_ask if order.side is Side.BUY else self.market.best_bid
        yield from self._fill(order, price, order.size, now_ms)

    def _fill(self, order: Order, price: int, size: int, now_ms: int) -> Iterator[Event]:
        self._book(order, price, size)
        yield self._fill_event(order, price, size, now_ms)
        yield self._update_event(order, now_ms)
        self._step += 1
        if order.role is OrderRole.TAKE_PROFIT:
            yield from self._after_sale(now_ms)
        else:
            yield from self._after_purchase(order, now_ms)

    def _book(self, order: Order, price: int, size: int) -> None:
        order.filled += size
        order.status = "FILLED" if order.filled == order.size else "PARTIALLY_FILLED"
        if order.status == "FILLED":
            del self._open[order.order_id]
        value = price * size
        self._traded += value
        if order.side is Side.BUY:
            self._position += size
            self._bought += size
            self._spent += value
        else:
            self._position -= size
            self._earned += value

    def _after_purchase(self, order: Order, now_ms: int) -> Iterator[Event]:
        if order.role is OrderRole.BASE:
            self._base_price = self._average()
        else:
            self._safety_filled += order.status == "FILLED"
            yield self._cycle_event("safety_order", now_ms)
            yield from self._cancel(OrderRole.TAKE_PROFIT, now_ms)
        self._protect(now_ms)

    def _after_sale(self, now_ms: int) -> Iterator[Event]:
        yield from self._cancel(OrderRole.SAFETY, now_ms)
        if self._position:
            return
        profit = (self._earned - self._spent) * _FEE_DIVISOR - self._traded
        self._profit += profit
        self._completed += 1
        yield self._cycle_event("completed", now_ms, profit=self._money(profit))
        yield from self._rest(now_ms)

    def _rest(self, now_ms: int) -> Iterator[Event]:
        if self._random.random() < _PAUSE_CHANCE:
            self._status = "paused"
            yield self._lifecycle("paused", now_ms)
            self._later(self._random.uniform(8_000, 20_000) / self._pace, self.start)
        else:
            self._later(self._random.uniform(400, 2_500) / self._pace, self._start_cycle)
        yield self._status_event(now_ms)

    def _protect(self, filled_ms: int) -> None:
        """After a purchase: place the take profit, then the next safety order, unless more happens first."""
        step = self._step
        placing_ms = self._random.uniform(8, 45)

        def take_profit(now_ms: int) -> Iterator[Event]:
            if step == self._step:
                yield self._place_take_profit(now_ms)
                self._later(self._random.uniform(4, 30), lambda at_ms: safety(at_ms, now_ms - filled_ms))

        def safety(now_ms: int, take_profit_delay_ms: int) -> Iterator[Event]:
            if step == self._step:
                placed = self._place_safety(now_ms)
                yield from placed
                delay_ms = now_ms - filled_ms if placed else None
                yield self._cycle_event("take_profit", now_ms, delay_ms, take_profit_delay_ms)

        self._later(placing_ms, take_profit)

    def _place_take_profit(self, now_ms: int) -> Event:
        levels = self.spec.take_profit_levels * self.market.spec.step
        highest = self.market.spec.levels * self.market.spec.step
        self._take_profit_price = min(self._average() + max(1, round(levels)), highest)
        _, placed = self._place(
            OrderRole.TAKE_PROFIT, Side.SELL, "LIMIT", self._take_profit_price, self._position, now_ms
        )
        return placed

    def _place_safety(self, now_ms: int) -> list[Event]:
        price = self._safety_price(self._safety_placed)
        is_waiting = any(order.role is OrderRole.SAFETY for order in self._open.values())
        if is_waiting or self._safety_placed == self.spec.safety_orders_max or price < self.market.spec.step:
            return []
        self._safety_placed += 1
        size = round(self.spec.base_size * self.spec.size_scale**self._safety_placed)
        return [self._place(OrderRole.SAFETY, Side.BUY, "LIMIT", price, size, now_ms)[1]]

    def _safety_price(self, number: int) -> int:
        levels = sum(self.spec.step_levels * self.spec.step_scale**each for each in range(number + 1))
        return self._base_price - max(1, round(levels * self.market.spec.step))

    def _is_given_up(self, price: int) -> bool:
        if not self._position or any(order.order_type == "MARKET" for order in self._open.values()):
            return False
        margin = round(_STOP_STEPS * self.spec.step_levels * self.market.spec.step)
        return price <= self._safety_price(self.spec.safety_orders_max - 1) - margin

    def _give_up(self, now_ms: int) -> Iterator[Event]:
        """Sell at what the market gives: the loss is taken, the bot goes on."""
        self._step += 1
        yield from self._cancel(OrderRole.TAKE_PROFIT, now_ms)
        yield from self._cancel(OrderRole.SAFETY, now_ms)
        order, placed = self._place(
            OrderRole.TAKE_PROFIT,
            Side.SELL,
            "MARKET",
            self.market.best_bid,
            self._position,
            now_ms,
            "stop loss",
        )
        yield placed
        self._later(self._random.uniform(3, 25), lambda at_ms: self._fill_at_market(order, at_ms))

    def _place(
        self,
        role: OrderRole,
        side: Side,
        order_type: str,
        price: int,
        size: int,
        now_ms: int,
        reason: str = "",
    ) -> tuple[Order, Event]:
        order = Order(self._next_id(), role, side, order_type, price, size, now_ms, reason=reason)
        self._open[order.order_id] = order
        return order, self._update_event(order, now_ms)

    def _cancel(self, role: OrderRole, now_ms: int) -> Iterator[Event]:
        for order in [order for order in self._open.values() if order.role is role]:
            del self._open[order.order_id]
            order.status = "CANCELED"
            yield self._update_event(order, now_ms)

    def _next_id(self) -> str:
        self._serial += 1
        return f"{self._run_id}-{self._serial}"

    def _average(self) -> int:
        return round(self._spent / self._bought) if self._bought else 0

    def _money(self, scaled: int) -> str:
        places = self._decimals + _FEE_DECIMALS
        return format(Decimal(scaled).scaleb(-places).normalize(), "f")

    def _fill_event(self, order: Order, price: int, size: int, now_ms: int) -> OrderFill:
        return OrderFill(
            venue=VENUE,
            account=ACCOUNT,
            market=self.spec.market,
            fill_id=self._next_id(),
            order_id=order.order_id,
            side=order.side,
            price=price,
            size=size,
            filled=order.filled,
            order_size=order.size,
            status=order.status,
            time_ms=now_ms,
            fee=self._money(price * size),
            fee_asset=self.market.spec.quote,
            is_maker=order.order_type == "LIMIT",
            bot_id=self.spec.bot_id,
            role=order.role,
            delay_ms=now_ms - order.placed_ms,
        )

    def _update_event(self, order: Order, now_ms: int) -> OrderUpdate:
        return OrderUpdate(
            venue=VENUE,
            account=ACCOUNT,
            market=self.spec.market,
            order_id=order.order_id,
            side=order.side,
            order_type=order.order_type,
            status=order.status,
            price=order.price,
            size=order.size,
            filled=order.filled,
            time_ms=now_ms,
            bot_id=self.spec.bot_id,
            role=order.role,
            reason=order.reason,
        )

    def _cycle_event(
        self,
        phase: str,
        now_ms: int,
        safety_order_delay_ms: int | None = None,
        take_profit_delay_ms: int | None = None,
        profit: str = "0",
    ) -> BotCycle:
        return BotCycle(
            venue=VENUE,
            account=ACCOUNT,
            bot_id=self.spec.bot_id,
            market=self.spec.market,
            cycle=self._cycle,
            phase=phase,
            safety_orders_filled=self._safety_filled,
            safety_orders_max=self.spec.safety_orders_max,
            average_price=self._average(),
            take_profit_price=self._take_profit_price,
            position=self._position,
            time_ms=now_ms,
            safety_order_delay_ms=safety_order_delay_ms,
            take_profit_delay_ms=take_profit_delay_ms,
            profit=profit,
        )

    def _status_event(self, now_ms: int) -> BotStatus:
        return BotStatus(
            venue=VENUE,
            account=ACCOUNT,
            bot_id=self.spec.bot_id,
            name=self.spec.name,
            market=self.spec.market,
            status=self._status,
            cycles_completed=self._completed,
            profit=self._money(self._profit),
            time_ms=now_ms,
        )

    def _lifecycle(self, action: str, now_ms: int) -> BotLifecycle:
        return BotLifecycle(
            VENUE, ACCOUNT, self.spec.bot_id, self.spec.name, self.spec.market, action, now_ms
        )


def _reaches(price: int, order: Order) -> bool:
    return price <= order.price if order.side is Side.BUY else price >= order.price
