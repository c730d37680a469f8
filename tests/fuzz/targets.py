"""What is fuzzed: each entry of the product takes bytes, and may do anything but fail.

What a target asserts holds for every input; what it raises is a defect. It returns whether the
input got past the first look, since inputs that are all refused there show nothing.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import h11
import httpx
import jwt
import orjson

from monitor.config import Settings
from monitor.errors import ConfigError, FeedError
from monitor.events import Event
from monitor.feeds.binance import BinanceDialect, Snapshots
from monitor.feeds.binance_account import BinanceAccountDialect
from monitor.feeds.binance_lookups import OPEN_ORDERS, BinanceLookups
from monitor.feeds.dialect import Dialect
from monitor.feeds.kalshi import KalshiDialect
from monitor.feeds.kalshi_fills import KalshiFills
from monitor.health.feeds import FeedHealth
from monitor.keyring import Keyring
from monitor.market.state import MarketState
from monitor.serve.api import NAMES
from monitor.serve.front import HEAD_BYTES
from monitor.serve.jwks import parse_jwks
from monitor.serve.tokens import ExpiredToken, InvalidToken, TokenReader
from monitor.serve.upgrade import read_upgrade
from monitor.serve.websocket import Closing, Message, Pong, WebSocket
from tests.fuzz.loop import open_loop
from tests.fuzz.mutation import CORPUS
from tests.fuzz.shapes import Shape, chosen_documents, cut_frames, documents, frames, heads
from tests.fuzz.visitor import Guest, open_servers
from tests.serve.running import KEYS, sign
from tests.serve.wire import CLOSE, TEXT, UPGRADE, deflate, frame, inflate, request

Target = Callable[[bytes], bool]

NOW = 1_700_000_000.0
MESSAGES_PER_FEED = 256
CONNECT = b'{"id":1,"connect":{"token":"%s"}}'
TOKENS = [sign(), sign(sub="ann"), sign(sub="ann", channels=["chat:a"]), sign(KEYS.operator, sub="root")]
SIGNED = {token.rpartition(".")[0] for token in TOKENS}
"""Of the signature the bytes count, and base64 spells them in several ways."""
CONNECTED = b'{"id":1,"connect":{"client":'


@contextmanager
def open_http() -> Iterator[Target]:
    """Bytes at the front door, whole and in two segments."""
    with open_servers() as servers:

        def target(data: bytes) -> bool:
            half = len(data) // 2
            answer = servers.visit(data[:half], data[half:])
            assert answer[:9] in (b"", b"HTTP/1.1 ")
            return answer[9:12] not in (b"", b"400")

        yield target


def take_upgrade(data: bytes) -> bool:
    """Heads of requests: what the quick way takes for an ordinary upgrade, h11 takes for the same."""
    found = read_upgrade(data)
    if found is None:
        return False
    request, rest = found
    peer = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    peer.receive_data(data)
    head = peer.next_event()
    assert isinstance(head, h11.Request)
    path, _, query = head.target.decode().partition("?")
    assert (request.method, request.path, request.query) == ("GET", path, query)
    assert request.headers == {name.decode(): value.decode() for name, value in head.headers}
    assert data.endswith(rest)
    assert b"\r\n\r\n" not in data[: len(data) - len(rest) - 4]
    return True


def take_websocket(data: bytes) -> bool:
    """Bytes of frames, whole and cut in pieces: the same messages, the same end."""
    is_deflated, size, frames = data[:1] > b"\x7f", 1 + (data[1] if len(data) > 1 else 0), data[2:]
    pieces = [frames[start : start + size] for start in range(0, len(frames), size)]
    events = _messages([frames], is_deflated)
    assert _messages(pieces, is_deflated) == events
    return any(isinstance(event, Message | Pong) for event in events)


def _messages(pieces: list[bytes], is_deflated: bool) -> list[object]:
    websocket = WebSocket(is_deflated=is_deflated, limit_bytes=1_024, early=b"")
    events: list[object] = []
    for piece in pieces:
        for event in websocket.receive(piece):
            if isinstance(event, Closing):
                return [*events, event.code]
            if isinstance(event, Message | Pong):
                events.append(event)
    return events


@contextmanager
def open_frames() -> Iterator[Target]:
    """Bytes behind a WebSocket's upgrade; the first one says whether messages may be packed."""
    with open_servers() as servers:

        def target(data: bytes) -> bool:
            extension = {"Sec-WebSocket-Extensions": "permessage-deflate"} if data[:1] > b"\x7f" else {}
            upgrade = request("GET", "/connection/websocket", UPGRADE | extension)
            half = 1 + len(data) // 2
            answer = servers.visit(upgrade, data[1:half], data[half:])
            assert answer.startswith(b"HTTP/1.1 101 ")
            _, _, told = answer.partition(b"\r\n\r\n")
            return bool(told) and told[0] & 0x0F != CLOSE

        yield target


