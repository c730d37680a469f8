"""Binance spot as a stand-in: combined and raw streams, the depth snapshot, user data.

The snapshot is the recorded one brought up to where the replay stands for the client that
subscribed to that book last (all recorded levels unless `limit` asks for fewer). So a client that
subscribes and then asks can always sync by the documented rules, however fast the replay ran.
"""

import re
from collections.abc import Iterable, Sequence, Set
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from monitor.broadcast.frames import text_frame
from monitor.clock import wall_ms
from monitor.venue.script import (
    Answer,
    Conversation,
    Line,
    Recording,
    Request,
    Script,
    Venue,
    encode,
    line,
)

ACCOUNT = "(account)"
"""The one stream of the user data connection."""
STREAMS_LIMIT = 1_024
OPEN_STATUSES = ("NEW", "PARTIALLY_FILLED", "PENDING_NEW")
USER_EVENTS = frozenset(
    ("executionReport", "outboundAccountPosition", "balanceUpdate", "listStatus", "externalLockUpdate")
)
_SUFFIXES = {"depthUpdate": "depth@100ms", "24hrMiniTicker": "miniTicker", "24hrTicker": "ticker"}
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_LISTEN_PATH = re.compile(r"/(ws|stream)(?:/(.*))?")


class BinanceVenue(Venue):
    """Spot; `name` and the paths differ on futures."""

    name = "Binance spot"
    depth_path = "/api/v3/depth"

    def __init__(self, recording: Recording) -> None:
        super().__init__(_read_lines(recording))
        self.snapshots = _read_snapshots(recording, self.script)

    def accept(self, request: Request) -> Conversation | Answer:
        if request.path == "/ws-api/v3":
            return Account()
        return self.listen(request.path, request)

    def listen(self, path: str, request: Request, carried: Set[str] | None = None) -> Conversation | Answer:
        """The conversation of `/ws…` or `/stream…`; `carried` are the streams to be had there."""
        match = _LISTEN_PATH.fullmatch(path)
        if match is None:
            return Answer(404, encode({"code": 404, "msg": f"no such path {request.path}"}))
        names = match[2] or request.query.get("streams", "") if match[1] == "stream" else match[2] or ""
        streams = [name for name in names.split("/") if name]
        return Streams(
            streams, self.script.streams if carried is None else carried, is_combined=match[1] == "stream"
        )

    def get(self, request: Request) -> Answer:
        if request.path == self.depth_path:
            return self._depth(request)
        if request.path == self.depth_path.replace("depth", "myTrades"):
            return self._own_trades(request)
        if request.path == self.depth_path.replace("depth", "openOrders"):
            return self._open_orders(request)
        if request.path == self.depth_path.replace("depth", "ping"):
            return Answer(200, b"{}")
        if request.path == self.depth_path.replace("depth", "time"):
            return Answer(200, encode({"serverTime": wall_ms()}))
        return Answer(404, encode({"code": 404, "msg": f"no such path {request.path}"}))

    def _depth(self, request: Request) -> Answer:
        symbol, limit = request.query.get("symbol", ""), request.query.get("limit", "")
        if not symbol:
            return _error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        if symbol not in self.snapshots:
            return _error(-1121, "Invalid symbol.")
        if not re.fullmatch(r"\d{0,20}", limit, re.ASCII):
            return _error(
                -1100, "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'."
            )
        snapshot = dict(bring_up(self.snapshots[symbol], self._said(symbol)))
        for side in ("bids", "asks"):
            snapshot[side] = snapshot[side][: int(limit) if limit else None]
        return Answer(200, encode(snapshot))

    def _own_trades(self, request: Request) -> Answer:
        """Of the session's, from an id on or the newest, as if the venue had them before it told them."""
        if refusal := _refuse_unsigned(request):
            return refusal
        query, reports = request.query, _reports(self.script.lines)
        if query.get("symbol") not in {report["s"] for report in reports}:
            return _error(-1121, "Invalid symbol.")
        first_id, limit = int(query.get("fromId", 0)), int(query.get("limit", 500))
        trades = [
            _own_trade(report)
            for report in reports
            if report.get("x") == "TRADE" and report["s"] == query.get("symbol") and report["t"] >= first_id
        ]
        return Answer(200, encode(trades[:limit] if "fromId" in query else trades[-limit:]))

    def _open_orders(self, request: Request) -> Answer:
        """Those that the session leaves open, as if the venue had all of it before it told it."""
        if refusal := _refuse_unsigned(request):
            return refusal
        symbol = request.query.get("symbol")
        last = {(report["s"], report["i"]): report for report in _reports(self.script.lines)}
        left = [report for report in last.values() if report["X"] in OPEN_STATUSES]
        return Answer(200, encode([_order(report) for report in left if symbol in (None, report["s"])]))

    def _said(self, symbol: str) -> list[Line]:
        """The depth updates that the latest subscriber of this book has been sent."""
        for conversation in reversed(self.conversations):
            for stream in conversation.wanted if isinstance(conversation, Streams) else ():
                if stream.startswith(f"{symbol.lower()}@depth"):
                    return self.script.before(stream, conversation.position)
        return []


