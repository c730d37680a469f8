"""No key and no token leaves the server again: by what it answers, what it logs, or how long it takes."""

from contextlib import suppress
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
import trio

from monitor.app import serve
from monitor.config import Settings
from monitor.control import Control
from monitor.keyring import Keyring
from monitor.keys import Keys
from monitor.serve.tokens import make_token
from tests.process import CONFIGURATION, Process, lanecast_process
from tests.serve.running import KEYS, Server, sign
from tests.serve.wire import Client

SECRETS = (KEYS.api, KEYS.operator, KEYS.token)
TOKENS = (make_token(KEYS.operator, "op"), make_token(KEYS.token, "ann"), make_token("w" * 64, "eve"))
PATHS = ("/", "/metrics", "/healthz", "/api/info", "/api/publish", "/connection/websocket", "/none")


def ask(process: Process, secret: str) -> bytes:
    """All that HTTP answers to a secret in every place where one may be put."""
    headers = {
        "X-API-Key": secret,
        "Authorization": f"apikey {secret}",
        "Origin": f"https://{secret}",
        "Sec-WebSocket-Protocol": secret,
    }
    said = b""
    for path, (name, value) in product(PATHS, headers.items()):
        for method, query in (("GET", ""), ("POST", f"?api_key={secret}&token={secret}")):
            if name == "Origin" and path in ("/api/info", "/api/publish", "/connection/websocket"):
                continue  # what the browser says of itself is said back to it: it is no secret there
            body = orjson.dumps({"channel": "chat:a", "data": 1}) if method == "POST" else b""
            answer = process.http.request(method, path + query, content=body, headers={name: value})
            said += str(answer.headers).encode() + answer.content
    return said


async def speak(process: Process, token: str) -> bytes:
    """All that a WebSocket answers to a token, and to a key in commands that are wrong."""
    url = urlsplit(process.address)
    assert url.hostname
    assert url.port
    client = Client(await trio.open_tcp_stream(url.hostname, url.port))
    await client.upgrade()
    await client.say(
        {"id": 1, "connect": {"token": token, "name": "n"}},
        {"id": 2, "subscribe": {"channel": "ops:health"}},
        {"id": 3, "subscribe": {"channel": "chat:a", "token": token}},
        {"id": 4, "rpc": {"method": "ops.connections"}},
        {"id": 5, "rpc": {"method": "me"}},
        {"id": 6, "refresh": {"token": token}},
        {"id": 7, "ping": {}},
    )
    said = b""
    with suppress(EOFError):
        while b'"id":7' not in said:
            said += await client.take(1)
    await client.stream.aclose()
    return said


class Guarded(bytes):
    """Fails where it is compared in a time that tells how much of a guess was right."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a key was compared with ==")

    __hash__ = bytes.__hash__


class Key(str):
    """As `Guarded`, and so are its bytes."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a key was compared with ==")

    __hash__ = str.__hash__

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return Guarded(super().encode(encoding, errors))


@pytest.mark.trio
async def test_keys_are_compared_in_constant_time_alone(nursery: trio.Nursery, tmp_path: Path) -> None:
    quiet = {"port": 0, "hosts": ["lanecast"], "simulator": {"enabled": False}, "data_dir": tmp_path}
    settings = Settings.model_validate(quiet)
    keys = Keys(Key(KEYS.api), Key(KEYS.operator), Key(KEYS.token))
    control = Control()
    address = await nursery.start(serve, settings, Keyring(keys), control)
    server = Server(int(address.rpartition(":")[2]), control)
    assert (await server.api("info"))["result"]
    assert (await server.post("info", b"{}", X_API_Key="b" * 64)).status == 401
    for key in (KEYS.operator, KEYS.token):
        assert await (await server.client(sign(key, sub="ann"))).is_alive()
    forger = await server.upgraded()
    await forger.say({"id": 1, "connect": {"token": sign("f" * 64, sub="ann")}})
    assert (await forger.closing())[0] == 3500
    for stream in server.streams:
        await stream.aclose()
    nursery.cancel_scope.cancel()


def test_no_key_and_no_token_is_said_again_or_logged(tmp_path: Path) -> None:
    said = b""
    with lanecast_process(tmp_path, 'log_level = "debug"\n' + CONFIGURATION) as process:
        for secret in SECRETS:
            said += ask(process, secret)
        for token in TOKENS:
            said += trio.run(speak, process, token)
        said += process.http.get("/metrics").content
    log = (tmp_path / "log").read_bytes()
    assert b"lanecast_clients" in said
    assert b"SIGTERM" in log
    for secret in (*SECRETS, *TOKENS):
        assert secret.encode() not in said
        assert secret.encode() not in log
