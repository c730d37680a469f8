"""One Binance account's orders and fills, over the WebSocket API's user data stream.

Decides what is a fill (`x` is TRADE, nothing else) and which report is old news: reports are
ordered by their execution id and fills are told apart by the symbol's trade id, so that none is
shown twice. The venue replays nothing: what happened while we were away is not heard here.
"""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import orjson
import trio

from monitor.clock import wall_ms
from monitor.config import BinanceAccountSettings
from monitor.events import Event, MarketListed, OrderFill, OrderUpdate, Side
from monitor.feeds.dialect import (
    IDS_REMEMBERED,
    Dialect,
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
from monitor.health.feeds import FeedHealth
from monitor.seen import SeenIds

VENUE = "binance"
DECIMALS = 8
ORDERS_LIMIT = 10_000
"""Orders whose last execution id is remembered."""
RECEIVE_WINDOW_MS = 5_000
QUIET_EVENTS = frozenset(("outboundAccountPosition", "balanceUpdate", "listStatus", "externalLockUpdate"))
"""Documented events that say nothing about one order's state."""


async def run_binance_account(
    settings: BinanceAccountSettings,
    sink: Sink,
    health: FeedHealth,
    *,
    dial: Dial = dial,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Feed the account's orders until cancelled."""
    dialect = BinanceAccountDialect(
        settings.account, settings.api_key.get_secret_value(), settings.api_secret.get_secret_value(), health
    )
    await run_feed(dialect, Route(f"{settings.url}/ws-api/v3"), sink, dial=dial, task_status=task_status)


def sign(params: dict[str, Any], secret: str) -> str:
    """HMAC-SHA256, hexadecimal, over the parameters sorted by name."""
    payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


class BinanceAccountDialect(Dialect):
    """Takes reports wrapped by the WebSocket API, by a combined stream, or bare."""

    pace_seconds = 0.25
    lifetime_seconds = 23.5 * 3_600

    def __init__(self, account: str, api_key: str, secret: str, health: FeedHealth) -> None:
        super().__init__(health)
        self._account = account
        self._api_key = api_key
        self._secret = secret
        self._stream = health.subscription("executionReport")
        self._listed: set[str] = set()
        self._fills = SeenIds(IDS_REMEMBERED)
        self._executions: dict[tuple[str, int], int] = {}

    def connect(self) -> list[Event]:
        self.commands.clear()
        params = {"apiKey": self._api_key, "recvWindow": RECEIVE_WINDOW_MS, "timestamp": wall_ms()}
        params["signature"] = sign(params, self._secret)
        request = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params}
        self.commands.append(Send(orjson.dumps(request).decode()))
        return []

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

    def _answer(self, message: Any) -> None:
        if message["status"] != 200:
            reason = message["error"]["msg"]
            self.complain("the venue refused the account's stream", f"HTTP {message['status']}, {reason}")
            self.commands.append(Reconnect(f"the venue refused the account's stream: {reason}"))

    def _report(self, report: Any) -> list[Event]:
        update = self._update(report)
        fill = self._fill(report, update) if report["x"] == "TRADE" else None
        events: list[Event] = []
        if update.market not in self._listed:
            self._listed.add(update.market)
            events.append(MarketListed(VENUE, update.market, DECIMALS, DECIMALS, update.market))
        if self._is_news(update.market, whole(report["i"]), whole(report["I"])):
            events.append(update)
        if fill is not None and self._fills.add((fill.market, fill.fill_id)):
            events.append(fill)
        return events

    def _is_news(self, market: str, order: int, execution: int) -> bool:
        """False for a report that is older than the order's last one."""
        key = (market, order)
        if execution <= self._executions.get(key, -1):
            return False
        self._executions.pop(key, None)  # so that the order moves to the young end
        self._executions[key] = execution
        if len(self._executions) > ORDERS_LIMIT:
            del self._executions[next(iter(self._executions))]
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
