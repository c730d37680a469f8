"""The client's second encoding: against our own server, and against one that lies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import trio
import zstandard
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from monitor.client import LinkState, open_client
from monitor.client.zstd import dictionary_path, fetch_dictionary
from monitor.dictionary import Dictionary, shipped_dictionary
from monitor.errors import PeerError
from tests.client.server import state
from tests.serve.running import Server, running, sign

OTHER = Dictionary(b'{"push":{"channel":"chat:room","pub":{"data":' * 20)


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


async def encoding_of(server: Server, *, zstd: bool = True) -> str:
    async with open_client(url(server), reconnect=False, zstd=zstd) as client:
        encoding: str = (await client.rpc("me"))["encoding"]
        return encoding


@asynccontextmanager
async def with_dictionary(directory: Path, dictionary: Dictionary) -> AsyncIterator[Server]:
    path = directory / "own.zdict"
    path.write_bytes(dictionary.data)
    async with running(zstd_dictionary=path) as server:
        yield server


@pytest.mark.trio
async def test_zstd_is_spoken_unless_it_is_not_wanted(server: Server) -> None:
    assert await encoding_of(server) == "zstd"
    assert await encoding_of(server, zstd=False) == "plain"


@pytest.mark.trio
async def test_server_without_zstd_is_spoken_to_in_text() -> None:
    async with running(zstd=False) as server:
        assert await encoding_of(server) == "plain"


@pytest.mark.trio
async def test_publications_of_all_sizes_arrive(server: Server) -> None:
    async with open_client(url(server)) as client:
        subscription = await client.subscribe("chat:room")
        for size in (0, 100, 10_000, 300_000):
            await server.publish("chat:room", "é" * size)
            assert (await anext(subscription)).data == "é" * size


@pytest.mark.trio
async def test_dictionary_of_the_server_is_fetched_once_and_kept(tmp_path: Path) -> None:
    async with (
        with_dictionary(tmp_path, OTHER) as server,
        open_client(url(server), sign(sub="ada")) as client,
    ):
        assert (await client.rpc("me"))["encoding"] == "zstd"
        connected = client.status
        await server.api("disconnect", user="ada", disconnect={"code": 3001, "reason": "shutdown"})
        await client.status_after(connected)
        assert (await client.rpc("me"))["encoding"] == "zstd"
        accepted = (await server.get("/metrics")).body.decode()
        # Two upgrades and one fetch at first, one upgrade after that, the call above and this one.
        assert "lanecast_connections_total 6.0" in accepted


def test_dictionary_is_found_beside_the_endpoint() -> None:
    path = dictionary_path("wss://example.test/desk/connection/websocket", OTHER.id)
    assert path == f"/desk/dict/{OTHER.id}"


@pytest.mark.trio
async def test_dictionary_that_is_not_there_is_told(server: Server) -> None:
    endpoint = f"ws://127.0.0.1:{server.port}/connection/websocket"
    assert (await fetch_dictionary(endpoint, shipped_dictionary().id)) == shipped_dictionary()
    with pytest.raises(PeerError, match=r"answered 404 for /dict/0123456789abcdef"):
        await fetch_dictionary(endpoint, "0123456789abcdef")


@dataclass
class Liar:
    """Accepts what is offered, or names another dictionary, and sends what it is told to."""

    hint: str = ""
    frames: list[bytes] = field(default_factory=list)
    offers: list[tuple[str, ...]] = field(default_factory=list)

    async def handle(self, request: WebSocketRequest) -> None:
        self.offers.append(tuple(request.proposed_subprotocols))
        if self.hint:
            socket = await request.accept(extra_headers=[(b"lanecast-dictionary", self.hint.encode())])
        else:
            socket = await request.accept(subprotocol=request.proposed_subprotocols[0])
        with suppress(ConnectionClosed):
            await self._talk(socket)

    async def _talk(self, socket: WebSocketConnection) -> None:
        while True:
            number = orjson.loads(await socket.get_message())["id"]
            await socket.send_message(b'{"id":%d,"connect":{"client":"c"}}'.decode() % number)
            for frame in self.frames:
                await socket.send_message(frame)


@asynccontextmanager
async def lying(liar: Liar) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(serve_websocket, liar.handle, "127.0.0.1", 0, None)
        yield f"http://127.0.0.1:{listening.port}"
        nursery.cancel_scope.cancel()


def packed(payload: bytes, *, level: int = 3, with_size: bool = True) -> bytes:
    dictionary = zstandard.ZstdCompressionDict(shipped_dictionary().data)
    return zstandard.ZstdCompressor(level=level, dict_data=dictionary, write_content_size=with_size).compress(
        payload
    )


@pytest.mark.trio
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"{}", "the server sent a frame that is not zstd, or damaged"),
        (b"", "the server sent a frame that is not zstd, or damaged"),
        (packed(b'{"push":{}}')[:-3], "the server sent a frame that is not zstd, or damaged"),
        (packed(b"{}") + b"{}", "the server sent a frame that is not zstd, or damaged"),
        (packed(b"not json"), "the server sent what is not JSON"),
        (packed(bytes(17_000_000)), "the server sent a frame of 17000000 bytes, at most 16777216 are taken"),
        (packed(bytes(17_000_000), with_size=False), "the server sent a frame that is not zstd, or damaged"),
    ],
    ids=["text", "empty", "cut", "more behind it", "no json", "bomb", "bomb without its size"],
)
async def test_bad_frame_ends_the_connection_with_its_reason(frame: bytes, reason: str) -> None:
    async with lying(Liar(frames=[frame])) as address, open_client(address, reconnect=False) as client:
        await state(client, LinkState.DISCONNECTED)
        assert client.status.reason.startswith(reason)


@pytest.mark.trio
@pytest.mark.parametrize("hint", ["0123456789abcdef", "../../etc/passwd", "-", "0123456789ABCDEF"])
async def test_dictionary_that_can_not_be_had_leaves_the_connection_plain(hint: str) -> None:
    liar = Liar(hint=hint)
    async with lying(liar) as address, open_client(address) as client:
        await state(client, LinkState.CONNECTED)
    assert len(liar.offers) == (2 if hint == "0123456789abcdef" else 1)


@pytest.mark.trio
async def test_dictionary_that_is_not_what_its_name_says_is_not_used(tmp_path: Path) -> None:
    async with with_dictionary(tmp_path, OTHER) as server:
        endpoint = f"ws://127.0.0.1:{server.port}/connection/websocket"
        async with trio.open_nursery() as nursery:
            forged = await nursery.start(_serve_forged, OTHER.data + b"!")
            with pytest.raises(PeerError, match="is another one"):
                await fetch_dictionary(f"ws://127.0.0.1:{forged}/connection/websocket", OTHER.id)
            nursery.cancel_scope.cancel()
        assert (await fetch_dictionary(endpoint, OTHER.id)) == OTHER


async def _serve_forged(body: bytes, *, task_status: trio.TaskStatus[int]) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(answer, listeners)


@pytest.mark.trio
async def test_endless_dictionary_is_not_read_to_its_end() -> None:
    async with trio.open_nursery() as nursery:
        port = await nursery.start(_serve_forged, bytes(2_000_000))
        with pytest.raises(PeerError, match="more than 1048576 bytes"):
            await fetch_dictionary(f"ws://127.0.0.1:{port}/connection/websocket", OTHER.id)
        nursery.cancel_scope.cancel()
