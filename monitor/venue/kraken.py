"""Kraken as a stand-in: the WebSocket API v2, and v1 with its arrays.

Decides what a subscription must match: the recorded symbol and, for books, the recorded depth, as
another depth would be another stream with other checksums. A refusal leaves the connection up
with its heartbeats, which is how clients come to sit on an empty book.
"""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from monitor.venue.script import (
    Answer,
    Conversation,
    Line,
    Recording,
    Request,
    Venue,
    encode,
    line,
)

DEPTHS_2, DEFAULT_DEPTH = (10, 25, 100, 500, 1000), 10
CHANNELS_2 = ("book", "trade", "ticker", "ohlc", "instrument", "level3")
CHANNELS_1 = ("book", "trade", "ticker", "spread", "ohlc")
HISTORY = "trade-history"
"""The stream of the last trades, which v2 sends only with `snapshot: true`."""


class _Channels(Conversation):
    """What both versions share: streams by name, a heartbeat each quiet second."""

    heartbeat: ClassVar[bytes]

    def __init__(self, streams: set[str], status: bytes) -> None:
        super().__init__()
        self._known = streams
        self._status = status

    def opening(self) -> list[bytes]:
        return [self._status]

    def _open(self, stream: str) -> None:
        self.late.add(stream)
        self.streams.add(stream)
        self.is_ready = True

    def beat(self) -> list[bytes]:
        return [self.heartbeat] if self.streams else []


class Kraken2Venue(Venue):
    name = "Kraken v2"

    def __init__(self, recording: Recording) -> None:
        super().__init__(_read_lines_2(recording))
        self._depths = _recorded_depths(recording)
        self._status = _recorded_status(recording)

    def accept(self, request: Request) -> Conversation | Answer:
        if request.path != "/v2":
            return Answer(404, encode({"error": f"no such path {request.path}"}))
        return Channels2(self.script.streams, self._status, self._depths)


class Channels2(_Channels):
    """Acknowledgements by symbol; data by channel and symbol."""

    heartbeat = b'{"channel":"heartbeat"}'

    def __init__(self, streams: set[str], status: bytes, depths: set[int]) -> None:
        super().__init__(streams, status)
        self._depths = depths
        self._symbols = {stream.partition(" ")[2] for stream in streams}

    def command(self, text: str) -> list[bytes]:
        came = _now()
        try:
            request = orjson.loads(text)
            method, params = request["method"], request.get("params", {})
            identity = {"req_id": request["req_id"]} if "req_id" in request else {}
            if method == "ping":
                return [encode({"method": "pong", **identity, "time_in": came, "time_out": _now()})]
            if method not in ("subscribe", "unsubscribe"):
                results = [{"error": f"Method not supported {method}", "success": False}]
            else:
                results = [self._change(method, params, symbol) for symbol in _symbols(params)]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return [
                encode({"error": "Malformed request", "success": False, "time_in": came, "time_out": _now()})
            ]
        times = {"time_in": came, "time_out": _now()}
        return [encode({"method": method, **result, **times, **identity}) for result in results]

    def _change(self, method: str, params: dict[str, Any], symbol: str | None) -> dict[str, Any]:
        channel, depth = params["channel"], params.get("depth", DEFAULT_DEPTH)
        named = {"symbol": symbol} if symbol is not None else {}
        refusal = self._check(channel, depth, symbol)
        if refusal:
            return {"error": refusal, "success": False, **named}
        stream = _stream_2(channel, symbol)
        result = {"channel": channel, **named}
        if method == "unsubscribe":
            self.streams.discard(stream)
            return {"result": result, "success": True}
        snapshot = bool(params.get("snapshot", channel != "trade"))
        self._open(stream)
        if snapshot and channel == "trade":
            self._open(_stream_2(HISTORY, symbol))
        depths = {"depth": depth} if channel == "book" else {}
        return {"result": {**result, **depths, "snapshot": snapshot}, "success": True}

    def _check(self, channel: str, depth: int, symbol: str | None) -> str:
        """Why it is refused; empty when it is not."""
        if channel not in CHANNELS_2:
            return f"Channel not supported {channel}"
        if channel == "book" and (depth not in DEPTHS_2 or (self._depths and depth not in self._depths)):
            return "Subscription depth not supported"
        if symbol is None:
            return "" if channel == "instrument" else "Symbol(s) missing"
        return "" if symbol in self._symbols else f"Currency pair not supported {symbol}"


class Kraken1Venue(Venue):
    name = "Kraken v1"

    def __init__(self, recording: Recording) -> None:
        super().__init__(_read_lines_1(recording))
        self._numbers = _recorded_numbers(recording)

    def accept(self, request: Request) -> Conversation | Answer:
        if request.path not in ("/", ""):
            return Answer(404, encode({"errorMessage": f"no such path {request.path}"}))
        return Channels1(self.script.streams, self._numbers)


