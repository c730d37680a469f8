"""An open stream to a WebSocket address, and the WebSocket over it: how feeds and clients dial out.

A stream is opened and closed here and not by trio-websocket, which leaves it open when the upgrade is
refused, or the other side closes first. What fails is raised as it is: who dialled knows in which
words to tell of it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from monitor.trust import trusting

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


async def connect(url: str, certificate_file: Path | None = None) -> Stream:
    """Reach the host of a WebSocket address; if a certificate is given, it must have that one.

    Raises OSError, and trio.BrokenResourceError by its cause for TLS that can't be had.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "ws":
        return await trio.open_tcp_stream(host, parts.port or 80)
    stream = await trio.open_ssl_over_tcp_stream(
        host, parts.port or 443, https_compatible=True, ssl_context=trusting(certificate_file)
    )
    try:
        # Here, where it can still be said why a certificate is not trusted.
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


@asynccontextmanager
async def upgraded(
    stream: Stream,
    url: str,
    *,
    seconds: float,
    message_bytes: int,
    queue_messages: int = 1,
    headers: list[tuple[bytes, bytes]] | None = None,
    subprotocols: Sequence[str] = (),
) -> AsyncIterator[WebSocketConnection]:
    """The WebSocket that a stream becomes within so many seconds; the stream ends with the block.

    Raises in groups: trio.TooSlowError, what trio-websocket raises, and what its reader met at any time.
    """
    parts = urlsplit(url)
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(seconds):
                websocket = await wrap_client_stream(
                    nursery,
                    stream,
                    parts.netloc.rpartition("@")[2],
                    (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                    subprotocols=subprotocols,
                    extra_headers=headers,
                    message_queue_size=queue_messages,
                    max_message_size=message_bytes,
                    receive_buffer_size=None,
                )
            yield websocket
            nursery.cancel_scope.cancel()
    finally:
        await trio.aclose_forcefully(stream)
