"""What is fuzzed: each entry of the product takes bytes, and may do anything but fail.

What a target asserts holds for every input; what it raises is a defect.
"""

from collections.abc import Callable

import h11
import jwt
import orjson

from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.feeds.binance import BinanceDialect
from monitor.feeds.binance_account import BinanceAccountDialect
from monitor.feeds.dialect import Dialect
from monitor.feeds.kalshi import KalshiDialect
from monitor.health.feeds import FeedHealth
from monitor.keyring import Keyring
from monitor.market.state import MarketState
from monitor.serve.front import HEAD_BYTES
from monitor.serve.jwks import parse_jwks
from monitor.serve.tokens import ExpiredToken, InvalidToken, TokenReader
from monitor.serve.upgrade import read_upgrade
from monitor.serve.websocket import Closing, Message, Pong, WebSocket
from tests.fuzz.visitor import Servers
from tests.serve.running import KEYS, sign
from tests.serve.wire import TEXT, UPGRADE, deflate, frame, request

Target = Callable[[bytes], None]

NOW = 1_700_000_000.0
MESSAGES_PER_FEED = 256
API_METHODS = [
    "publish",
    "broadcast",
    "subscribe",
    "unsubscribe",
    "disconnect",
    "refresh",
    "presence",
    "batch",
]
API_METHODS += ["presence_stats", "history", "history_remove", "channels", "info", "nonsense"]
CONNECT = b'{"id":1,"connect":{"token":"%s"}}'
TOKENS = [sign(), sign(sub="ann"), sign(sub="ann", channels=["chat:a"]), sign(KEYS.operator, sub="root")]


def open_http() -> Target:
    """Bytes at the front door, whole and in two segments."""
    servers = Servers()

    def target(data: bytes) -> None:
        half = len(data) // 2
        servers.visit(data[:half], data[half:])

    return target


def open_upgrade() -> Target:
    """Heads of requests: what the quick way takes for an ordinary upgrade, h11 takes for the same."""

    def target(data: bytes) -> None:
        found = read_upgrade(data)
        if found is None:
            return
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

    return target


def open_websocket() -> Target:
    """Bytes of frames, whole and cut in pieces: the same messages, the same end."""

    def target(data: bytes) -> None:
        is_deflated, size, frames = data[:1] > b"\x7f", 1 + (data[1] if len(data) > 1 else 0), data[2:]
        pieces = [frames[start : start + size] for start in range(0, len(frames), size)]
        assert _messages(pieces, is_deflated) == _messages([frames], is_deflated)

    return target


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


def open_frames() -> Target:
    """Bytes behind a WebSocket's upgrade; the first one says whether messages may be packed."""
    servers = Servers()

    def target(data: bytes) -> None:
        extension = {"Sec-WebSocket-Extensions": "permessage-deflate"} if data[:1] > b"\x7f" else {}
        upgrade = request("GET", "/connection/websocket", UPGRADE | extension)
        half = 1 + len(data) // 2
        answer = servers.visit(upgrade, data[1:half], data[half:])
        assert answer.startswith(b"HTTP/1.1 101 ")

    return target


def open_commands() -> Target:
    """Messages of a client; the first byte says whose, and whether they are packed."""
    servers = Servers()

    def target(data: bytes) -> None:
        who, text = data[0] if data else 0, data[1:]
        extension = {"Sec-WebSocket-Extensions": "permessage-deflate"} if who & 4 else {}
        upgrade = request("GET", "/connection/websocket", UPGRADE | extension)
        connect = frame(TEXT, CONNECT % TOKENS[who & 3].encode())
        messages = [_packed(part) if who & 4 else frame(TEXT, part) for part in text.split(b"\n\n")]
        answer = servers.visit(upgrade, connect, b"".join(messages))
        assert who & 4 or b'"id":1,"connect":{"client":' in answer

    return target


def _packed(part: bytes) -> bytes:
    return frame(TEXT, deflate(part), rsv=4)


def open_api() -> Target:
    """Bodies of API calls; the first byte says which."""
    servers = Servers()

    def target(data: bytes) -> None:
        method = API_METHODS[(data[0] if data else 0) % len(API_METHODS)]
        body = data[1:]
        headers = {"Host": "localhost", "X-API-Key": KEYS.api, "Content-Length": str(len(body))}
        answer = servers.visit(request("POST", f"/api/{method}", headers, body))
        assert answer[9:12] in {b"200", b"400", b"404"}, answer

    return target


def open_tokens() -> Target:
    """Tokens as a client sends them: raw, or the claims of a genuine one."""
    reader = TokenReader(Keyring(KEYS), Settings())

    def target(data: bytes) -> None:
        is_genuine = data[:1] < b"\x80"
        text = _signed(data[1:]) if is_genuine else data[1:].decode(errors="replace")
        try:
            claims = reader.read(text, NOW)
        except (InvalidToken, ExpiredToken):
            return
        assert not claims.is_operator
        assert claims.expires_at is None or isinstance(claims.expires_at, int)
        assert is_genuine or text in TOKENS, "a forged token was taken"

    return target


def _signed(payload: bytes) -> str:
    return jwt.PyJWS().encode(payload, KEYS.token, algorithm="HS256")


def open_jwks() -> Target:
    def target(data: bytes) -> None:
        try:
            keys = parse_jwks(data)
        except ConfigError:
            return
        assert all(not name.startswith("HS") for key in keys for name in key.algorithms)

    return target


def open_venue(make: Callable[[], Dialect]) -> Target:
    """Messages of a venue, one a line, and what the market makes of them."""

    def target(data: bytes) -> None:
        dialect = make()
        market = MarketState(lambda channel: 0)
        for event in dialect.connect():
            market.apply(event, 0)
        for number, message in enumerate(data.split(b"\n")[:MESSAGES_PER_FEED]):
            for event in dialect.receive(message, number * 1_000_000_000):
                for publication in market.apply(event, number):
                    orjson.loads(publication.payload)
            for event in dialect.judge(number * 1_000_000_000):
                market.apply(event, number)
            dialect.commands.clear()
        for event in dialect.disconnect("the end"):
            market.apply(event, 0)

    return target


def _binance() -> Dialect:
    return BinanceDialect(["XUSDT"], FeedHealth("binance", "binance"))


def _binance_account() -> Dialect:
    return BinanceAccountDialect("ann", "key", "secret", FeedHealth("binance_account", "binance"))


def _kalshi() -> Dialect:
    return KalshiDialect(["T1"], "ann", FeedHealth("kalshi", "kalshi"))


TARGETS: dict[str, Callable[[], Target]] = {
    "http": open_http,
    "upgrade": open_upgrade,
    "websocket": open_websocket,
    "frames": open_frames,
    "commands": open_commands,
    "api": open_api,
    "tokens": open_tokens,
    "jwks": open_jwks,
    "binance": lambda: open_venue(_binance),
    "binance_account": lambda: open_venue(_binance_account),
    "kalshi": lambda: open_venue(_kalshi),
}
