import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import zstandard

from monitor.app import serve
from monitor.config import Settings
from monitor.control import Control
from monitor.dictionary import shipped_dictionary
from monitor.errors import ConfigError
from monitor.keyring import Keyring
from tests.serve.running import KEYS, Server, running
from tests.serve.wire import BINARY, TEXT, Client

OURS = shipped_dictionary()
STRANGE = "lanecast.zstd.0123456789abcdef"


def unpacker(dictionary: bytes) -> Callable[[bytes], bytes]:
    prepared = zstandard.ZstdCompressionDict(dictionary)
    return zstandard.ZstdDecompressor(dict_data=prepared).decompress


async def zstd_client(server: Server, offers: str = OURS.subprotocol, extensions: str = "") -> Client:
    client = Client(await server.dial())
    head = await client.upgrade(extensions, offers)
    assert f"Sec-WebSocket-Protocol: {OURS.subprotocol}\r\n".encode() in head
    client.unpack = unpacker(OURS.data)
    await client.connect()
    return client


@pytest.mark.trio
@pytest.mark.parametrize(
    "offers", [OURS.subprotocol, f"{STRANGE}, {OURS.subprotocol}", f"a,{OURS.subprotocol}"]
)
async def test_offer_of_our_dictionary_is_accepted_and_all_that_is_sent_is_zstd(
    server: Server, offers: str
) -> None:
    client = await zstd_client(server, offers)
    await client.call("subscribe", channel="chat:a")
    await server.publish("chat:a", {"text": "lane " * 100})
    assert await client.publication() == {"text": "lane " * 100}
    assert {got.opcode for got in client.frames} == {BINARY}
    assert (await client.call("rpc", method="me"))["data"]["encoding"] == "zstd"


@pytest.mark.trio
async def test_deflate_is_not_negotiated_along_with_it(server: Server) -> None:
    client = Client(await server.dial())
    head = await client.upgrade("permessage-deflate", OURS.subprotocol)
    assert b"Sec-WebSocket-Extensions" not in head


@pytest.mark.trio
async def test_clients_share_a_frame(server: Server) -> None:
    clients = [await zstd_client(server) for _ in range(2)]
    for client in clients:
        await client.call("subscribe", channel="chat:a")
    await server.publish("chat:a", 1)
    for client in clients:
        assert await client.publication() == 1
    assert clients[0].frames[-1].payload == clients[1].frames[-1].payload


@pytest.mark.trio
async def test_offer_of_another_dictionary_is_answered_in_plain_text_and_with_the_right_id(
    server: Server,
) -> None:
    client = Client(await server.dial())
    head = await client.upgrade("", STRANGE)
    assert b"Sec-WebSocket-Protocol" not in head
    assert f"Lanecast-Dictionary: {OURS.id}\r\n".encode() in head
    await client.connect()
    assert await client.is_alive()
    assert {got.opcode for got in client.frames} == {TEXT}


@pytest.mark.trio
@pytest.mark.parametrize("offers", ["", "centrifuge-json", "mqtt, chat"])
async def test_who_does_not_ask_for_zstd_hears_nothing_of_it(server: Server, offers: str) -> None:
    client = Client(await server.dial())
    head = await client.upgrade("", offers)
    assert b"Sec-WebSocket-Protocol" not in head
    assert b"Lanecast-Dictionary" not in head
    await client.connect()


@pytest.mark.trio
async def test_dictionary_is_served_for_ever_under_its_hash(server: Server) -> None:
    answer = await server.get(f"/dict/{OURS.id}")
    assert (answer.status, answer.body) == (200, OURS.data)
    assert hashlib.sha256(answer.body).hexdigest()[:16] == OURS.id
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    head = await server.get(f"/dict/{OURS.id}", "HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(OURS.data)), b"")
    current = await server.get("/dict/current")
    assert (current.status, current.headers["location"]) == (302, OURS.id)


@pytest.mark.trio
@pytest.mark.parametrize(
    "name", ["", "0123456789abcdef", f"{OURS.id}/", f"../dict/{OURS.id}", OURS.id.upper()]
)
async def test_no_other_name_is_below_it(server: Server, name: str) -> None:
    assert (await server.get(f"/dict/{name}")).status == 404
    assert (await server.post("../dict/current", b"")).status == 404


@pytest.mark.trio
async def test_it_can_be_switched_off() -> None:
    async with running(zstd=False) as server:
        client = Client(await server.dial())
        head = await client.upgrade("", OURS.subprotocol)
        assert b"Sec-WebSocket-Protocol" not in head
        assert b"Lanecast-Dictionary" not in head
        assert (await server.get(f"/dict/{OURS.id}")).status == 404
        assert (await server.get("/dict/current")).status == 404


@pytest.mark.trio
async def test_metrics_count_clients_by_encoding(server: Server) -> None:
    await zstd_client(server)
    await server.client()
    metrics = (await server.get("/metrics")).body.decode()
    assert 'lanecast_clients_encoding{encoding="zstd"} 1.0' in metrics
    assert 'lanecast_clients_encoding{encoding="plain"} 1.0' in metrics


@pytest.mark.trio
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "own.zdict can't be read: No such file or directory"),
        (b"", "own.zdict has 0 bytes, must have 1 to 1048576"),
        (bytes(1_048_577), "own.zdict has 1048577 bytes"),
        (OURS.data[:8] + b"x" * 100, "own.zdict: zstd does not take it"),
    ],
    ids=["missing", "empty", "too long", "broken"],
)
async def test_wrong_dictionary_stops_the_start(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "own.zdict"
    if content is not None:
        path.write_bytes(content)
    with pytest.RaisesGroup(pytest.RaisesExc(ConfigError, match=sentence), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(
                serve, Settings(port=0, data_dir=tmp_path, zstd_dictionary=path), Keyring(KEYS), Control()
            )
