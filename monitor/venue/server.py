"""The stand-in's front door: one port for the venue's WebSocket and its REST snapshot.

Decides nothing about a venue. It parses HTTP, asks the venue whether to upgrade, and ends a
connection that fails without touching the others. At the end of the session a connection stays
open and is pinged, as at a venue where nothing happens.
"""

import logging
import math
from pathlib import Path

import h11
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection
from wsproto.utilities import ProtocolError

from monitor.address import local_url
from monitor.errors import ConfigError
from monitor.venue.detect import open_venue
from monitor.venue.script import Answer, Request, Venue, encode
from monitor.venue.session import Session

logger = logging.getLogger("lanecast.venue")

HEADER_BYTES = 65_536
"""A combined stream's names travel in the path."""
REQUEST_SECONDS = 30.0
RECEIVE_BYTES = 65_536


async def run_venue(
    capture: Path,
    *,
    port: int,
    host: str = "127.0.0.1",
    speed: float | None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the recorded session until cancelled; `speed` times its pace, None as fast as can be.

    `started` gets the base URL, `ws://host:port`. CaptureError when the session can't be served,
    ConfigError when the speed or the address can't be used.
    """
    if speed is not None and not (0 < speed < math.inf):
        raise ConfigError(f"speed must be a number above 0, or max, got {speed:g}")
    venue = await trio.to_thread.run_sync(open_venue, capture)
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise ConfigError(f"can't listen on {host}:{port}: {error.strerror or error}") from None

    async def serve(stream: trio.SocketStream) -> None:
        await _serve(stream, venue, speed)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, listeners)
        bound = listeners[0].socket.getsockname()[1]
        logger.info("standing in for %s, %d messages", venue.name, len(venue.script.lines))
        task_status.started(local_url("ws", host, bound))


async def _serve(stream: trio.SocketStream, venue: Venue, speed: float | None) -> None:
    """One connection to its end; what goes wrong on it stays with it."""
    async with stream:
        try:
            await _Door(stream, venue).serve(speed)
        except* (
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            ProtocolError,
            h11.ProtocolError,
        ) as group:
            logger.debug("a connection ended: %s", group.exceptions)


class _Door:
    """HTTP on one connection, until it becomes a WebSocket."""

    def __init__(self, stream: trio.SocketStream, venue: Venue) -> None:
        self._stream = stream
        self._venue = venue
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES)

    async def serve(self, speed: float | None) -> None:
        try:
            await self._serve(speed)
        except h11.RemoteProtocolError as error:
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                await self._answer(Answer(error.error_status_hint, encode({"error": str(error)})))

    async def _serve(self, speed: float | None) -> None:
        while (request := await self._receive()) is not None:
            headers = Request.parse(request.target.decode("latin-1"), request.headers)
            if "websocket" in headers.headers.get("upgrade", "").lower():
                await self._upgrade(request, headers, speed)
                return
            if not await self._answer(self._get(request, headers)):
                return

    def _get(self, request: h11.Request, headers: Request) -> Answer:
        if request.method != b"GET":
            return Answer(405, encode({"error": "only GET"}))
        return self._venue.get(headers)

    async def _receive(self) -> h11.Request | None:
        """The next request, its body read and dropped; None when the client is gone or too slow."""
        request = None
        with trio.move_on_after(REQUEST_SECONDS):
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._stream.receive_some(RECEIVE_BYTES))
                elif isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.EndOfMessage):
                    return request
                elif isinstance(event, h11.ConnectionClosed):
                    return None
        return None

    async def _upgrade(self, request: h11.Request, headers: Request, speed: float | None) -> None:
        conversation = self._venue.accept(headers)
        if isinstance(conversation, Answer):
            await self._answer(conversation)
            return
        self._venue.conversations.append(conversation)
        try:
            socket = WSConnection(ConnectionType.SERVER)
            try:
                socket.initiate_upgrade_connection(list(request.headers), request.target.decode("latin-1"))
            except ProtocolError as error:
                await self._answer(Answer(400, encode({"error": str(error)})))
                return
            await self._stream.send_all(socket.send(AcceptConnection()))
            socket.receive_data(self._http.trailing_data[0])
            await Session(self._stream, socket, self._venue, conversation).run(speed)
        finally:
            self._venue.conversations.remove(conversation)

    async def _answer(self, answer: Answer) -> bool:
        """Send it; whether another request may follow on this connection."""
        headers = [("content-type", "application/json"), ("content-length", str(len(answer.body)))]
        await self._stream.send_all(
            b"".join(
                self._http.send(part) or b""
                for part in (
                    h11.Response(status_code=answer.status, headers=headers),
                    h11.Data(data=answer.body),
                    h11.EndOfMessage(),
                )
            )
        )
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True