@contextmanager
def open_commands() -> Iterator[Target]:
    """Messages of clients that stay; the first byte says whose, and whether they are packed."""
    with open_servers() as servers:
        clients: dict[int, Guest] = {}

        def connected(who: int) -> Guest:
            extension = {"Sec-WebSocket-Extensions": "permessage-deflate"} if who & 4 else {}
            connect = frame(TEXT, CONNECT % TOKENS[who & 3].encode())
            client = servers.invite(request("GET", "/connection/websocket", UPGRADE | extension), connect)
            assert next(_told(client.received.partition(b"\r\n\r\n")[2])).startswith(CONNECTED)
            return client

        def target(data: bytes) -> bool:
            who, text = (data[0] if data else 0) & 7, data[1:]
            if who not in clients or clients[who].is_gone:
                clients[who] = connected(who)
            messages = [_packed(part) if who & 4 else frame(TEXT, part) for part in text.split(b"\n\n")]
            told = servers.tell(clients[who], b"".join(messages))
            return any(document.startswith(b'{"id":') for document in _told(told))

        yield target


def _told(answer: bytes) -> Iterator[bytes]:
    """The documents that stand in a server's frames."""
    rest = answer
    while rest:
        length, start = rest[1], 2
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(rest[2:start], "big")
        payload = rest[start : start + length]
        if rest[0] & 0x0F == TEXT:
            yield from (inflate(payload) if rest[0] & 0x40 else payload).split(b"\n")
        rest = rest[start + length :]


def _packed(part: bytes) -> bytes:
    return frame(TEXT, deflate(part), rsv=4)


@contextmanager
def open_api() -> Iterator[Target]:
    """Bodies of API calls on a connection that stays; the first byte says which."""
    with open_servers() as servers:
        methods = [*NAMES, "batch", "nonsense"]
        callers = [servers.invite()]

        def target(data: bytes) -> bool:
            method = methods[(data[0] if data else 0) % len(methods)]
            body = data[1:]
            headers = {"Host": "localhost", "X-API-Key": KEYS.api, "Content-Length": str(len(body))}
            if callers[0].is_gone:
                callers[0] = servers.invite()
            answer = servers.tell(callers[0], request("POST", f"/api/{method}", headers, body))
            assert answer[9:12] in {b"200", b"400", b"404"}, answer
            return answer[9:12] == b"200"

        yield target


@contextmanager
def open_tokens() -> Iterator[Target]:
    """Tokens as a client sends them: raw, or the claims of a genuine one."""
    reader = TokenReader(Keyring(KEYS), Settings(jwks_file=CORPUS / "jwks" / "rsa"))

    def target(data: bytes) -> bool:
        is_genuine = data[:1] < b"\x80"
        text = _signed(data[1:]) if is_genuine else data[1:].decode(errors="replace")
        try:
            claims = reader.read(text, NOW)
        except ExpiredToken:
            return True
        except InvalidToken:
            return is_genuine
        assert not claims.is_operator
        assert claims.expires_at is None or isinstance(claims.expires_at, int)
        assert is_genuine or text.rpartition(".")[0] in SIGNED, "a forged token was taken"
        return True

    yield target


def _signed(payload: bytes) -> str:
    return jwt.PyJWS().encode(payload, KEYS.token, algorithm="HS256")


def take_jwks(data: bytes) -> bool:
    """What a JWKS file holds: keys that verify, or a sentence."""
    try:
        keys = parse_jwks(data)
    except ConfigError as error:
        return not str(error).startswith("not ")
    assert all(not name.startswith("HS") for key in keys for name in key.algorithms)
    return True


