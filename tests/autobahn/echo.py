"""An echo server on the product's WebSocket layer: its handshake, its framing, nothing else of it."""

from functools import partial

import trio

from monitor.broadcast.frames import Deflate, Plain, binary_frame
from monitor.serve.upgrade import choose_window, upgrade_response
from monitor.serve.websocket import TEXT, Closing, Message, Pong, WebSocket, _Head

LIMIT_BYTES = 16 * 2**20
"""The suite's longest message."""
RECEIVE_BYTES = 65_536
CLOSING_SECONDS = 2.0


class EchoSocket(WebSocket):
    """Knows of its last message what the product has no use for: whether it was text."""

    def __init__(self, *, is_deflated: bool, early: bytes) -> None:
        super().__init__(is_deflated=is_deflated, limit_bytes=LIMIT_BYTES, early=early)
        self.opcode = TEXT

    def _begin(self, head: _Head) -> None:
        if self._incoming is None:
            self.opcode = head.opcode
        super()._begin(head)


async def echo(stream: trio.SocketStream) -> None:
    """Send every message back on one connection, until either side ends it."""
    head, _, early = (await _receive_head(stream)).partition(b"\r\n\r\n")
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    headers = {name.lower(): value.strip() for name, _, value in lines}
    bits = choose_window(headers.get("sec-websocket-extensions", ""))
    await stream.send_all(upgrade_response(headers, window_bits=bits))
    websocket = EchoSocket(is_deflated=bits is not None, early=early)
    encoding = Plain() if bits is None else Deflate(level=5, from_bytes=0, window_bits=bits)
    data: bytes | None = None
    while data != b"":
        for event in websocket.receive(data):
            match event:
                case Message(message):
                    frame = encoding.frame if websocket.opcode == TEXT else binary_frame
                    await stream.send_all(frame(message))
                case Pong(frame):
                    await stream.send_all(frame)
                case Closing(frame=frame):
                    await _end(stream, frame)
                    return
        data = await stream.receive_some(RECEIVE_BYTES)


async def _receive_head(stream: trio.SocketStream) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive_some(RECEIVE_BYTES)
    return received


async def _end(stream: trio.SocketStream, frame: bytes) -> None:
    """Say the last word, and hear the peer out: to close over unread bytes would take it from him."""
    await stream.send_all(frame)
    await stream.send_eof()
    with trio.move_on_after(CLOSING_SECONDS):
        while await stream.receive_some(RECEIVE_BYTES):
            pass


async def run_echo(*, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled; started with the port."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, _serve, [listener]))
        task_status.started(port)


async def _serve(stream: trio.SocketStream) -> None:
    try:
        async with stream:
            await echo(stream)
    except trio.BrokenResourceError:
        pass