class Streams(Conversation):
    """Market streams on `/ws` (bare) or `/stream` (wrapped)."""

    def __init__(self, streams: Sequence[str], carried: Set[str], *, is_combined: bool) -> None:
        super().__init__()
        self.wanted = dict.fromkeys(streams)
        self._carried = carried
        self._is_combined = is_combined
        self.is_ready = bool(streams)

    def render(self, line: Line) -> bytes | None:
        if line.stream not in self.wanted or line.stream not in self._carried:
            return None
        return line.frame if self._is_combined else text_frame(_unwrap(line))

    def command(self, text: str) -> list[bytes]:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            return [encode({"code": 3, "msg": f"Invalid JSON: {error}"})]
        if not isinstance(request, dict):
            return [encode({"code": 2, "msg": "Invalid request: must be an object", "id": None})]
        return [encode({**self._obey(request), "id": request.get("id")})]

    def _obey(self, request: dict[str, Any]) -> dict[str, Any]:
        method, params = request.get("method"), request.get("params", [])
        if method is None:
            return _invalid("missing field `method`")
        if method not in _METHODS:
            return _invalid(f"unknown variant `{method}`, expected one of {', '.join(_METHODS)}")
        identity = request.get("id")
        if isinstance(identity, bool) or not isinstance(identity, int | str | None):
            return _invalid("request ID must be an integer, a string or null")
        if not isinstance(params, list):
            return _invalid("params must be a list")
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(self.wanted)}
        if method.endswith("PROPERTY"):
            return self._property(method, params)
        return self._subscribe(method, params)

    def _subscribe(self, method: str, params: list[Any]) -> dict[str, Any]:
        if not all(isinstance(name, str) for name in params):
            return _invalid("stream names must be strings")
        if method == "UNSUBSCRIBE":
            for name in params:
                self.wanted.pop(name, None)
            return {"result": None}
        if len(self.wanted | dict.fromkeys(params)) > STREAMS_LIMIT:
            return _invalid("too many parameters")
        self.wanted |= dict.fromkeys(params)
        self.is_ready = bool(self.wanted)
        return {"result": None}

    def _property(self, method: str, params: list[Any]) -> dict[str, Any]:
        if not params or params[0] != "combined":
            return {"code": 0, "msg": "Unknown property"}
        if method == "GET_PROPERTY":
            return {"result": self._is_combined}
        if len(params) != 2 or not isinstance(params[1], bool):
            return {"code": 1, "msg": "Invalid value type: expected Boolean"}
        self._is_combined = params[1]
        return {"result": None}


