"""One open socket of the served protocol, seen from the client's side.

Decides which reply belongs to which command, answers pings and notices silence. One task
writes, so that a caller who is cancelled can't leave half a frame behind.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import h11
import orjson
import trio
from trio_websocket import (
    CloseReason,
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
)
from wsproto.utilities import ProtocolError

from monitor.dial import Stream, connect, upgraded
from monitor.errors import PeerError
from monitor.unreachable import unanswered, unreachable

ANSWER_SECONDS = 5.0
"""For the handshake, and for each reply; what the protocol's own clients wait."""
GOODBYE_SECONDS = 1.0
MESSAGE_BYTES = 16 * 1024 * 1024
"""A recovery of 300 publications of the largest size the server takes from its clients fits."""
PING_MARGIN_SECONDS = 10.0
"""Silence beyond the server's ping interval after which the connection counts as dead."""
COMMANDS_WAITING = 256
"""Beyond it a caller waits until the socket has taken some."""
COMMANDS_IN_A_FRAME = 32
"""Well under the 64 KiB that a server takes, for commands of the usual size."""


class CommandRejected(PeerError):
    """The server answered a command with an error; `code` is the protocol's."""

    def __init__(self, command: str, code: int, message: str, temporary: bool) -> None:
        super().__init__(f"{command} was refused: {message} (code {code})")
        self.code = code
        self.message = message
        self.is_temporary = temporary or code < 100


class Disconnected(PeerError):
    """There is no connection; `code` is the close code, 0 when no close frame came."""

    def __init__(self, code: int, reason: str, is_final: bool = False) -> None:
        super().__init__(f"disconnected: {reason}" + (f" (code {code})" if code else ""))
        self.code = code
        self.reason = reason
        self.is_final = is_final
        """Trying again would meet the same answer."""


class NoAnswer(PeerError):
    """The server left a command unanswered."""

    def __init__(self, command: str) -> None:
        super().__init__(f"{command}: no answer within {ANSWER_SECONDS:g} s")


class _Call:
    """A command whose reply is awaited; `apply` sees the result before any later document."""

    __slots__ = ("_apply", "_command", "_method", "done", "error", "result")

    def __init__(self, method: str, subject: str, apply: Callable[[dict[str, Any]], None] | None) -> None:
        self.done = trio.Event()
        self.result: dict[str, Any] = {}
        self.error: PeerError | None = None
        self._method = method
        self._command = f"{method} {subject}".rstrip()
        self._apply = apply

    def settle(self, reply: dict[str, Any]) -> None:
        if (error := reply.get("error")) is not None:
            is_temporary = error.get("temporary", False)
            self.fail(
                CommandRejected(self._command, error.get("code", 0), error.get("message", ""), is_temporary)
            )
            return
        self.result = reply.get(self._method) or {}
        if self._apply is not None:
            self._apply(self.result)
        self.done.set()

    def fail(self, error: PeerError) -> None:
        self.error = error
        self.done.set()

    async def wait(self) -> dict[str, Any]:
        await self.done.wait()
        if self.error is not None:
            raise self.error
        return self.result


