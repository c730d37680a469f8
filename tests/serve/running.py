"""A whole Lanecast within a test's own loop, on a port of its own."""

import logging
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import orjson
import trio

from monitor.app import serve
from monitor.config import Settings
from monitor.control import Control
from monitor.keyring import Keyring
from monitor.keys import Keys, load_keys
from tests.patience import PATIENCE_SECONDS
from tests.serve.wire import Client, Wire, request

KEYS = Keys(api="a" * 64, operator="o" * 64, token="t" * 64)
NAMESPACES = {
    "chat": {"publish": True, "presence": True, "history_size": 10},
    "feed": {"gather": True, "history_size": 400},
}
"""Besides the default ones: one with every right, and one that gathers."""
RECOVERABLE = {"recoverable", "positioned", "epoch"}
"""What a subscribe result says of every channel that can be recovered, besides an offset above 0."""


def sign(key: str = KEYS.token, **claims: Any) -> str:
    """A token with these claims and no others."""
    return jwt.PyJWS().encode(orjson.dumps(claims), key, algorithm="HS256")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


def read_answer(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body)


@dataclass(slots=True)
class Server:
    port: int
    control: Control
    streams: list[trio.SocketStream] = field(default_factory=list)

    async def dial(self) -> trio.SocketStream:
        with trio.fail_after(PATIENCE_SECONDS):
            stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.append(stream)
        return stream

    async def wire(self) -> Wire:
        return Wire(await self.dial())

    async def upgraded(self, extensions: str = "") -> Client:
        """A WebSocket that has not yet said connect."""
        client = Client(await self.dial())
        assert b" 101 " in await client.upgrade(extensions)
        return client

    async def client(self, token: str = "", *, extensions: str = "") -> Client:
        """A connected client."""
        client = await self.upgraded(extensions)
        await client.connect(**({"token": token} if token else {}))
        return client

    async def subscriber(self, *channels: str, token: str = "", extensions: str = "") -> Client:
        client = await self.client(token, extensions=extensions)
        for channel in channels:
            await client.call("subscribe", channel=channel)
        return client

    async def exchange(self, data: bytes) -> bytes:
        """Send bytes on a new connection; returns all that comes back until the server ends it."""
        wire = await self.wire()
        await wire.send(data)
        return await wire.take_all()

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fixed = {"Host": "lanecast", "Connection": "close"}
        return read_answer(await self.exchange(request(method, path, fixed | named)))

    async def post(self, method: str, body: bytes, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fixed = {"Host": "lanecast", "Connection": "close", "X-API-Key": KEYS.api}
        length = {"Content-Length": str(len(body))}
        return read_answer(
            await self.exchange(request("POST", f"/api/{method}", fixed | length | named, body))
        )

    async def api(self, method: str, **params: Any) -> Any:
        """The body of an API call's answer."""
        answer = await self.post(method, orjson.dumps(params))
        assert answer.status == 200, answer
        return answer.json()

    async def publish(self, channel: str, data: Any, **params: Any) -> Any:
        return (await self.api("publish", channel=channel, data=data, **params))["result"]


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Server]:
    """A server with the simulator off; leaving fails if it logged an error meanwhile."""
    quiet = {"port": 0, "hosts": ["lanecast"], "simulator": {"enabled": False}, "namespaces": NAMESPACES}
    keys = {"api_key": KEYS.api, "operator_key": KEYS.operator, "token_key": KEYS.token}
    given: dict[str, Any] = quiet | keys | settings
    with tempfile.TemporaryDirectory() as directory, no_errors_logged():
        async with trio.open_nursery() as nursery:
            control = Control()
            configured = Settings(**{"data_dir": Path(directory), **given})
            keyring = Keyring(load_keys(configured))
            address = await nursery.start(serve, configured, keyring, control)
            server = Server(int(address.rpartition(":")[2]), control)
            yield server
            for stream in server.streams:
                await stream.aclose()
            nursery.cancel_scope.cancel()


@contextmanager
def no_errors_logged() -> Iterator[None]:
    defects = Defects()
    logging.getLogger("lanecast").addHandler(defects)
    try:
        yield
    finally:
        logging.getLogger("lanecast").removeHandler(defects)
    assert defects.lines == []


class Defects(logging.Handler):
    """The errors that were logged: there must be none."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
