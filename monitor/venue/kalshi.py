"""Kalshi as a stand-in: signed upgrade, subscriptions with numbered messages, snapshots on demand.

Decides what a client is numbered: `sid` and `seq` belong to the connection, so each recorded
message is sent under the client's own. What the recorder lost stays lost: a jump in its numbers
is a jump in the client's. Signatures are asked for and not verified, as their keys are not here.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from monitor.broadcast.frames import text_frame
from monitor.venue.script import (
    Answer,
    Conversation,
    Line,
    Recording,
    Request,
    Script,
    Venue,
    encode,
)

PATH = "/trade-api/ws/v2"
FILLS_PATH = "/trade-api/v2/portfolio/fills"
HEADERS = ("kalshi-access-key", "kalshi-access-timestamp", "kalshi-access-signature")
BOOKS = "orderbook_delta"
CHANNELS = {
    "orderbook_snapshot": BOOKS,
    "orderbook_delta": BOOKS,
    "trade": "trade",
    "ticker": "ticker",
    "fill": "fill",
    "user_order": "user_orders",
    "market_position": "market_positions",
    "market_lifecycle_v2": "market_lifecycle_v2",
    "event_lifecycle": "market_lifecycle_v2",
    "multivariate_lookup": "multivariate",
}
"""The channel of each message type."""
ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
}


class Refusal(Exception):
    """A command that is answered with an error of this code."""

    def __init__(self, code: int) -> None:
        super().__init__(ERRORS[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class KalshiLine(Line):
    """A recorded message, split so that a client's numbers fit in."""

    kind: str = ""
    market: str = ""
    body: bytes = b""
    is_numbered: bool = False
    lost_before: int = 0
    """Numbers missing in the recording between this message and the one before it of its sid."""


class KalshiVenue(Venue):
    name = "Kalshi"
    ping_seconds = 10.0
    ping_payload = b"heartbeat"

    def __init__(self, recording: Recording) -> None:
        super().__init__(_read_lines(recording))
        self.is_yes_scale = _is_yes_scale(recording)

    def accept(self, request: Request) -> Conversation | Answer:
        if request.path != PATH:
            return Answer(
                404, encode({"error": {"code": "not_found", "message": f"no such path {request.path}"}})
            )
        return _unsigned(request) or Subscriptions(self.script, is_yes_scale=self.is_yes_scale)

    def get(self, request: Request) -> Answer:
        if request.path != FILLS_PATH:
            return super().get(request)
        return _unsigned(request) or self._fills(request.query)

    def _fills(self, query: dict[str, str]) -> Answer:
        """All of the session's, newest first, as if the venue had them before it told them."""
        lines = [line for line in self.script.lines if isinstance(line, KalshiLine) and line.kind == "fill"]
        told = [_fill_row(line) for line in reversed(lines)]
        rows = [row for row in told if row["ts"] >= int(query.get("min_ts", 0))]
        start = int(query.get("cursor") or 0)
        end = start + int(query.get("limit", 100))
        return Answer(200, encode({"fills": rows[start:end], "cursor": str(end) if end < len(rows) else ""}))


@dataclass(slots=True)
class _Subscription:
    channel: str
    sid: int
    markets: dict[str, None] | None
    """None: all."""
    is_flipped: bool
    """The NO side goes out on the other scale than it was recorded on."""
    sequence: int = 0

    def covers(self, market: str) -> bool:
        return self.markets is None or market in self.markets

    def add(self, markets: Sequence[str]) -> list[str]:
        """Which of them are new here; none named means all."""
        new = [market for market in markets if not self.covers(market)]
        self.markets = self.markets | dict.fromkeys(new) if markets and self.markets is not None else None
        return new

    def remove(self, markets: Sequence[str]) -> None:
        if self.markets is not None:
            self.markets = {market: None for market in self.markets if market not in markets}

    def number(self) -> int:
        self.sequence += 1
        return self.sequence