class Channels1(_Channels):
    """Events with a name; data in arrays that end with channel and pair."""

    heartbeat = b'{"event":"heartbeat"}'

    def __init__(self, streams: set[str], numbers: dict[str, int]) -> None:
        identity = time.time_ns()
        status = {"connectionID": identity, "event": "systemStatus", "status": "online", "version": "1.9.6"}
        super().__init__(streams, encode(status))
        self._numbers = numbers
        self._pairs = {stream.partition(" ")[2] for stream in streams}

    def command(self, text: str) -> list[bytes]:
        try:
            request = orjson.loads(text)
            identity = {"reqid": request["reqid"]} if "reqid" in request else {}
            if request["event"] == "ping":
                return [encode({"event": "pong", **identity})]
            if request["event"] not in ("subscribe", "unsubscribe"):
                return [_error_1("Unsupported event", identity)]
            subscription = dict(request["subscription"])
            pairs = list(request["pair"])
            results = [self._change(request["event"], subscription, pair) for pair in pairs]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return [_error_1("Malformed request", {})]
        return [encode({"event": "subscriptionStatus", **result, **identity}) for result in results]

    def _change(self, event: str, subscription: dict[str, Any], pair: str) -> dict[str, Any]:
        channel = _channel_1(subscription)
        stream = f"{channel} {pair}"
        refusal = self._check(subscription, pair, stream)
        if refusal:
            return {"errorMessage": refusal, "pair": pair, "status": "error", "subscription": subscription}
        if event == "subscribe":
            self._open(stream)
        else:
            self.streams.discard(stream)
        return {
            "channelID": self._numbers.get(stream, 0),
            "channelName": channel,
            "pair": pair,
            "status": f"{event}d",
            "subscription": subscription,
        }

    def _check(self, subscription: dict[str, Any], pair: str, stream: str) -> str:
        if subscription["name"] not in CHANNELS_1:
            return "Subscription name invalid"
        if pair not in self._pairs:
            return f"Currency pair not supported {pair}"
        if subscription["name"] == "book" and stream not in self._known:
            return "Subscription depth not supported"
        return ""


def _symbols(params: dict[str, Any]) -> list[str | None]:
    symbols = params.get("symbol", [None])
    return [symbols] if isinstance(symbols, str) else list(symbols)


def _stream_2(channel: str, symbol: str | None) -> str:
    return channel if symbol is None else f"{channel} {symbol}"


def _channel_1(subscription: dict[str, Any]) -> str:
    """`book-1000`, `ohlc-5`, `trade`."""
    name = subscription["name"]
    if name == "book":
        return f"book-{subscription.get('depth', DEFAULT_DEPTH)}"
    return f"ohlc-{subscription.get('interval', 1)}" if name == "ohlc" else str(name)


def _error_1(reason: str, identity: dict[str, Any]) -> bytes:
    return encode({"errorMessage": reason, "event": "error", **identity})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read_lines_2(recording: Recording) -> Iterable[Line]:
    """Prices are bare numbers whose text the checksum covers: the recorded bytes are sent as they are."""
    for seconds, raw, message in recording.messages():
        channel = message.get("channel")
        if channel in CHANNELS_2 and message.get("data"):
            data = message["data"]
            symbol = data[0].get("symbol") if isinstance(data, list) else None
            is_whole = message["type"] == "snapshot"
            name = HISTORY if channel == "trade" and is_whole else channel
            yield line(seconds, _stream_2(name, symbol), raw.encode(), opens=is_whole or channel == "ticker")


def _read_lines_1(recording: Recording) -> Iterable[Line]:
    for seconds, raw, message in recording.messages():
        if isinstance(message, list):
            opens = isinstance(message[1], dict) and ("as" in message[1] or "bs" in message[1])
            yield line(seconds, f"{message[-2]} {message[-1]}", raw.encode(), opens=opens)


def _recorded_depths(recording: Recording) -> set[int]:
    """The book depths that the recorder got; empty when the recording does not say."""
    acks = (orjson.loads(raw) for _, raw in recording.inbound() if '"success"' in raw)
    results = (ack.get("result") or {} for ack in acks)
    return {result["depth"] for result in results if "depth" in result}


def _recorded_status(recording: Recording) -> bytes:
    for _, raw in recording.inbound():
        if '"status"' in raw and orjson.loads(raw).get("channel") == "status":
            return raw.encode()
    data = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": time.time_ns()}
    return encode({"channel": "status", "type": "update", "data": [data]})


def _recorded_numbers(recording: Recording) -> dict[str, int]:
    """The channelID of each stream."""
    messages = (message for *_, message in recording.messages())
    return {f"{message[-2]} {message[-1]}": message[0] for message in messages if isinstance(message, list)}
