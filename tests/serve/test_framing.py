import pytest
import trio
import trio.testing

from tests.serve.running import KEYS, Server, running
from tests.serve.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, UPGRADE, Client, frame, request


@pytest.mark.trio
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_several_commands_in_one_message_are_answered_in_order(server: Server, opcode: int) -> None:
    client = await server.upgraded()
    await client.say_raw(
        b'{"id":1,"connect":{}}\n\n{"id":2,"subscribe":{"channel":"chat:a"}}\n'
        b' {"id":3,"publish":{"channel":"chat:a","data":"x"}}\r\n'
        b'{"id":4,"unsubscribe":{"channel":"chat:a"}}\n',
        opcode=opcode,
    )
    documents = [await client.document() for _ in range(5)]
    replies = [document["id"] for document in documents if "id" in document]
    pushes = [number for number, document in enumerate(documents) if "push" in document]
    assert replies == [1, 2, 3, 4]
    assert pushes in ([2], [3])
    assert all(got.opcode == TEXT for got in client.frames)


@pytest.mark.trio
@pytest.mark.parametrize(
    "payload", [b"", b"\n", b" \n\r\n ", b"{", b"\x00", b"{}{}", b"\xef\xbb\xbf{}"], ids=repr
)
async def test_garbage_is_a_terminal_close_for_that_client_only(server: Server, payload: bytes) -> None:
    witness = await server.subscriber("chat:a")
    for before_connect in (True, False):
        client = await (server.upgraded() if before_connect else server.client())
        await client.say_raw(payload)
        assert (await client.closing())[0] == 3501
    await server.publish("chat:a", 1)
    assert await witness.publication() == 1


@pytest.mark.trio
async def test_deep_nesting_is_bad_and_no_crash(server: Server) -> None:
    client = await server.client()
    await client.say_raw(b'{"id":2,"rpc":{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}}")
    assert (await client.closing())[0] == 3501


@pytest.mark.trio
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"{}", mask=b""), 1002),
        (frame(3, b"{}"), 1002),
        (frame(TEXT, b"{}", rsv=4), 1002),
        (frame(TEXT, b"{}", rsv=2), 1002),
        (frame(CONTINUATION, b"{}"), 1002),
        (frame(TEXT, b"{", is_final=False) + frame(TEXT, b"}"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", is_final=False), 1002),
        (frame(CLOSE, b"\x03"), 1002),
    ],
    ids=[
        "utf-8",
        "unmasked",
        "opcode",
        "rsv1",
        "rsv2",
        "no start",
        "no end",
        "long ping",
        "split ping",
        "close",
    ],
)
async def test_frame_that_breaks_the_rules_ends_that_client_only(
    server: Server, data: bytes, code: int
) -> None:
    witness = await server.client()
    client = await server.client()
    await client.send(data)
    assert (await client.closing())[0] == code
    assert await witness.is_alive()


@pytest.mark.trio
async def test_message_in_pieces_with_a_ping_between_is_one_message(server: Server) -> None:
    client = await server.client()
    await client.send(
        frame(TEXT, b'{"id":77,', is_final=False)
        + frame(CONTINUATION, b"", is_final=False)
        + frame(PING, b"are you there")
        + frame(CONTINUATION, b'"ping":{}', is_final=False)
        + frame(CONTINUATION, b"}")
    )
    pong = await client.frame()
    assert (pong.opcode, pong.payload) == (PONG, b"are you there")
    assert await client.document() == {"id": 77, "ping": {}}


@pytest.mark.trio
async def test_message_may_come_byte_by_byte(server: Server) -> None:
    client = await server.upgraded()
    for byte in frame(TEXT, b'{"id":1,"connect":{}}'):
        await client.send(bytes([byte]))
        await trio.testing.wait_all_tasks_blocked()
    assert (await client.document())["id"] == 1


@pytest.mark.trio
async def test_what_comes_behind_the_upgrade_in_one_segment_is_read(server: Server) -> None:
    client = Client(await server.dial())
    await client.send(
        request("GET", "/connection/websocket", UPGRADE) + frame(TEXT, b'{"id":1,"connect":{}}')
    )
    await client.take_until(b"\r\n\r\n")
    assert (await client.document())["id"] == 1


@pytest.mark.trio
async def test_close_is_answered_with_its_code_and_nothing_more(server: Server) -> None:
    client = await server.client()
    await client.send(frame(CLOSE, b"\x03\xe8bye") + frame(TEXT, b'{"id":2,"ping":{}}'))
    assert await client.closing() == (1000, "bye")


@pytest.mark.trio
async def test_unsubscribe_and_close_back_to_back_are_no_error(server: Server) -> None:
    client = await server.subscriber("chat:a")
    unsubscribe = frame(TEXT, b'{"id":9,"unsubscribe":{"channel":"chat:a"}}')
    await client.send(unsubscribe + frame(CLOSE, b"\x03\xe8"))
    assert await client.document() == {"id": 9, "unsubscribe": {}}
    assert (await client.closing())[0] == 1000


@pytest.mark.trio
async def test_client_that_leaves_mid_frame_is_forgotten(server: Server) -> None:
    witness = await server.subscriber("chat:a")
    client = await server.subscriber("chat:a")
    await client.send(frame(TEXT, b'{"id":2,"ping":{}}')[:5])
    await client.stream.aclose()
    while len((await witness.call("presence", channel="chat:a"))["presence"]) > 1:
        await trio.testing.wait_all_tasks_blocked()
    await server.publish("chat:a", 1)
    assert await witness.publication() == 1


@pytest.mark.trio
@pytest.mark.parametrize("is_split", [False, True])
async def test_message_beyond_the_limit_is_1009_and_up_to_it_is_not(is_split: bool) -> None:
    async with running(limits={"message_bytes": 1_024}) as server:
        witness = await server.client()
        client = await server.client()
        command = b'{"id":2,"rpc":{"data":"%s"}}'
        fits = command % (b"x" * (1_024 - len(command) + 2))
        await client.say_raw(fits)
        assert (await client.document())["error"]["code"] == 108
        for part in _split(fits + b" ") if is_split else [frame(TEXT, fits + b" ")]:
            await client.send(part)
        assert (await client.closing())[0] == 1009
        assert await witness.is_alive()
        metrics = (await server.get("/metrics", X_API_Key=KEYS.api)).body
        assert b'lanecast_refused_total{cause="message_bytes"} 1.0' in metrics


def _split(payload: bytes) -> list[bytes]:
    parts = [payload[start : start + 100] for start in range(0, len(payload), 100)]
    return [
        frame(CONTINUATION if number else TEXT, part, is_final=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]


@pytest.mark.trio
async def test_goodbye_reaches_a_client_that_is_still_sending(server: Server) -> None:
    client = await server.client()
    await client.send(frame(TEXT, b"x" * 2_000_000))
    assert await client.closing() == (1009, "message is longer than 65536 bytes")