class Subscriptions(Conversation):
    """One connection's channels; a channel has one subscription, later ones join it."""

    def __init__(self, script: Script, *, is_yes_scale: bool) -> None:
        super().__init__()
        self._script = script
        self._is_yes_scale = is_yes_scale
        self._open: dict[str, _Subscription] = {}
        self._last_sid = 0

    def render(self, line: Line) -> bytes | None:
        assert isinstance(line, KalshiLine)
        subscription = self._open.get(CHANNELS[line.kind])
        if subscription is None:
            return None
        subscription.sequence += line.lost_before
        if not subscription.covers(line.market):
            return None
        body = _flip(line) if subscription.is_flipped else line.body
        return text_frame(_message(line, subscription, body))

    def command(self, text: str) -> list[bytes]:
        identity: Any = 0
        try:
            request = orjson.loads(text)
            identity = request.get("id", 0)
            replies = self._obey(identity, request.get("cmd"), request.get("params"))
        except Refusal as refusal:
            replies = [_refuse(identity, refusal)]
        except (orjson.JSONDecodeError, AttributeError, TypeError):
            replies = [_refuse(identity, Refusal(1))]
        return [encode(reply) + b"\n" for reply in replies]

    def _obey(self, identity: Any, command: str, params: Any) -> list[dict[str, Any]]:
        if command == "list_subscriptions":
            listed = [{"channel": sub.channel, "sid": sub.sid} for sub in self._open.values()]
            return [{"type": "ok", "id": identity, "msg": listed}]
        if command not in ("subscribe", "unsubscribe", "update_subscription"):
            raise Refusal(5)
        if not isinstance(params, dict):
            raise Refusal(2)
        if command == "subscribe":
            return self._subscribe(identity, params)
        return (
            self._unsubscribe(identity, params)
            if command == "unsubscribe"
            else self._update(identity, params)
        )

    def _subscribe(self, identity: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
        """One reply a channel, each with its own success."""
        channels = params.get("channels")
        if not channels or not isinstance(channels, list):
            raise Refusal(3)
        replies: list[dict[str, Any]] = []
        for channel in channels:
            try:
                replies += self._open_or_join(identity, channel, params)
            except Refusal as refusal:
                replies.append(_refuse(identity, refusal))
        return replies

    def _open_or_join(self, identity: Any, channel: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        markets = _markets(params)
        if channel not in CHANNELS.values():
            raise Refusal(8)
        if channel == BOOKS and not markets:
            raise Refusal(14)
        self.is_ready = True
        known = self._open.get(channel)
        if known is not None:
            new = known.add(markets)
            listed = {} if params.get("skip_ticker_ack") else {"market_tickers": list(known.markets or ())}
            return [_ok(identity, known, listed), *self._introduce(known, new)]
        self._last_sid += 1
        flipped = channel == BOOKS and bool(params.get("use_yes_price")) != self._is_yes_scale
        known = _Subscription(channel, self._last_sid, dict.fromkeys(markets) if markets else None, flipped)
        self._open[channel] = known
        ack = {"type": "subscribed", "id": identity, "msg": {"channel": channel, "sid": known.sid}}
        return [ack, *self._introduce(known, markets)]

    def _introduce(self, subscription: _Subscription, markets: Sequence[str]) -> list[dict[str, Any]]:
        """The books that the replay has begun; the others open by their recorded snapshot."""
        if subscription.channel != BOOKS:
            return []
        begun = [market for market in markets if self._said(market)]
        return [self._snapshot(subscription, market) for market in begun]

    def _unsubscribe(self, identity: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
        sids = params.get("sids")
        if not sids or not isinstance(sids, list):
            raise Refusal(4)
        closed = [self._find(sid) for sid in sids]
        for subscription in closed:
            self._open.pop(subscription.channel, None)
        return [
            {"id": identity, "sid": sub.sid, "seq": sub.number(), "type": "unsubscribed"} for sub in closed
        ]

    def _update(self, identity: Any, params: dict[str, Any]) -> list[dict[str, Any]]:
        sids = params.get("sids", [params["sid"]] if "sid" in params else [])
        if not isinstance(sids, list) or len(sids) != 1:
            raise Refusal(12)
        subscription, markets, action = self._find(sids[0]), _markets(params), params.get("action")
        if action is None:
            raise Refusal(15)
        if action == "get_snapshot":
            return [{"id": identity, **self._snapshot(subscription, market)} for market in markets]
        if action not in ("add_markets", "delete_markets"):
            raise Refusal(13)
        if not markets:
            raise Refusal(14)
        new = subscription.add(markets) if action == "add_markets" else []
        if action == "delete_markets":
            subscription.remove(markets)
        ok = _ok(identity, subscription, {"market_tickers": list(subscription.markets or ())})
        return [ok, *self._introduce(subscription, new)]

    def _said(self, market: str) -> list[Line]:
        return self._script.before(_stream(BOOKS, market), self.position)

    def _snapshot(self, subscription: _Subscription, market: str) -> dict[str, Any]:
        """The market's book where the replay stands, under the next number."""
        body = build_book(market, self._said(market), is_flipped=subscription.is_flipped)
        numbers = {"sid": subscription.sid, "seq": subscription.number()}
        return {"type": "orderbook_snapshot", **numbers, "msg": body}

    def _find(self, sid: object) -> _Subscription:
        for subscription in self._open.values():
            if subscription.sid == sid:
                return subscription
        raise Refusal(7)


def build_book(market: str, said: Iterable[Line], *, is_flipped: bool) -> dict[str, Any]:
    """A snapshot's body from what was said of the market so far; an empty side is absent."""
    sides: dict[str, dict[Decimal, Decimal]] = {"yes": {}, "no": {}}
    identity: dict[str, Any] = {"market_ticker": market}
    for line in said:
        assert isinstance(line, KalshiLine)
        body = orjson.loads(_flip(line) if is_flipped else line.body)
        identity |= {"market_id": body["market_id"]} if "market_id" in body else {}
        if line.opens:
            for name, side in sides.items():
                pairs = body.get(f"{name}_dollars_fp", ())
                side.clear()
                side.update((Decimal(price), Decimal(size)) for price, size in pairs)
        else:
            side, price = sides[body["side"]], Decimal(body["price_dollars"])
            side[price] = side.get(price, Decimal(0)) + Decimal(body["delta_fp"])
    levels = {
        f"{name}_dollars_fp": [
            [f"{price:.4f}", f"{side[price]:.2f}"] for price in sorted(side) if side[price] > 0
        ]
        for name, side in sides.items()
    }
    return identity | {name: pairs for name, pairs in levels.items() if pairs}


def _unsigned(request: Request) -> Answer | None:
    missing = [name for name in HEADERS if not request.headers.get(name)]
    if not missing and request.headers[HEADERS[1]].isdecimal():
        return None
    reason = f"missing {', '.join(missing)}" if missing else f"{HEADERS[1]} must be milliseconds"
    return Answer(401, encode({"error": {"code": "unauthorized", "message": reason}}))


def _fill_row(line: KalshiLine) -> dict[str, Any]:
    """The row of the REST history that tells the same fill; it names the market otherwise."""
    body: dict[str, Any] = orjson.loads(line.body)
    body["ticker"] = body.pop("market_ticker")
    body["ts"] = body.pop("ts_ms", body.get("ts", 0) * 1_000) // 1_000
    return body


def _stream(channel: str, market: str) -> str:
    return f"{channel} {market}"


def _markets(params: dict[str, Any]) -> list[str]:
    single = params.get("market_ticker")
    markets = params.get("market_tickers", [single] if single is not None else [])
    if not isinstance(markets, list) or not all(isinstance(market, str) for market in markets):
        raise Refusal(11)
    return markets


def _message(line: KalshiLine, subscription: _Subscription, body: bytes) -> bytes:
    kind, sid = line.kind.encode(), subscription.sid
    if not line.is_numbered:
        return b'{"type":"%b","sid":%d,"msg":%b}\n' % (kind, sid, body)
    return b'{"type":"%b","sid":%d,"seq":%d,"msg":%b}\n' % (kind, sid, subscription.number(), body)


def _ok(identity: Any, subscription: _Subscription, message: dict[str, Any]) -> dict[str, Any]:
    numbers = {"sid": subscription.sid, "seq": subscription.number()}
    return {"type": "ok", "id": identity, **numbers, "msg": message}


def _refuse(identity: Any, refusal: Refusal) -> dict[str, Any]:
    return {"type": "error", "id": identity, "msg": {"code": refusal.code, "msg": str(refusal)}}


def _flip(line: KalshiLine) -> bytes:
    """The body with its NO prices on the other scale."""
    body = orjson.loads(line.body)
    if "no_dollars_fp" in body:
        body["no_dollars_fp"] = [[_other(price), size] for price, size in body["no_dollars_fp"]]
    elif body.get("side") == "no":
        body["price_dollars"] = _other(body["price_dollars"])
    return encode(body)


def _other(price: str) -> str:
    return f"{1 - Decimal(price):.4f}"


def _read_lines(recording: Recording) -> Iterable[Line]:
    last: dict[int, int] = {}
    lost: Counter[int] = Counter()
    for seconds, _, message in recording.messages():
        sid, sequence = message.get("sid", 0), message.get("seq")
        if message["type"] == "subscribed":
            last[message["msg"]["sid"]] = 0
        elif sequence is not None:
            lost[sid] += max(0, sequence - last.get(sid, sequence - 1) - 1)
            last[sid] = sequence
        if message["type"] in CHANNELS:
            yield _read_line(seconds, message, lost.pop(sid, 0))


def _read_line(seconds: float, message: dict[str, Any], lost: int) -> KalshiLine:
    kind, body = message["type"], message["msg"]
    market = body.get("market_ticker", "")
    return KalshiLine(
        seconds=seconds,
        stream=_stream(CHANNELS[kind], market),
        payload=b"",
        frame=b"",
        opens=kind == "orderbook_snapshot",
        kind=kind,
        market=market,
        body=encode(body),
        is_numbered="seq" in message,
        lost_before=lost,
    )


def _is_yes_scale(recording: Recording) -> bool:
    """Whether the recorder asked for NO prices on the YES scale."""
    return any('"use_yes_price":true' in raw.replace(" ", "") for raw in recording.outbound())
