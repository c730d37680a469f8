"""Coinbase Exchange as a stand-in: channels by product, one acknowledgement of the whole state.

Decides what a subscription asks for. `level2` is served without a signature, as the recorded
sessions had it, and `level2_batch` gets the same messages.
"""

from collections.abc import Iterable
from typing import Any

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

CHANNELS = {
    "snapshot": "level2",
    "l2update": "level2",
    "match": "matches",
    "last_match": "matches",
    "ticker": "ticker",
    "heartbeat": "heartbeat",
    "status": "status",
}
"""The channel of each message type; other types belong to `full`."""
ALIASES = {"level2_batch": "level2", "level2_50": "level2", "ticker_batch": "ticker"}
KNOWN = frozenset((*CHANNELS.values(), *ALIASES, "full", "user"))


class CoinbaseVenue(Venue):
    name = "Coinbase Exchange"
    subscribe_seconds = 5.0

    def __init__(self, recording: Recording) -> None:
        super().__init__(_read_lines(recording))
        self._products = {stream.partition(" ")[2] for stream in self.script.streams}

    def accept(self, request: Request) -> Conversation | Answer:
        if request.path != "/":
            return Answer(404, encode({"message": f"no such path {request.path}"}))
        return Subscriptions(self._products)


class Subscriptions(Conversation):
    """Products by channel, in the client's own words."""

    def __init__(self, products: set[str]) -> None:
        super().__init__()
        self._products = products
        self._open: dict[str, dict[str, None]] = {}

    def command(self, text: str) -> list[bytes]:
        try:
            request = orjson.loads(text)
            kind = request["type"]
            if kind not in ("subscribe", "unsubscribe"):
                return [_error(f"{kind} is not a valid type")]
            wanted = dict(_channels(request))
            refusal = self._check(wanted) if kind == "subscribe" else ""
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return [_error("Malformed JSON")]
        return [_error(refusal) if refusal else self._change(kind, wanted)]

    def _check(self, wanted: dict[str, list[str]]) -> str:
        """Why it is refused; empty when it is not."""
        for channel, products in wanted.items():
            if channel not in KNOWN:
                return f"{channel} is not a valid channel"
            unknown = [product for product in products if product not in self._products]
            if unknown:
                return f"{unknown[0]} is not a valid product"
            if not products and channel != "status":
                return "product_ids must be given"
        return ""

    def _change(self, kind: str, wanted: dict[str, list[str]]) -> bytes:
        for channel, products in wanted.items():
            listed = self._open.setdefault(channel, {})
            if kind == "subscribe":
                listed |= dict.fromkeys(products)
            else:
                for product in products or list(listed):
                    listed.pop(product, None)
        self._open = {channel: products for channel, products in self._open.items() if products}
        streams = {_stream(channel, product) for channel, some in self._open.items() for product in some}
        self.late |= streams - self.streams
        self.streams = streams
        self.is_ready = self.is_ready or bool(streams)
        return encode(
            {
                "type": "subscriptions",
                "channels": [{"name": name, "product_ids": [*some]} for name, some in self._open.items()],
            }
        )


def _channels(request: dict[str, Any]) -> Iterable[tuple[str, list[str]]]:
    """(name, products) of each channel asked for; products may be named once for all."""
    products = request.get("product_ids") or []
    for channel in request["channels"]:
        if isinstance(channel, str):
            yield channel, products
        else:
            yield channel["name"], channel.get("product_ids") or products


def _stream(channel: str, product: str) -> str:
    return f"{ALIASES.get(channel, channel)} {product}"


def _error(reason: str) -> bytes:
    return encode({"type": "error", "message": "Failed to subscribe", "reason": reason})


def _read_lines(recording: Recording) -> Iterable[Line]:
    for seconds, raw, message in recording.messages():
        if "product_id" in message:
            kind = message["type"]
            stream = _stream(CHANNELS.get(kind, "full"), message["product_id"])
            yield line(seconds, stream, raw.encode(), opens=kind == "snapshot")
