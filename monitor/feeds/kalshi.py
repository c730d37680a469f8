"""Kalshi: books, trades, tickers and own fills of a list of markets.

Decides when a book may be believed: messages are numbered over a whole subscription, all markets
together, so one missing or unreadable message makes every book of it suspect until each has a
fresh snapshot, asked for on the same connection.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import orjson
import trio

from monitor.clock import wall_ms
from monitor.config import KalshiSettings
from monitor.events import (
    AccountPast,
    BookStatus,
    BookStatusChanged,
    Event,
    FillsMissing,
    MarketListed,
)
from monitor.feeds.dialect import (
    IDS_REMEMBERED,
    OVERLAP_MS,
    UNREADABLE,
    Dialect,
    Fetch,
    Garbage,
    Reconnect,
    Send,
    whole,
)
from monitor.feeds.feed import Dial, Route, Sink, dial, run_feed
from monitor.feeds.kalshi_fills import KalshiFills
from monitor.feeds.kalshi_key import Signer, sign_upgrade
from monitor.feeds.kalshi_message import (
    PRICE_DECIMALS,
    SIZE_DECIMALS,
    VENUE,
    read_delta,
    read_fill,
    read_snapshot,
    read_ticker,
    read_trade,
)
from monitor.feeds.rest import open_rest
from monitor.health.feeds import FeedHealth
from monitor.recent import SeenIds

PATH = "/trade-api/ws/v2"
MARKETS_PER_COMMAND = 500
ASK_NS = 5_000_000_000
"""Least time between two requests for the same books or the same channel."""
CHANNEL_ERRORS = (10, 25)
"""The subscription is over: channel error, and we were too slow."""
AUTHENTICATION_ERROR = 9
BOOKS, TRADES, TICKERS, FILLS = "orderbook_delta", "trade", "ticker", "fill"


async def run_kalshi(
    settings: KalshiSettings,
    signer: Signer,
    sink: Sink,
    health: FeedHealth,
    *,
    past: AccountPast | None = None,
    dial: Dial = dial,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Feed the markets and own fills until cancelled; what no channel told since its past is looked up."""
    since_ms = past.since_ms if past else wall_ms()
    dialect = KalshiDialect(settings.markets, settings.account, health, since_ms=since_ms)
    async with open_rest(settings.rest_url) as client:
        route = Route(
            f"{settings.url}{PATH}",
            headers=lambda: sign_upgrade(settings.key_id, signer, PATH),
            fetch=KalshiFills(client, dialect, settings.key_id, signer).fetch,
        )
        await run_feed(dialect, route, sink, dial=dial, task_status=task_status)


@dataclass(slots=True)
class _Channel:
    """One subscription on this connection."""

    name: str
    sid: int
    sequence: int = 0
    suspect: dict[str, None] = field(default_factory=dict)
    """Markets whose book waits for a snapshot."""
    asked_ns: int = -ASK_NS
    unanswered: int = 0

    def may_ask(self, now_ns: int) -> bool:
        """Not sooner than 5 s after the last request, twice as long after each that brought not all."""
        return now_ns - self.asked_ns > ASK_NS << min(self.unanswered, 4)