class Account(Conversation):
    """The WebSocket API, as far as user data needs it; a signature is asked for, not verified."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = {ACCOUNT}

    def command(self, text: str) -> list[bytes]:
        identity = None
        try:
            request = orjson.loads(text)
            identity = request["id"]
            reply = self._obey(request["method"], request.get("params", {}))
        except (KeyError, TypeError, ValueError, AttributeError):
            reply = _failure(400, -1135, "JSON Request is invalid.")
        return [encode({"id": identity, **reply})]

    def _obey(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "ping":
                return _success({})
            case "time":
                return _success({"serverTime": wall_ms()})
            case "session.subscriptions":
                return _success([{"subscriptionId": 0}] if self.is_ready else [])
            case "userDataStream.unsubscribe":
                self.is_ready = False
                return _success({})
            case "userDataStream.subscribe.signature":
                return self._subscribe(params)
        return _failure(400, -1000, f"Unknown method {method!r}.")

    def _subscribe(self, params: dict[str, Any]) -> dict[str, Any]:
        for name in ("apiKey", "timestamp", "signature"):
            if not params.get(name):
                return _failure(
                    400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
                )
        age_ms = abs(wall_ms() - int(params["timestamp"]))
        if age_ms > int(params.get("recvWindow", 5_000)):
            return _failure(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        if self.is_ready:
            return _failure(409, -2035, "User Data Stream subscription already active.")
        self.is_ready = True
        return _success({"subscriptionId": 0})


def bring_up(snapshots: Sequence[dict[str, Any]], said: Sequence[Line]) -> dict[str, Any]:
    """The newest snapshot that the updates have reached, with the later ones applied; else the first."""
    updates = [orjson.loads(line.payload)["data"] for line in said]
    reached = [snap for snap in snapshots if updates and snap["lastUpdateId"] <= updates[-1]["u"]]
    if not reached:
        return snapshots[0]
    base = reached[-1]
    later = [update for update in updates if update["u"] > base["lastUpdateId"]]
    if not later:
        return base
    return {
        **base,
        "lastUpdateId": later[-1]["u"],
        "bids": _apply(base["bids"], (update["b"] for update in later), is_bid=True),
        "asks": _apply(base["asks"], (update["a"] for update in later), is_bid=False),
    }


def _apply(side: list[list[str]], changes: Iterable[list[list[str]]], *, is_bid: bool) -> list[list[str]]:
    book = {Decimal(price): [price, size] for price, size in side}
    for pairs in changes:
        for price, size in pairs:
            book[Decimal(price)] = [price, size]
    return [book[price] for price in sorted(book, reverse=is_bid) if Decimal(book[price][1])]


def _read_lines(recording: Recording) -> Iterable[Line]:
    for seconds, raw, message in recording.messages():
        if isinstance(message, dict):
            yield from _read_line(seconds, raw, message)


def _read_line(seconds: float, raw: str, message: dict[str, Any]) -> Iterable[Line]:
    event = message.get("event") or message.get("data") or message
    kind = event.get("e") if isinstance(event, dict) else None
    if kind in USER_EVENTS:
        yield line(seconds, ACCOUNT, encode({"subscriptionId": 0, "event": event}))
    elif "stream" in message and "data" in message:
        yield line(seconds, message["stream"], _rewrap(message, raw))
    elif isinstance(message.get("s"), str) and ("u" in message or kind):
        name = _name_stream(message)
        yield line(seconds, name, _wrap(name, raw.strip().encode()))


def _name_stream(event: dict[str, Any]) -> str:
    """The stream that a bare event came from."""
    kind = event.get("e", "bookTicker")
    suffix = f"kline_{event['k']['i']}" if kind == "kline" else _SUFFIXES.get(kind, kind)
    return f"{event['s'].lower()}@{suffix}"


def _wrap(stream: str, data: bytes) -> bytes:
    return b'{"stream":"%b","data":%b}' % (stream.encode(), data)


def _rewrap(message: dict[str, Any], raw: str) -> bytes:
    """The recorded bytes when they are wrapped as Binance wraps them, so that they can be unwrapped."""
    payload = raw.strip().encode()
    is_usual = payload.startswith(_wrap(message["stream"], b"")[:-1]) and len(message) == 2
    return payload if is_usual else _wrap(message["stream"], encode(message["data"]))


def _unwrap(line: Line) -> bytes:
    return line.payload[len(_wrap(line.stream, b"")) - 1 : -1]


def _read_snapshots(recording: Recording, script: Script) -> dict[str, list[dict[str, Any]]]:
    """By symbol, oldest first; a body without address is of the session's only book."""
    books = sorted({stream.partition("@")[0].upper() for stream in script.streams if "@depth" in stream})
    snapshots: dict[str, list[dict[str, Any]]] = {}
    for body in recording.rest:
        snapshot = orjson.loads(body.raw)
        if not isinstance(snapshot, dict) or "lastUpdateId" not in snapshot:
            continue
        symbols = parse_qs(urlsplit(body.url or "").query).get("symbol", books[:1])
        snapshots.setdefault(symbols[0] if symbols else "", []).append(snapshot)
    return {
        symbol: sorted(found, key=lambda snap: snap["lastUpdateId"]) for symbol, found in snapshots.items()
    }


def _refuse_unsigned(request: Request) -> Answer | None:
    query = request.query
    if request.headers.get("x-mbx-apikey") and query.get("timestamp") and query.get("signature"):
        return None
    return _error(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")


def _reports(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """The executions among them, oldest first."""
    events = (orjson.loads(line.payload)["event"] for line in lines if line.stream == ACCOUNT)
    return [event for event in events if event["e"] == "executionReport"]


def _order(report: dict[str, Any]) -> dict[str, Any]:
    """The row of the list of open orders that says of an order what a report does."""
    return {
        "symbol": report["s"],
        "orderId": report["i"],
        "orderListId": -1,
        "clientOrderId": report["c"],
        "price": report["p"],
        "origQty": report["q"],
        "executedQty": report["z"],
        "status": report["X"],
        "timeInForce": report["f"],
        "type": report["o"],
        "side": report["S"],
        "time": report["O"],
        "updateTime": report["T"],
        "isWorking": True,
    }


def _own_trade(report: dict[str, Any]) -> dict[str, Any]:
    """The row of the REST history that tells the same fill as a report."""
    return {
        "symbol": report["s"],
        "id": report["t"],
        "orderId": report["i"],
        "orderListId": -1,
        "price": report["L"],
        "qty": report["l"],
        "quoteQty": report.get("Y", "0"),
        "commission": report["n"],
        "commissionAsset": report["N"],
        "time": report["T"],
        "isBuyer": report["S"] == "BUY",
        "isMaker": report["m"],
        "isBestMatch": True,
    }


def _error(code: int, message: str) -> Answer:
    return Answer(400, encode({"code": code, "msg": message}))


def _invalid(why: str) -> dict[str, Any]:
    return {"code": 2, "msg": f"Invalid request: {why}"}


def _success(result: object) -> dict[str, Any]:
    return {"status": 200, "result": result}


def _failure(status: int, code: int, message: str) -> dict[str, Any]:
    return {"status": status, "error": {"code": code, "msg": message}}
