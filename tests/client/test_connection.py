"""A server that is none, or goes away in the middle: whoever opens the socket hears one sentence."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from monitor.client import Disconnected, open_client
from monitor.errors import PeerError

PING = b"\x89\x00"
REFUSED = b'{"id":1,"error":{"code":101,"message":"unauthorized"}}'


def upgraded(head: bytes) -> bytes:
    found = re.search(rb"(?i)sec-websocket-key: (\S+)", head)
    assert found is not None
    accept = base64.b64encode(hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


@asynccontextmanager
async def answering(answer: Callable[[bytes], bytes], *more: bytes) -> AsyncIterator[str]:
    """A server that answers the request so, then what is said next by one after the other, and goes."""

    async def handle(stream: trio.SocketStream) -> None:
        await stream.send_all(answer(bytes(await stream.receive_some())))
        for data in more:
            await stream.receive_some()
            await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def failure(url: str) -> PeerError:
    with pytest.raises(Disconnected) as caught:
        async with open_client(url, reconnect=False, zstd=False) as client:
            await client.rpc("me")
    return caught.value


@pytest.mark.trio
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy", "answered 503, not with a WebSocket"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "does not speak the WebSocket protocol"),
        (b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n", "does not speak the WebSocket protocol"),
    ],
)
async def test_what_is_no_websocket_is_one_sentence(answer: bytes, sentence: str) -> None:
    async with answering(lambda _: answer) as url:
        assert sentence in str(await failure(url))


@pytest.mark.trio
async def test_what_comes_after_a_refusal_does_not_hide_its_reason() -> None:
    """The library's reader fails at a ping after our close; that is nobody's trouble any more."""
    async with answering(upgraded, b"\x81" + bytes([len(REFUSED)]) + REFUSED, PING) as url:
        error = await failure(url)
    assert isinstance(error, Disconnected)
    assert (error.code, error.is_final) == (101, True)
