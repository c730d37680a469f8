"""The front door: one port for the page, the API, the probes and the WebSocket.

h11 reads requests; what is wrong with one is answered with a 4xx and a sentence, and costs
nobody else anything. A request has a deadline and bounds on its head and its body.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

import h11
import trio

from monitor.address import ENDPOINT
from monitor.broadcast.frames import Deflate, Encoding
from monitor.dictionary import PATH as DICTIONARY_PATH
from monitor.health.metrics import CONTENT_TYPE, Exposition
from monitor.serve import dictionary, http
from monitor.serve.admission import neighbourhood
from monitor.serve.api import Api
from monitor.serve.connection import Connection
from monitor.serve.drain import drain
from monitor.serve.entrance import Entrance
from monitor.serve.files import Files
from monitor.serve.house import House
from monitor.serve.http import RETRY_LATER, HttpError, Request, Response
from monitor.serve.origin import Origins
from monitor.serve.proxy import Proxies
from monitor.serve.session import Session
from monitor.serve.upgrade import choose_window, read_upgrade, upgrade_response
from monitor.serve.websocket import WebSocket
from monitor.turn import Turn
from monitor.turnstile import SHARE_NS, Turnstile

_log = logging.getLogger("lanecast.front")

HEAD_BYTES = 16_384
KEEP_ALIVE_SECONDS = 75
REFUSAL_SECONDS = 2.0
"""For the answer to a bad request, and for the client to take notice."""
LAST_ANSWER_SECONDS = 0.5
"""For requests under way when the last client has left; idle connections end with them."""
SPARE_SOCKETS = 512
"""Beyond `limits.connections`, for the API, the page and those who are told that the house is full."""


class FrontDoor:
    def __init__(
        self,
        house: House,
        api: Api,
        files: Files,
        metrics: Exposition,
        connect: Callable[[socket.socket, str, Turnstile], Connection] = Connection,
    ) -> None:
        """`connect` makes a connection of an accepted socket and its peer's address."""
        self._house = house
        self._connect = connect
        self._api = api
        self._files = files
        self._metrics = metrics
        settings = house.settings
        self._limits = settings.limits
        self._origins = Origins(settings.host, settings.hosts, settings.origins)
        self._proxies = Proxies(settings.trusted_proxies)
        self._totals = house.hub.health.totals
        self._zstd = dictionary.load_zstd(house.settings)
        self._open_sockets = 0
        self._entrance = Entrance(house.turnstile)
        self.is_ready = False

    async def run(
        self,
        listeners: list[socket.socket],
        ending: trio.Event,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept until `ending`, then give the clients time to leave; cancelled, end them all at once.

        Accepting stops before serving does: no client is let in to a house that is closing.
        """
        trio.lowlevel.add_instrument(self._house.turnstile)
        async with trio.open_nursery() as serving:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    accepting.start_soon(self._entrance.accept, listener, partial(self._admit, serving))
                self.is_ready = True
                task_status.started()
                await ending.wait()
                self.is_ready = False
                accepting.cancel_scope.cancel()
            await drain(self._house.registry, self._house.settings.drain_seconds)
            serving.cancel_scope.deadline = trio.current_time() + LAST_ANSWER_SECONDS

    def _admit(self, serving: trio.Nursery, accepted: socket.socket, address: str) -> None:
        self._totals.accepted += 1
        try:
            connection = self._connect(accepted, address, self._house.turnstile)
        except OSError:
            # It may be gone by now.
            accepted.close()
            self._totals.refused["connection lost"] += 1
            return
        if self._open_sockets >= self._limits.connections + SPARE_SOCKETS:
            self._totals.refused["sockets"] += 1
            connection.close()
            return
        if not (self._proxies.is_one(address) or self._house.admission.open_socket(address)):
            connection.close()
            return
        self._open_sockets += 1
        self._entrance.silent += 1
        serving.start_soon(self._serve, connection)

    async def _serve(self, connection: Connection) -> None:
        address = connection.address
        try:
            session = await self._open(connection)
            if session is not None:
                await session.run()
        except ssl.SSLError as error:
            _log.debug("a connection from %s ended: %s", connection.address, error)
            self._totals.refused["tls"] += 1
        except OSError:
            self._totals.refused["connection lost"] += 1
        except Exception:
            # One client's failure stays with that client; this is a defect of ours, so it is loud.
            _log.exception("a connection from %s failed", connection.address)
            self._house.hub.health.note_failed("a defect of the server", neighbourhood(connection.address))
        finally:
            connection.close()
            self._open_sockets -= 1
            if not self._proxies.is_one(address):
                self._house.admission.close_socket(address)

    async def _open(self, connection: Connection) -> Session | None:
        """The session of a client that asks for one; others are served until they leave."""
        accepted = trio.current_time()
        deadline = self._house.timers.after(self._limits.handshake_seconds, connection.close)
        try:
            first = await connection.receive()
        except trio.ClosedResourceError:
            self._totals.refused["handshake_seconds"] += 1
            return None
        finally:
            self._entrance.silent -= 1
            deadline.cancel()
        peer = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        if (found := read_upgrade(first)) is not None:
            try:
                return await self._upgrade(connection, *found)
            except HttpError as error:
                await self._refuse(connection, peer, found[0], error)
                return None
        peer.receive_data(first)
        return await self._serve_requests(connection, peer, accepted)

    async def _serve_requests(
        self, connection: Connection, peer: h11.Connection, begun: float
    ) -> Session | None:
        """Answer requests until the client leaves; returns a session if one was an upgrade.

        `begun` is since when the first one is waited for.
        """
        head: Request | None = None
        try:
            while True:
                with _deadline(begun, self._limits.handshake_seconds, "handshake_seconds"):
                    head = await _read_head(connection, peer)
                if head is None:
                    return None
                if head.path == ENDPOINT:
                    return await self._upgrade(connection, head, peer.trailing_data[0])
                if not await self._serve_request(connection, peer, head):
                    return None
                head, begun = None, trio.current_time()
        except trio.TooSlowError:
            self._totals.refused["write_seconds"] += 1
        except h11.RemoteProtocolError as error:
            await self._refuse(connection, peer, head, _misread(error))
        except HttpError as error:
            await self._refuse(connection, peer, head, error)
        return None

    async def _serve_request(self, connection: Connection, peer: h11.Connection, head: Request) -> bool:
        """Answer it, and wait for the next one; False if none comes."""
        self._origins.check_host(head.headers)
        with _deadline(trio.current_time(), self._limits.body_seconds, "body_seconds"):
            body = await self._read_body(connection, peer, head)
        response = await self._answer(replace(head, body=body))
        connection.is_backend = head.path.startswith("/api/") and response.status == 200
        await self._respond(connection, peer, head, response)
        if peer.our_state is not h11.DONE or peer.their_state is not h11.DONE:
            return False
        peer.start_next_cycle()
        return await _wait_next(connection, peer)

    async def _read_body(self, connection: Connection, peer: h11.Connection, head: Request) -> bytes:
        _check_framing(head)
        self._check_length(int(head.headers.get("content-length", "0")))
        body, turn = bytearray(), Turn(SHARE_NS)
        while isinstance(event := await _next_event(connection, peer), h11.Data):
            body += event.data
            self._check_length(len(body))
            # What was read at once may be thousands of chunks.
            if turn.is_over:
                await turn.give_way()
                await self._house.turnstile.enter(is_backend=connection.is_backend)
        return bytes(body)

    def _check_length(self, length: int) -> None:
        if length > self._limits.body_bytes:
            raise HttpError(
                413,
                f"the body has {length} bytes, at most {self._limits.body_bytes} (limits.body_bytes)",
                cause="body_bytes",
            )

    async def _upgrade(self, connection: Connection, request: Request, early: bytes) -> Session:
        """Answer an upgrade; `early` is what came behind it. Raises HttpError."""
        self._origins.check_host(request.headers)
        if request.method != "GET":
            raise HttpError(405, f"method {request.method}: this path takes GET", (("Allow", "GET"),))
        self._origins.check_origin(request.headers)
        connection.address = self._proxies.peer(connection.address, request.headers)
        if not self.is_ready:
            raise HttpError(503, "the server is ending", RETRY_LATER)
        self._house.admission.check_address(connection.address)
        if "protobuf" in request.query or "protobuf" in request.headers.get("sec-websocket-protocol", ""):
            raise HttpError(400, "the protobuf protocol is not spoken here: use JSON")
        encoding = self._encoding(request)
        window_bits = encoding.window_bits if isinstance(encoding, Deflate) else None
        more = dictionary.upgrade_headers(self._zstd, request.headers)
        await connection.send_all(upgrade_response(request.headers, window_bits=window_bits, more=more))
        websocket = WebSocket(
            is_deflated=window_bits is not None,
            limit_bytes=self._limits.message_bytes,
            early=early,
        )
        return Session(self._house, connection, websocket, encoding)

    def _encoding(self, request: Request) -> Encoding:
        if self._zstd is not None and dictionary.is_offered(self._zstd, request.headers):
            return self._zstd
        return self._house.hub.outflow.encodings[
            choose_window(request.headers.get("sec-websocket-extensions", ""))
        ]

    async def _answer(self, request: Request) -> Response:
        # A WebSocket command that was read in the same turn, an unsubscribe say, comes first;
        # and who sends hundreds of requests at once gives way after each.
        await trio.lowlevel.checkpoint()
        try:
            return await self._route(request)
        except HttpError as error:
            return self._refusal(error)

    def _refusal(self, error: HttpError, *more_headers: tuple[str, str]) -> Response:
        self._totals.refused[error.cause] += 1
        return http.text(error.status, str(error), (*error.headers, *more_headers))

    async def _route(self, request: Request) -> Response:
        if request.path.startswith("/api/"):
            _check_method(request, "POST")
            self._origins.check_origin(request.headers)
            self._api.check_key(request)
            return await self._api.answer(request.path.removeprefix("/api/"), request)
        _check_method(request, "GET", "HEAD")
        match request.path:
            case "/":
                return self._files.answer("index.html", request)
            case "/healthz":
                return http.text(200, "ok")
            case "/readyz":
                return http.text(200, "ready") if self.is_ready else http.text(503, "ending")
            case "/metrics":
                return Response(200, await self._metrics.text(), CONTENT_TYPE)
            case path if path.startswith("/static/"):
                return self._files.answer(path.removeprefix("/static/"), request)
            case path if path.startswith(DICTIONARY_PATH):
                return dictionary.answer(self._zstd, path.removeprefix(DICTIONARY_PATH))
        raise HttpError(404, f"nothing is at {request.path}")

    async def _respond(
        self, connection: Connection, peer: h11.Connection, head: Request | None, response: Response
    ) -> None:
        data = _bytes(
            peer,
            h11.Response(
                status_code=response.status,
                headers=response.all_headers(
                    is_encrypted=connection.is_encrypted, host=head.headers.get("host", "") if head else ""
                ),
                reason=HTTPStatus(response.status).phrase,
            ),
        )
        if response.body and not (head and head.method == "HEAD"):
            data += _bytes(peer, h11.Data(data=response.body))
        data += _bytes(peer, h11.EndOfMessage())
        await connection.send_all(data, stall_seconds=self._limits.write_seconds)

    async def _refuse(
        self, connection: Connection, peer: h11.Connection, head: Request | None, error: HttpError
    ) -> None:
        """Answer a bad request and end the connection: what follows it can't be trusted."""
        response = self._refusal(error, ("Connection", "close"))
        if peer.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with trio.move_on_after(REFUSAL_SECONDS):
                await self._respond(connection, peer, head, response)
                await connection.finish()


def _request(head: h11.Request) -> Request:
    path, _, query = head.target.decode("latin-1").partition("?")
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Request(head.method.decode("latin-1"), path, query, headers)


def _misread(error: h11.RemoteProtocolError) -> HttpError:
    """What can't be read as a request; of a head that is too long the limit is named."""
    status = error.error_status_hint
    if status != HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
        return HttpError(status, str(error))
    return HttpError(status, f"the request's head has more than {HEAD_BYTES} bytes", cause="head_bytes")


def _check_method(request: Request, *allowed: str) -> None:
    if request.method not in allowed:
        names = ", ".join(allowed)
        raise HttpError(405, f"method {request.method}: {request.path} takes {names}", (("Allow", names),))


def _check_framing(request: Request) -> None:
    """Raise HttpError 400 for a body of which a proxy before us may see another end than we do."""
    if {"content-length", "transfer-encoding"} <= request.headers.keys():
        raise HttpError(400, "content-length and transfer-encoding: let one of them say how long the body is")


async def _wait_next(connection: Connection, peer: h11.Connection) -> bool:
    """Wait for the beginning of another request; False if none comes for too long."""
    if peer.trailing_data[0]:
        return True
    with trio.move_on_after(KEEP_ALIVE_SECONDS):
        peer.receive_data(await connection.receive())
        return True
    return False


@contextmanager
def _deadline(begun: float, seconds: float, cause: str) -> Iterator[None]:
    try:
        with trio.fail_at(begun + seconds):
            yield
    except trio.TooSlowError:
        raise HttpError(408, f"the request took longer than {seconds:g} s ({cause})", cause=cause) from None


def _bytes(peer: h11.Connection, event: h11.Event) -> bytes:
    return peer.send(event) or b""


async def _next_event(connection: Connection, peer: h11.Connection) -> Any:
    while (event := peer.next_event()) is h11.NEED_DATA:
        if peer.they_are_waiting_for_100_continue:
            await connection.send_all(_bytes(peer, h11.InformationalResponse(status_code=100, headers=[])))
        peer.receive_data(await connection.receive())
    return event


async def _read_head(connection: Connection, peer: h11.Connection) -> Request | None:
    """The next request without its body; None once the client ends."""
    event = await _next_event(connection, peer)
    return _request(event) if isinstance(event, h11.Request) else None