class KalshiDialect(Dialect):
    """Subscribes, counts, asks for snapshots; what a body says is read in `kalshi_message`."""

    def __init__(
        self, markets: Sequence[str], account: str | None, health: FeedHealth, *, since_ms: int = 0
    ) -> None:
        super().__init__(health)
        self.gap_ms = max(0, since_ms - OVERLAP_MS)
        """Since when there may be fills that we were not told, in the venue's time."""
        self._markets = dict.fromkeys(markets)
        self._account = account or ""
        self._names = [BOOKS, TRADES, TICKERS] + ([FILLS] if account else [])
        self._streams = {name: health.subscription(name) for name in self._names}
        self._listed: set[str] = set()
        self._channels: dict[int, _Channel] = {}
        self._asked: dict[int, str] = {}
        self._resubscribed_ns: dict[str, int] = {}
        self._command = 0
        self._trusted: dict[str, None] = {}
        self._lost: list[Event] = []
        self._trades, self._fills = SeenIds(IDS_REMEMBERED), SeenIds(IDS_REMEMBERED)
        self._handlers: dict[str, Callable[[Any, int], Sequence[Event]]] = {
            "orderbook_snapshot": self._snapshot,
            "orderbook_delta": self._delta,
            "trade": self._trade,
            "ticker": self._ticker,
            "fill": self._fill,
            "subscribed": self._subscribed,
            "unsubscribed": self._unsubscribed,
            "ok": self._ok,
            "error": self._error,
        }

    @property
    def unanswered(self) -> int:
        return len(self._asked)

    def connect(self) -> list[Event]:
        self.commands.clear()
        self._channels.clear()
        self._asked.clear()
        self._command = 0
        for name in self._names:
            self._subscribe(name)
        listed = [event for market in self._markets for event in self._list(market)]
        return [*listed, *self._miss(self.gap_ms)]

    def disconnect(self, cause: str) -> list[Event]:
        return [*self._doubt(self._trusted, BookStatus.STALE, cause)]

    def judge(self, now_ns: int) -> list[Event]:
        events: list[Event] = []
        for channel in self._channels.values():
            if channel.name == BOOKS and self._streams[BOOKS].is_overdue(now_ns):
                channel.suspect |= self._trusted
                events += self._doubt(self._trusted, BookStatus.STALE, "no book while trades went on")
            if channel.suspect and channel.may_ask(now_ns):
                self._ask_snapshots(channel, now_ns)
        return events

    def receive(self, message: str | bytes, received_ns: int) -> Sequence[Event]:
        """As any dialect's; books lost with an unreadable message are said as well."""
        events = super().receive(message, received_ns)
        if not self._lost:
            return events
        lost, self._lost = self._lost, []
        return [*lost, *events]

    def decode(self, message: Any, received_ns: int) -> Sequence[Event]:
        if "seq" in message:
            self._count(message, received_ns)
        kind = message["type"]
        if kind not in self._handlers:
            raise Garbage("unknown message type")
        try:
            return self._handlers[kind](message, received_ns)
        except UNREADABLE:
            channel = self._channels.get(message.get("sid"))
            if channel is not None:
                self._lose(channel, "an unreadable message", received_ns)
            raise

    def _list(self, market: str) -> list[Event]:
        if market in self._listed:
            return []
        self._listed.add(market)
        return [MarketListed(VENUE, market, PRICE_DECIMALS, SIZE_DECIMALS)]

    def _miss(self, since_ms: int | None) -> list[Event]:
        return [FillsMissing(VENUE, self._account, since_ms)] if self._account else []

    def _subscribe(self, channel: str) -> None:
        if channel == FILLS:
            self._asked[self._say("subscribe", {"channels": [channel]})] = channel
            return
        flags = {"use_yes_price": False} if channel == BOOKS else {}
        for some in _portions(self._markets):
            params = {"channels": [channel], "market_tickers": some, "skip_ticker_ack": True, **flags}
            self._asked[self._say("subscribe", params)] = channel

    def _say(self, command: str, params: dict[str, Any]) -> int:
        self._command += 1
        request = {"id": self._command, "cmd": command, "params": params}
        self.commands.append(Send(orjson.dumps(request).decode()))
        return self._command

    def _count(self, message: Any, received_ns: int) -> None:
        channel, sequence = self._channels[whole(message["sid"])], whole(message["seq"])
        expected, channel.sequence = channel.sequence + 1, sequence
        if sequence != expected:
            self._lose(channel, f"message {sequence} after {expected - 1}", received_ns)

    def _lose(self, channel: _Channel, cause: str, now_ns: int) -> None:
        """Note GAP and RESYNC of the subscription's books, and ask for snapshots unless just asked."""
        self.health.miss(f"{channel.name}: {cause}")
        if channel.name != BOOKS:
            return
        channel.suspect |= self._markets
        lost = self._doubt(self._trusted, BookStatus.GAP, cause)
        self._lost += lost
        self._lost += [self._status(event.market, BookStatus.RESYNC, cause) for event in lost]
        if channel.may_ask(now_ns):
            self._ask_snapshots(channel, now_ns)

    def _doubt(self, markets: Iterable[str], status: BookStatus, cause: str) -> list[BookStatusChanged]:
        events = [self._status(market, status, cause) for market in markets]
        for event in events:
            self._trusted.pop(event.market, None)
        return events

    def _status(self, market: str, status: BookStatus, cause: str) -> BookStatusChanged:
        return BookStatusChanged(VENUE, market, status, cause, wall_ms())

    def _ask_snapshots(self, channel: _Channel, now_ns: int) -> None:
        channel.asked_ns = now_ns
        channel.unanswered += 1
        for some in _portions(channel.suspect):
            params = {"sids": [channel.sid], "market_tickers": some, "action": "get_snapshot"}
            self._say("update_subscription", params)

    def _snapshot(self, message: Any, received_ns: int) -> Sequence[Event]:
        self._streams[BOOKS].hear(received_ns)
        event = read_snapshot(message["msg"])
        channel = self._channels[message["sid"]]
        channel.suspect.pop(event.market, None)
        if not channel.suspect:
            channel.unanswered = 0
        self._trusted[event.market] = None
        return (*self._list(event.market), event)

    def _delta(self, message: Any, received_ns: int) -> Sequence[Event]:
        self._streams[BOOKS].hear(received_ns)
        event = read_delta(message["msg"])
        return (event,) if event.market in self._trusted else ()

    def _trade(self, message: Any, received_ns: int) -> Sequence[Event]:
        self._streams[TRADES].hear(received_ns)
        event = read_trade(message["msg"])
        self._streams[TICKERS].owe(received_ns)
        if not message["msg"].get("is_block_trade"):  # those are made beside the book
            self._streams[BOOKS].owe(received_ns)
        return (*self._list(event.market), event) if self._trades.add(event.trade_id) else ()

    def _ticker(self, message: Any, received_ns: int) -> Sequence[Event]:
        self._streams[TICKERS].hear(received_ns)
        event = read_ticker(message["msg"])
        return (*self._list(event.market), event)

    def _fill(self, message: Any, received_ns: int) -> Sequence[Event]:
        self._streams[FILLS].hear(received_ns)
        fill = read_fill(message["msg"], self._account)
        if not self._fills.add((fill.market, fill.fill_id)):
            return ()
        return (*self._list(fill.market), fill)

    def backfill(self, rows: Iterable[Any]) -> list[Event]:
        """The rows of the history, oldest first, that are news; may raise what a wrong shape raises."""
        fills = [replace(read_fill(row, self._account), is_backfilled=True) for row in rows]
        # Not by our clock: one that was ahead for a while would leave a hole.
        self.gap_ms = max([self.gap_ms, *(fill.time_ms - OVERLAP_MS for fill in fills)])
        news = [fill for fill in fills if self._fills.add((fill.market, fill.fill_id))]
        return [event for fill in news for event in (*self._list(fill.market), fill)] + self._miss(None)

    def _subscribed(self, message: Any, received_ns: int) -> Sequence[Event]:
        name, sid = message["msg"]["channel"], whole(message["msg"]["sid"])
        if name not in self._names:
            raise Garbage("a subscription that was not asked for")
        self._asked.pop(message.get("id"), None)
        self._channels[sid] = _Channel(name, sid)
        if name == FILLS:
            self.commands.append(Fetch(FILLS))
            return self._miss(self.gap_ms)
        markets = self._markets if name == BOOKS else ()
        return [self._status(market, BookStatus.RESYNC, "subscribed") for market in markets]

    def _ok(self, message: Any, received_ns: int) -> Sequence[Event]:
        self._asked.pop(message.get("id"), None)
        return ()

    def _unsubscribed(self, message: Any, received_ns: int) -> Sequence[Event]:
        self._channels.pop(message["sid"], None)
        return ()

    def _error(self, message: Any, received_ns: int) -> Sequence[Event]:
        code, reason = message["msg"]["code"], message["msg"].get("msg", "")
        asked = self._asked.pop(message.get("id"), None)
        self.complain(f"the venue answered with error {code}", f"{reason} ({asked or 'no subscription'})")
        if code == AUTHENTICATION_ERROR:
            self.commands.append(Reconnect(f"the venue refused us: {reason}"))
        elif code in CHANNEL_ERRORS:
            self._resubscribe(message.get("sid") or message["msg"].get("sid"), asked, received_ns)
        return ()

    def _resubscribe(self, sid: int | None, asked: str | None, now_ns: int) -> None:
        """Open the ended channel again; a new connection when that is unclear or just failed."""
        channel = self._channels.pop(sid, None) if sid is not None else None
        name = channel.name if channel else asked
        if channel is not None:
            channel.asked_ns = now_ns  # the new subscription brings snapshots by itself
            self._lose(channel, "the venue ended the subscription", now_ns)
        if name is None or now_ns - self._resubscribed_ns.get(name, -ASK_NS) < ASK_NS:
            self.commands.append(Reconnect("the venue ended a subscription"))
            return
        self._resubscribed_ns[name] = now_ns
        self._subscribe(name)


def _portions(markets: Iterable[str]) -> Iterable[list[str]]:
    waiting = iter(markets)
    while some := list(islice(waiting, MARKETS_PER_COMMAND)):
        yield some
