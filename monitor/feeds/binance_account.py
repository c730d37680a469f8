"""One Binance account's orders and fills, over the WebSocket API's user data stream.

Decides what is a fill (`x` is TRADE, nothing else) and which report is old news: reports are
ordered by their execution id and fills are told apart by the symbol's trade id, so that none is
shown twice. The venue replays nothing: what happened while we were away is looked up, fills by
symbol, and which orders are open. What the stream has told of an order is newer than such a list.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import orjson
import trio

from monitor.clock import wall_ms
from monitor.config import BinanceAccountSettings
from monitor.events import (
    AccountPast,
    Event,
    FillsMissing,
    MarketListed,
    OrderFill,
    OrdersListed,
    OrderUpdate,
    Side,
)
from monitor.feeds.binance_lookups import OPEN_ORDERS, RECEIVE_WINDOW_MS, BinanceLookups, sign
from monitor.feeds.dialect import (
    IDS_REMEMBERED,
    OVERLAP_MS,
    Dialect,
    Fetch,
    Garbage,
    Reconnect,
    Send,
    moment,
    plain,
    scaled,
    text,
    whole,
)
from monitor.feeds.feed import Dial, Route, Sink, dial, run_feed
from monitor.feeds.rest import open_rest
from monitor.health.feeds import FeedHealth
from monitor.recent import Recent, SeenIds

VENUE = "binance"
DECIMALS = 8
ORDERS_LIMIT = 10_000
"""Orders whose last execution id is remembered, and of which the stream told on this connection."""
LISTED_ORDERS_LIMIT = 1_000
"""As many of an account are shown; of a longer list the others are only not ended."""
QUIET_EVENTS = frozenset(("outboundAccountPosition", "balanceUpdate", "listStatus", "externalLockUpdate"))
"""Documented events that say nothing about one order's state."""


