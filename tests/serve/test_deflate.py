import random
import tracemalloc
import zlib

import orjson
import pytest

from tests.serve.running import Server, running
from tests.serve.wire import CONTINUATION, PING, PONG, TEXT, Client, deflate, frame, inflate

OFFER = "permessage-deflate; client_max_window_bits"
ACCEPTED = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.trio
@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        OFFER,
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=12",
        'permessage-deflate; server_max_window_bits="15"; client_max_window_bits=8',
        "x-webkit-deflate-frame, permessage-deflate",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
    ],
)
async def test_offer_that_can_be_kept_is_accepted(server: Server, offer: str) -> None:
    client = Client(await server.dial())
    assert ACCEPTED in await client.upgrade(offer)


@pytest.mark.trio
@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=\u0661",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-bzip2",
        "; ; ,",
    ],
)
async def test_offer_that_can_not_be_kept_is_declined_and_the_connection_plain(
    server: Server, offer: str
) -> None:
    client = await server.client(extensions=offer)
    await client.call("subscribe", channel="chat:a")
    await server.publish("chat:a", "x" * 1_000)
    assert await client.publication() == "x" * 1_000
    assert not any(got.is_compressed for got in client.frames)


@pytest.mark.trio
@pytest.mark.parametrize(("asked", "told"), [("9", 9), ("11", 11), ("15", 12)])
async def test_window_is_the_one_that_is_told_and_no_larger_than_asked(
    server: Server, asked: str, told: int
) -> None:
    client = Client(await server.dial())
    head = await client.upgrade(f"permessage-deflate; server_max_window_bits={asked}")
    assert b"; server_max_window_bits=%d\r\n" % told in head
    await client.connect()
    await client.call("subscribe", channel="chat:a")
    far_apart = [
        random.Random(1).randbytes(300).hex(),
        *(random.Random(2).randbytes(400).hex() for _ in "ab"),
    ]
    await server.publish("chat:a", far_apart)
    frame = await client.frame()
    assert frame.is_compressed
    inflater = zlib.decompressobj(-told)
    document = inflater.decompress(frame.payload + b"\0\0\xff\xff")
    assert orjson.loads(document)["push"]["pub"]["data"] == far_apart


@pytest.mark.trio
async def test_level_0_negotiates_nothing() -> None:
    async with running(compression_level=0) as server:
        client = await server.client(extensions=OFFER)
        assert (await client.call("rpc", method="me"))["data"]["encoding"] == "plain"


@pytest.mark.trio
async def test_what_an_encoding_saves_is_counted_for_each_client(server: Server) -> None:
    packed = [await server.subscriber("chat:a", extensions=OFFER) for _ in range(2)]
    await server.publish("chat:a", "lane " * 200)
    for client in packed:
        await client.publication()
    frame_bytes = 2 + len(packed[0].frames[-1].payload)
    payload_bytes = len(inflate(packed[0].frames[-1].payload))
    exposed = (await server.get("/metrics")).body.decode().splitlines()
    assert f'lanecast_frame_bytes_total{{encoding="deflate"}} {2 * frame_bytes:.1f}' in exposed
    assert f'lanecast_payload_bytes_total{{encoding="deflate"}} {2 * payload_bytes:.1f}' in exposed


@pytest.mark.trio
async def test_each_compressed_frame_stands_alone_and_holds_what_the_plain_one_does(server: Server) -> None:
    plain = await server.subscriber("chat:a")
    packed = [await server.subscriber("chat:a", extensions=OFFER) for _ in range(2)]
    for number in range(3):
        await server.publish("chat:a", {"number": number, "text": "lane " * 200})
    documents = [await plain.raw_document() for _ in range(3)]
    frames = []
    for client in packed:
        received = [await client.frame() for _ in documents]
        assert all(got.is_compressed for got in received)
        frames.append([got.payload for got in received])
    assert frames[0] == frames[1]
    assert [inflate(payload) for payload in frames[0]] == documents
    assert len(frames[0][0]) < len(documents[0]) / 10


@pytest.mark.trio
async def test_frame_that_would_not_get_shorter_is_left_alone(server: Server) -> None:
    client = await server.client(extensions=OFFER)
    assert await client.is_alive()
    assert not client.frames[-1].is_compressed


@pytest.mark.trio
async def test_compressed_command_is_read(server: Server) -> None:
    client = await server.client(extensions=OFFER)
    for number in range(2, 5):
        await client.send(frame(TEXT, deflate(b'{"id":%d,"ping":{}}' % number), rsv=4))
        assert await client.document() == {"id": number, "ping": {}}
    await client.say({"id": 9, "ping": {}})
    assert (await client.document())["id"] == 9


@pytest.mark.trio
async def test_compressed_message_in_pieces_with_a_ping_between_is_one_message(server: Server) -> None:
    client = await server.client(extensions=OFFER)
    packed = deflate(orjson.dumps({"id": 7, "rpc": {"data": list(range(500))}}))
    await client.send(
        frame(TEXT, packed[:100], is_final=False, rsv=4)
        + frame(PING, b"still there")
        + frame(CONTINUATION, b"", is_final=False)
        + frame(CONTINUATION, packed[100:])
    )
    pong = await client.frame()
    assert (pong.opcode, pong.payload, pong.is_compressed) == (PONG, b"still there", False)
    assert (await client.document())["error"]["code"] == 108


@pytest.mark.trio
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff\xff\xff", rsv=4), 1007),
        (frame(TEXT, deflate(b"\xff\xfe"), rsv=4), 1007),
        (frame(PING, b"x", rsv=4), 1002),
        (frame(TEXT, deflate(b"{}"), is_final=False, rsv=4) + frame(CONTINUATION, b"", rsv=4), 1002),
        (frame(TEXT, deflate(b"{}"), rsv=6), 1002),
        (frame(TEXT, deflate(b""), rsv=4), 3501),
    ],
    ids=["no deflate", "utf-8", "packed ping", "rsv1 in the middle", "rsv2", "empty"],
)
async def test_broken_compression_ends_that_client_only(server: Server, data: bytes, code: int) -> None:
    witness = await server.client(extensions=OFFER)
    client = await server.client(extensions=OFFER)
    await client.send(data)
    assert (await client.closing())[0] == code
    assert await witness.is_alive()


@pytest.mark.trio
async def test_bomb_is_1009_and_is_never_inflated(server: Server) -> None:
    bomb = deflate(bytes(60_000_000))
    assert len(bomb) < 65_536
    witness = await server.client()
    client = await server.client(extensions=OFFER)
    tracemalloc.start()
    try:
        await client.send(frame(TEXT, bomb, rsv=4))
        assert (await client.closing())[0] == 1009
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert await witness.is_alive()


@pytest.mark.trio
async def test_stream_that_says_it_is_over_is_no_way_around_the_limit(server: Server) -> None:
    client = await server.client(extensions=OFFER)
    packer = zlib.compressobj(wbits=-15)
    finished = packer.compress(b'{"id":2,"ping":{}}') + packer.flush(zlib.Z_FINISH)
    await client.send(frame(TEXT, finished, rsv=4))
    assert await client.document() == {"id": 2, "ping": {}}
    await client.send(frame(TEXT, finished + bytes(1_000_000), rsv=4))
    assert (await client.closing())[0] == 1009
