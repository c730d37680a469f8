"""Bybit v5 as a stand-in: public topics by product, whole requests refused for one bad topic.

Decides which topics exist: those of the recording, and the known kinds for its symbols, which are
acknowledged and stay silent as a quiet topic does.
"""

import itertools
import re
from collections.abc import Iterable
from typing import Any

import orjson

from monitor.clock import wall_ms
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

PRODUCTS = ("spot", "linear", "inverse", "option")
SPOT_TOPICS_LIMIT = 10
_PATH = re.compile(rf"/v5/public/({'|'.join(PRODUCTS)})")
_KINDS = re.compile(
    r"orderbook\.(?:1|25|50|100|200|500|1000|full)|publicTrade|tickers|kline\.\w+|allLiquidation|liquidation"
)


class BybitVenue(Venue):
    name = "Bybit v5"

    def __init__(self, recording: Recording) -> None:
        super().__init__(_read_lines(recording))
        self._symbols = {topic.rpartition(".")[2] for topic in self.script.streams}
        self._numbers = itertools.count(1)

    def accept(self, request: Request) -> Conversation | Answer:
        match = _PATH.fullmatch(request.path)
        if match is None:
            return Answer(404, encode({"ret_msg": f"no such path {request.path}"}))
        return Topics(match[1], f"stand-in-{next(self._numbers)}", self._symbols)


class Topics(Conversation):
    """One connection's topics; the shape of a reply depends on the product."""

    def __init__(self, product: str, connection: str, symbols: set[str]) -> None:
        super().__init__()
        self._product = product
        self._connection = connection
        self._symbols = symbols

    def command(self, text: str) -> list[bytes]:
        try:
            request = orjson.loads(text)
            operation, topics = request["op"], request.get("args", [])
            if operation == "ping":
                return [self._pong(request)]
            if operation not in ("subscribe", "unsubscribe"):
                return [self._reply(request, f"error:invalid op {operation!r}", success=False)]
            refusal = self._check(topics)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return [self._reply({}, "error:invalid request", success=False)]
        if refusal:
            return [self._refuse(request, refusal, topics)]
        return [self._change(request, set(topics))]

    def _check(self, topics: list[str]) -> str:
        """Why the request is refused; empty when it is not."""
        if not topics:
            return "error:request args is empty"
        if self._product == "spot" and len(topics) > SPOT_TOPICS_LIMIT:
            return "error:args size >10"
        for topic in topics:
            kind, _, symbol = topic.rpartition(".")
            if not _KINDS.fullmatch(kind):
                return f"error:handler not found,topic:{topic}"
            if symbol not in self._symbols:
                return f"error:Invalid symbol :[{topic}]"
        return ""

    def _change(self, request: dict[str, Any], topics: set[str]) -> bytes:
        if request["op"] == "subscribe":
            self.late |= topics - self.streams
            self.streams |= topics
            self.is_ready = True
        else:
            self.streams -= topics
        if self._product == "option":
            return self._respond(successful=sorted(topics))
        message = request["op"] if self._product == "spot" else ""
        return self._reply(request, message, success=True)

    def _refuse(self, request: dict[str, Any], reason: str, topics: list[str]) -> bytes:
        if self._product == "option":
            return self._respond(failed=topics)
        return self._reply(request, reason, success=False)

    def _respond(self, *, failed: Iterable[str] = (), successful: Iterable[str] = ()) -> bytes:
        """How options answer."""
        data = {"failTopics": [*failed], "successTopics": [*successful]}
        return encode(
            {
                "success": not data["failTopics"],
                "conn_id": self._connection,
                "type": "COMMAND_RESP",
                "data": data,
            }
        )

    def _reply(self, request: dict[str, Any], message: str, *, success: bool) -> bytes:
        identity = (
            {"req_id": request.get("req_id", "")} if self._product != "spot" or "req_id" in request else {}
        )
        return encode(
            {
                "success": success,
                "ret_msg": message,
                "conn_id": self._connection,
                **identity,
                "op": request.get("op", ""),
            }
        )

    def _pong(self, request: dict[str, Any]) -> bytes:
        if self._product == "option":
            return encode({"args": [str(wall_ms())], "op": "pong"})
        return self._reply(request, "pong", success=True)


def _read_lines(recording: Recording) -> Iterable[Line]:
    for seconds, raw, message in recording.messages():
        if "topic" in message:
            kind, topic = message.get("type"), message["topic"]
            opens = kind == "snapshot" and not topic.startswith("publicTrade")
            yield line(seconds, topic, raw.encode(), opens=opens)
