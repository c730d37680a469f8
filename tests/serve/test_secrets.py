"""No key and no token leaves the server again, whatever it was asked and however it refused."""

from contextlib import suppress
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import trio

from monitor.serve.tokens import make_token
from tests.process import CONFIGURATION, Process, lanecast_process
from tests.serve.running import KEYS
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