class Connection:
    """One open socket: pairs replies with commands and hands pushes up."""

    nursery: trio.Nursery

    def __init__(
        self,
        websocket: WebSocketConnection,
        on_push: Callable[["Connection", dict[str, Any]], None],
        inflate: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """With `inflate`, binary messages are read by it."""
        self.lost = Disconnected(0, "the connection was lost")
        self.ended = trio.Event()
        self._websocket = websocket
        self._on_push = on_push
        self._inflate = inflate
        self._calls: dict[int, _Call] = {}
        self._last_id = 0
        self._outgoing, self._to_write = trio.open_memory_channel[bytes](COMMANDS_WAITING)
        self._silence_seconds = ANSWER_SECONDS
        self._answers_pings = False

    async def call(
        self,
        method: str,
        params: dict[str, Any],
        subject: str = "",
        apply: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Send a command and wait for its result; cancelled, it may still take effect."""
        if self.ended.is_set():
            raise self.lost
        self._last_id += 1
        number, call = self._last_id, _Call(method, subject, apply)
        self._calls[number] = call
        try:
            with trio.fail_after(ANSWER_SECONDS):
                await self.post({"id": number, method: params})
                return await call.wait()
        except trio.TooSlowError:
            raise NoAnswer(f"{method} {subject}".rstrip()) from None
        finally:
            del self._calls[number]

    async def post(self, document: dict[str, Any]) -> None:
        try:
            await self._outgoing.send(orjson.dumps(document))
        except trio.BrokenResourceError:
            raise self.lost from None

    def offer(self, document: dict[str, Any]) -> None:
        """Send it, unless too much waits already; what needs no answer may be left out."""
        with suppress(trio.WouldBlock, trio.BrokenResourceError):
            self._outgoing.send_nowait(orjson.dumps(document))

    async def write(self) -> None:
        with self._to_write:
            async for document in self._to_write:
                try:
                    await self._websocket.send_message(b"\n".join([document, *self._waiting()]).decode())
                except ConnectionClosed:
                    return

    def _waiting(self) -> Iterator[bytes]:
        for _ in range(COMMANDS_IN_A_FRAME - 1):
            try:
                yield self._to_write.receive_nowait()
            except trio.WouldBlock:
                return

    async def read(self) -> None:
        """Dispatch what comes until the connection ends, then fail what still waits for a reply."""
        try:
            while True:
                with trio.fail_after(self._silence_seconds):
                    message = await self._websocket.get_message()
                for document in _documents(self._text(message)):
                    await self._dispatch(document)
        except trio.TooSlowError:
            self.end(Disconnected(0, f"nothing heard for {self._silence_seconds:g} s"))
        except ConnectionClosed as closed:
            self.end(_closed(closed.reason))
        except PeerError as error:
            self.end(Disconnected(0, str(error)))

    def _text(self, message: str | bytes) -> bytes:
        if isinstance(message, str):
            return message.encode()
        return self._inflate(message) if self._inflate else message

    def end(self, lost: Disconnected) -> None:
        """Note why, for whoever waits; only the first reason counts."""
        if self.ended.is_set():
            return
        self.lost = lost
        for call in self._calls.values():
            call.fail(self.lost)
        self.ended.set()

    async def _dispatch(self, document: dict[str, Any]) -> None:
        if (number := document.get("id")) is not None:
            if (call := self._calls.get(number)) is not None:
                call.settle(document)
        elif (push := document.get("push")) is not None:
            self._on_push(self, push)
        elif self._answers_pings:
            await self.post({})

    def keep_alive(self, ping_seconds: float, answers_pings: bool) -> None:
        self._answers_pings = answers_pings
        self._silence_seconds = ping_seconds + PING_MARGIN_SECONDS if ping_seconds else math.inf


def _documents(text: bytes) -> Iterator[dict[str, Any]]:
    # Not splitlines(): JSON strings may hold the other line ends raw.
    for line in text.split(b"\n"):
        if not line:
            continue
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise PeerError(f"the server sent what is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise PeerError(f"the server sent a JSON {type(document).__name__} instead of an object")
        yield document


def _closed(reason: CloseReason | None) -> Disconnected:
    if reason is None or reason.code == 1006:
        return Disconnected(0, "the connection was lost")
    text = reason.reason or reason.name.lower().replace("_", " ")
    return Disconnected(reason.code, text, _is_terminal(reason.code))


def _is_terminal(code: int) -> bool:
    return code == 1009 or 3500 <= code < 4000 or 4500 <= code < 5000


async def open_stream(url: str, certificate_file: Path | None = None) -> Stream:
    """Connect to the server of a WebSocket address, trusting its certificate. Raises Disconnected."""
    try:
        with trio.fail_after(ANSWER_SECONDS):
            return await connect(url, certificate_file)
    except trio.TooSlowError:
        raise Disconnected(0, f"{url} did not answer within {ANSWER_SECONDS:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise Disconnected(0, unreachable(url, error)) from None


@asynccontextmanager
async def open_websocket(
    url: str, subprotocols: Sequence[str] = (), certificate_file: Path | None = None
) -> AsyncIterator[WebSocketConnection]:
    """Open a WebSocket for the block, which must not raise; Disconnected says why there is none.

    Its reader may fail at any time, beside a cancellation or on its own; once the block is through,
    nobody wants to know.
    """
    is_done = False
    lost: Disconnected | None = None
    stream = await open_stream(url, certificate_file)
    try:
        async with upgraded(
            stream, url, seconds=ANSWER_SECONDS, message_bytes=MESSAGE_BYTES, subprotocols=subprotocols
        ) as websocket:
            yield websocket
            is_done = True
            with trio.move_on_after(GOODBYE_SECONDS):
                await websocket.aclose()
    except* (trio.TooSlowError, HandshakeError, ConnectionClosed, ProtocolError, h11.ProtocolError) as group:
        lost = _refusal(url, _first(group))
    if lost is not None and not is_done:
        raise lost


def _first(error: BaseException) -> BaseException:
    """Of those that failed in the tasks."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _refusal(url: str, error: BaseException) -> Disconnected:
    match error:
        case ConnectionRejected(status_code=status):
            return Disconnected(0, f"{url} answered {status}, not with a WebSocket")
        case trio.TooSlowError():
            return Disconnected(0, unanswered(url, ANSWER_SECONDS))
        case _:
            return Disconnected(0, f"{url} does not speak the WebSocket protocol: {error}")