async def run_binance_account(
    settings: BinanceAccountSettings,
    sink: Sink,
    health: FeedHealth,
    *,
    past: AccountPast | None = None,
    dial: Dial = dial,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Feed the account's orders until cancelled; what no stream told since its past is looked up."""
    key, secret = settings.api_key.get_secret_value(), settings.api_secret.get_secret_value()
    symbols = {*settings.symbols, *(past.markets if past else ())}
    since_ms = past.since_ms if past else wall_ms()
    dialect = BinanceAccountDialect(
        settings.account, key, secret, health, symbols=sorted(symbols), since_ms=since_ms
    )
    async with open_rest(settings.rest_url) as client:
        lookups = BinanceLookups(client, dialect, key, secret)
        route = Route(f"{settings.url}/ws-api/v3", fetch=lookups.fetch)
        await run_feed(dialect, route, sink, dial=dial, task_status=task_status)


class BinanceAccountDialect(Dialect):
    """Takes reports wrapped by the WebSocket API, by a combined stream, or bare."""

    pace_seconds = 0.25
    lifetime_seconds = 23.5 * 3_600

    def __init__(
        self,
        account: str,
        api_key: str,
        secret: str,
        health: FeedHealth,
        *,
        symbols: Sequence[str] = (),
        since_ms: int = 0,
    ) -> None:
        super().__init__(health)
        self._since_ms = max(0, since_ms - OVERLAP_MS)
        """Until then all fills are known, in the venue's time."""
        self._heard_ms = self._since_ms
        self._last_ids: dict[str, int | None] = dict.fromkeys(symbols)
        """The newest fill of each symbol that is known; None where nothing is."""
        self._gaps: dict[str, int | None] = {}
        """What is to be looked up: symbols that may have fills which we were not told, with the newest
        before those, None where that is not known; and the open orders."""
        self._account = account
        self._api_key = api_key
        self._secret = secret
        self._stream = health.subscription("executionReport")
        self._is_subscribed = False
        self._listed: set[str] = set()
        self._fills = SeenIds(IDS_REMEMBERED)
        self._executions = Recent[tuple[str, int], int](ORDERS_LIMIT)
        self._heard = Recent[tuple[str, str], None](ORDERS_LIMIT)
        """Orders of which the stream told on this connection."""

    @property
    def unanswered(self) -> int:
        return int(not self._is_subscribed)

    def connect(self) -> list[Event]:
        self.commands.clear()
        self._is_subscribed = False
        if not self._gaps:
            self._since_ms = max(self._since_ms, self._heard_ms - OVERLAP_MS)
        self._gaps = self._last_ids | self._gaps | {OPEN_ORDERS: None}
        self._heard.clear()
        params = {"apiKey": self._api_key, "recvWindow": RECEIVE_WINDOW_MS, "timestamp": wall_ms()}
        params["signature"] = sign(params, self._secret)
        request = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
        self.commands.append(Send(orjson.dumps(request).decode()))
        return [FillsMissing(VENUE, self._account, self._since_ms)]

    def decode(self, message: Any, received_ns: int) -> Sequence[Event]:
        event = message.get("event") or message.get("data") or message
        match event.get("e"):
            case "executionReport":
                self._stream.hear(received_ns)
                return self._report(event)
            case "eventStreamTerminated" | "serverShutdown":
                self.commands.append(Reconnect(f"the venue ended the stream ({event['e']})"))
            case kind if kind in QUIET_EVENTS:
                self._stream.hear(received_ns)
            case _ if "status" in message:
                self._answer(message)
            case _:
                raise Garbage("unknown message")
        return ()

    def gap(self, symbol: str) -> dict[str, str]:
        """Where to go on looking for fills that we were not told, as the venue's parameter.

        Without one it gives the newest. Never a time: it may look no further than a day from there.
        """
        last_id = self._gaps.get(symbol)
        return {} if last_id is None else {"fromId": str(last_id + 1)}

    def backfill(self, symbol: str, rows: Iterable[Any], *, is_last: bool) -> list[Event]:
        """The rows of a page of the symbol's history that are news; the page after it is asked for.

        May raise what a wrong shape raises: then none of it was taken.
        """
        fills = [self._read_row(row) for row in rows]
        if is_last or self._are_newest(symbol, fills):
            self._gaps.pop(symbol, None)
        elif self._gaps.get(symbol) is None:
            # There may be more than one page of them: from the first one that the account ever had.
            self._look_on(symbol, -1)
            return []
        else:
            self._narrow_gap(symbol, int(fills[-1].fill_id))
        self._note_last(symbol, fills)
        news = [fill for fill in fills if fill.time_ms >= self._since_ms and self._is_new(fill)]
        return [event for fill in news for event in (*self._list(fill.market), fill)] + self._certainty()

    def _are_newest(self, symbol: str, fills: Sequence[OrderFill]) -> bool:
        """Whether a page that was asked for without a place goes back as far as anything is missing."""
        return self._gaps.get(symbol) is None and fills[0].time_ms < self._since_ms

    def _certainty(self) -> list[Event]:
        """That all was looked up, if it was."""
        return [] if self._gaps else [FillsMissing(VENUE, self._account, None)]

    def list_open(self, rows: Iterable[Any]) -> list[Event]:
        """What the venue's list of open orders says of those of which the stream has told nothing.

        May raise what a wrong shape raises: then none of it was taken.
        """
        orders = sorted(map(self._read_order, rows), key=attrgetter("time_ms"))
        named = {(order.market, order.order_id) for order in orders}
        self._gaps.pop(OPEN_ORDERS, None)
        news = [order for order in orders if (order.market, order.order_id) not in self._heard]
        listed = OrdersListed(VENUE, self._account, frozenset(named | self._heard.keys()))
        told = [event for market in sorted({market for market, _ in named}) for event in self._list(market)]
        return [*told, *news[-LISTED_ORDERS_LIMIT:], listed, *self._certainty()]

    def _narrow_gap(self, symbol: str, last_id: int) -> None:
        before = self._gaps.get(symbol)
        if before is not None and last_id <= before:
            raise Garbage("a page that was told before")
        self._look_on(symbol, last_id)

    def _look_on(self, symbol: str, last_id: int) -> None:
        self._gaps[symbol] = last_id
        self.commands.append(Fetch(symbol))

    def _note_last(self, symbol: str, fills: Sequence[OrderFill]) -> None:
        ids = [int(fill.fill_id) for fill in fills]
        self._last_ids[symbol] = max([self._last_ids.get(symbol) or 0, *ids]) or None

    def _is_new(self, fill: OrderFill) -> bool:
        return self._fills.add((fill.market, fill.fill_id))

    def _list(self, market: str) -> list[Event]:
        """What is told before anything of a market; one that is new may have had fills that nobody told."""
        if market in self._listed:
            return []
        self._listed.add(market)
        listed = MarketListed(VENUE, market, DECIMALS, DECIMALS, market)
        if market in self._last_ids:
            return [listed]
        self._last_ids[market] = self._gaps[market] = None
        self.commands.append(Fetch(market))
        return [listed, FillsMissing(VENUE, self._account, self._since_ms)]

    def _answer(self, message: Any) -> None:
        if message["status"] == 200:
            self._is_subscribed = True
            self.commands += map(Fetch, self._gaps)
        else:
            reason = message["error"]["msg"]
            self.complain("the venue refused the account's stream", f"HTTP {message['status']}, {reason}")
            self.commands.append(Reconnect(f"the venue refused the account's stream: {reason}"))

    def _report(self, report: Any) -> list[Event]:
        update = self._update(report)
        fill = self._fill(report, update) if report["x"] == "TRADE" else None
        is_news = self._is_news(update.market, whole(report["i"]), whole(report["I"]))
        self._heard.keep((update.market, update.order_id), None)
        self._heard_ms = max(self._heard_ms, update.time_ms)
        # Not before all is read: a listing that garbage takes with it is never told again.
        events = self._list(update.market)
        if is_news:
            events.append(update)
        if fill is not None and self._is_new(fill):
            self._note_last(fill.market, [fill])
            events.append(fill)
        return events

    def _is_news(self, market: str, order: int, execution: int) -> bool:
        """False for a report that is older than the order's last one."""
        key = (market, order)
        if execution <= self._executions.get(key, -1):
            return False
        self._executions.keep(key, execution)
        return True

    def _update(self, report: Any) -> OrderUpdate:
        cancelled = report["x"] == "CANCELED"
        return OrderUpdate(
            venue=VENUE,
            account=self._account,
            market=text(report["s"]),
            order_id=str(whole(report["i"])),
            side=Side(report["S"].lower()),
            order_type=text(report["o"]),
            status=text(report["X"]),
            price=scaled(report["p"], DECIMALS),
            size=scaled(report["q"], DECIMALS),
            filled=scaled(report["z"], DECIMALS),
            time_ms=moment(report["T"]),
            client_order_id=text(report["C" if cancelled and report.get("C") else "c"]),
            reason="" if report["r"] == "NONE" else text(report["r"]),
        )

    def _fill(self, report: Any, update: OrderUpdate) -> OrderFill:
        trade_id = whole(report["t"])
        if trade_id < 0:
            raise Garbage("a trade without id")
        placed_ms = report.get("O")
        return OrderFill(
            venue=VENUE,
            account=self._account,
            market=update.market,
            fill_id=str(trade_id),
            order_id=update.order_id,
            side=update.side,
            price=scaled(report["L"], DECIMALS),
            size=scaled(report["l"], DECIMALS),
            filled=update.filled,
            order_size=update.size,
            status=update.status,
            time_ms=update.time_ms,
            fee=plain(report["n"] or "0"),
            fee_asset=text(report["N"] or ""),
            is_maker=report["m"] is True,
            client_order_id=update.client_order_id,
            delay_ms=update.time_ms - moment(placed_ms) if placed_ms else None,
        )

    def _read_order(self, row: Any) -> OrderUpdate:
        return OrderUpdate(
            venue=VENUE,
            account=self._account,
            market=text(row["symbol"]),
            order_id=str(whole(row["orderId"])),
            side=Side(row["side"].lower()),
            order_type=text(row["type"]),
            status=text(row["status"]),
            price=scaled(row["price"], DECIMALS),
            size=scaled(row["origQty"], DECIMALS),
            filled=scaled(row["executedQty"], DECIMALS),
            time_ms=moment(row["updateTime"]),
            client_order_id=text(row["clientOrderId"]),
        )

    def _read_row(self, row: Any) -> OrderFill:
        """A row of the history knows the fill and nothing of its order."""
        return OrderFill(
            venue=VENUE,
            account=self._account,
            market=text(row["symbol"]),
            fill_id=str(whole(row["id"])),
            order_id=str(whole(row["orderId"])),
            side=Side.BUY if row["isBuyer"] is True else Side.SELL,
            price=scaled(row["price"], DECIMALS),
            size=scaled(row["qty"], DECIMALS),
            filled=None,
            order_size=None,
            status="EXECUTED",
            time_ms=moment(row["time"]),
            fee=plain(row["commission"]),
            fee_asset=text(row["commissionAsset"]),
            is_maker=row["isMaker"] is True,
            is_backfilled=True,
        )