def take_messages(make: Callable[[], Dialect], data: bytes) -> bool:
    """Messages of a venue, one a line, and what the market makes of them."""
    dialect = make()
    market = MarketState(lambda channel: 0)
    is_understood = False
    for event in dialect.connect():
        market.apply(event, 0)
    for number, message in enumerate(data.split(b"\n")[:MESSAGES_PER_FEED]):
        for event in dialect.receive(message, number * 1_000_000_000):
            is_understood = True
            for publication in market.apply(event, number):
                orjson.loads(publication.payload)
        for event in dialect.judge(number * 1_000_000_000):
            market.apply(event, number)
        dialect.commands.clear()
    for event in dialect.disconnect("the end"):
        market.apply(event, 0)
    return is_understood


def _binance() -> BinanceDialect:
    return BinanceDialect(["XUSDT"], FeedHealth("binance", "binance"))


def _binance_account() -> BinanceAccountDialect:
    return BinanceAccountDialect("ann", "key", "secret", FeedHealth("binance_account", "binance"))


def _kalshi() -> KalshiDialect:
    return KalshiDialect(["T1"], "ann", FeedHealth("kalshi", "kalshi"))


class _Answers(httpx.AsyncClient):
    """Every request gets the next body."""

    bodies: list[bytes]

    @asynccontextmanager
    async def stream(self, *_: Any, **__: Any) -> AsyncIterator[httpx.Response]:
        yield httpx.Response(200, content=self.bodies.pop())


@contextmanager
def open_lookups() -> Iterator[Target]:
    """What a venue's REST side answers; the first byte says to which question."""
    client = _Answers()

    async def snapshot() -> list[Event]:
        dialect = _binance()
        listed = dialect.connect()
        dialect.receive(DEPTH, 1)
        return [*listed, *await Snapshots(client, dialect, 100).fetch("XUSDT")]

    def binance_fills() -> Awaitable[list[Event]]:
        return BinanceLookups(client, _binance_account(), "key", "secret").fetch("XUSDT")

    def binance_orders() -> Awaitable[list[Event]]:
        return BinanceLookups(client, _binance_account(), "key", "secret").fetch(OPEN_ORDERS)

    def kalshi_fills() -> Awaitable[list[Event]]:
        return KalshiFills(client, _kalshi(), "key", lambda _: b"signature").fetch("fill")

    questions = [snapshot, binance_fills, kalshi_fills, binance_orders]
    with open_loop() as loop:

        def target(data: bytes) -> bool:
            client.bodies = [b'{"fills":[]}', data[1:]]
            try:
                events = loop.run(questions[(data[0] if data else 0) % len(questions)])
            except FeedError as error:
                return "JSON" not in str(error)
            market = MarketState(lambda channel: 0)
            for event in events:
                market.apply(event, 0)
            return True

        yield target


DEPTH = (
    b'{"stream":"xusdt@depth@100ms","data":{"e":"depthUpdate","E":5,"U":1,"u":4,'
    b'"b":[["1.5","2"]],"a":[["1.6","1"]]}}'
)


@dataclass(frozen=True, slots=True)
class Entry:
    open: Callable[[], AbstractContextManager[Target]]
    shape: Shape
    """What keeps an input well-formed."""


def _plain(target: Target, shape: Shape) -> Entry:
    return Entry(lambda: nullcontext(target), shape)


def _venue(make: Callable[[], Dialect]) -> Entry:
    return _plain(partial(take_messages, make), documents)


TARGETS: dict[str, Entry] = {
    "http": Entry(open_http, heads),
    "upgrade": _plain(take_upgrade, heads),
    "websocket": _plain(take_websocket, cut_frames),
    "frames": Entry(open_frames, frames),
    "commands": Entry(open_commands, chosen_documents),
    "api": Entry(open_api, chosen_documents),
    "tokens": Entry(open_tokens, chosen_documents),
    "jwks": _plain(take_jwks, documents),
    "binance": _venue(_binance),
    "binance_account": _venue(_binance_account),
    "kalshi": _venue(_kalshi),
    "lookups": Entry(open_lookups, chosen_documents),
}
