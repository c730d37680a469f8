from typing import Any

import pytest

from monitor.serve.channels import NESTING_MAX
from tests.serve.running import KEYS, NAMESPACES, Server, running, sign

LONG_NUMBERS = b'{ "id":12345678901234567890123,"price":0.10000000000000000000001,"e":1E+2, "dup":1,"dup":2 }'


@pytest.mark.trio
async def test_publisher_gets_its_own_publication_with_who_it_is(server: Server) -> None:
    ann = await server.subscriber("chat:a", token=sign(sub="ann", info={"name": "Ann"}))
    bob = await server.subscriber("chat:a")
    assert await ann.call("publish", channel="chat:a", data={"n": 1}) == {}
    info = {"user": "ann", "client": ann.id, "conn_info": {"name": "Ann"}}
    assert (await bob.push())["pub"] == {"data": {"n": 1}, "offset": 1, "info": info}
    assert (await ann.push())["pub"]["info"] == info


@pytest.mark.trio
@pytest.mark.parametrize(
    ("token", "request_", "code"),
    [
        ("", {"channel": "chat:a", "data": None}, 0),
        ("", {"channel": "chat:a"}, 107),
        ("", {"channel": "nowhere:a", "data": 1}, 102),
        ("", {"channel": "experiment:a", "data": 1}, 103),
        ("", {"channel": "book:sim.X", "data": 1}, 103),
        ("", {"channel": "$chat:a", "data": 1}, 103),
        (sign(KEYS.operator, sub="root"), {"channel": "experiment:a", "data": 1}, 0),
        (sign(KEYS.operator, sub="root"), {"channel": "book:sim.X", "data": 1}, 107),
    ],
    ids=str,
)
async def test_publishing_needs_the_right_the_channel_and_data(
    server: Server, token: str, request_: dict[str, Any], code: int
) -> None:
    client = await server.client(token)
    assert await client.refusal("publish", **request_) == code
    assert await client.is_alive()


@pytest.mark.trio
@pytest.mark.parametrize("method", ["publish", "history", "presence", "presence_stats"])
async def test_empty_channel_is_a_terminal_close(server: Server, method: str) -> None:
    client = await server.client()
    await client.say({"id": 2, method: {"channel": "", "data": 1}})
    assert (await client.closing())[0] == 3501


@pytest.mark.trio
async def test_all_plain_subscribers_get_the_same_bytes(server: Server) -> None:
    clients = [await server.subscriber("chat:a") for _ in range(3)]
    publisher = clients[0]
    await publisher.call("publish", channel="chat:a", data=1)
    await server.publish("chat:a", {"x": [1, 2]}, tags={"kind": "t"})
    received = [[await client.raw_document() for _ in range(2)] for client in clients[1:]]
    assert received[0] == received[1]
    assert received[0][1] == (
        b'{"push":{"channel":"chat:a","pub":{"data":{"x":[1,2]},"offset":2,"tags":{"kind":"t"}}}}'
    )


@pytest.mark.trio
async def test_payload_passes_byte_for_byte_but_for_raw_newlines(server: Server) -> None:
    listener = await server.subscriber("chat:a")
    publisher = await server.client()
    await publisher.say_raw(b'{"id":2,"publish":{"channel":"chat:a","data":' + LONG_NUMBERS + b"}}")
    assert LONG_NUMBERS in await listener.raw_document()
    pretty = b'{"channel":"chat:a","data":{\n  "text": "a\\nb",\r\n  "n": 12345678901234567890123\n}}'
    assert (await server.post("publish", pretty)).status == 200
    assert b'"data":{  "text": "a\\nb",\r  "n": 12345678901234567890123}' in await listener.raw_document()
    history = await server.post("history", b'{"channel":"chat:a","limit":-1}')
    assert LONG_NUMBERS in history.body


@pytest.mark.trio
@pytest.mark.parametrize("payload", [b'"\xff"', b'{"\xff":1}', b'"\xed\xa0\x80"', b"[1", b'"\x01"', b"01"])
async def test_payload_that_is_no_json_reaches_nobody(server: Server, payload: bytes) -> None:
    listener = await server.subscriber("chat:a")
    publisher = await server.client()
    await publisher.say_raw(b'{"id":2,"publish":{"channel":"chat:a","data":' + payload + b"}}", opcode=2)
    assert (await publisher.closing())[0] == 3501
    answer = await server.post("publish", b'{"channel":"chat:a","data":' + payload + b"}")
    assert answer.status == 400
    assert await listener.kept() == []


@pytest.mark.trio
async def test_what_is_nested_too_deeply_to_be_told_again_is_refused_at_the_door() -> None:
    states = NAMESPACES | {"state": {"publish": True, "delivery": "state"}}
    update = b'{"type":"order_update","market":"my.X","side":"buy","price":"1","size":"1","status":"NEW",%s}'
    async with running(namespaces=states) as server:
        client = await server.client(sign(sub="ann"))
        for levels, code in ((NESTING_MAX, 0), (NESTING_MAX + 1, 107), (900, 107)):
            list_ = b"[" * (levels - 1) + b"]" * (levels - 1)
            body = update % (b'"order":"%d","note":%s' % (levels, list_))
            answers = [
                await server.post("publish", b'{"channel":"orders:ann","data":%s}' % body),
                await server.post("map_publish", b'{"channel":"open_orders:ann","key":"k","data":%s}' % body),
                await server.post("publish", b'{"channel":"state:a","data":{"a":%s}}' % list_),
            ]
            assert [answer.json().get("error", {"code": 0})["code"] for answer in answers] == [code] * 3
            await client.say_raw(
                b'{"id":%d,"publish":{"channel":"state:a","data":{"a":%s}}}' % (levels, list_)
            )
            assert (await client.document()).get("error", {"code": 0})["code"] == code
        for channel, text in (("orders:ann", '"order":"128"'), ("state:a", "[[[")):
            await client.say({"id": 9, "subscribe": {"channel": channel}})
            assert text.encode() in await client.raw_document()


@pytest.mark.trio
async def test_presence_shows_who_is_there_and_forgets_who_left(server: Server) -> None:
    ann = await server.subscriber("chat:a", token=sign(sub="ann", info=1))
    again = await server.subscriber("chat:a", token=sign(sub="ann"))
    bob = await server.subscriber("chat:a")
    present = (await bob.call("presence", channel="chat:a"))["presence"]
    assert set(present) == {ann.id, again.id, bob.id}
    assert present[ann.id] == {"user": "ann", "client": ann.id, "conn_info": 1}
    assert present[bob.id] == {"user": "", "client": bob.id}
    assert await bob.call("presence_stats", channel="chat:a") == {"num_clients": 3, "num_users": 2}
    await again.call("unsubscribe", channel="chat:a")
    await ann.send(b"\x88\x80\0\0\0\0")
    await ann.take_all()
    assert list((await bob.call("presence", channel="chat:a"))["presence"]) == [bob.id]
    assert await bob.call("presence_stats", channel="chat:b") == {"num_clients": 0, "num_users": 0}


@pytest.mark.trio
@pytest.mark.parametrize("method", ["presence", "presence_stats", "history"])
async def test_what_a_namespace_does_not_offer_is_not_available(server: Server, method: str) -> None:
    client = await server.client()
    assert await client.refusal(method, channel="experiment:a") == 108
    assert await client.refusal(method, channel="nowhere:a") == 102
    assert await client.refusal(method, channel="chat:" + "a" * 251) == 107
    assert await client.refusal(method, channel="orders:ann") == 103
    assert await client.refusal(method, channel="$chat:a") == 103


@pytest.fixture
async def filled(server: Server) -> Server:
    """A server whose chat:a holds publications 3 to 12 of 12."""
    for number in range(1, 13):
        await server.publish("chat:a", number)
    return server


@pytest.mark.trio
@pytest.mark.parametrize(
    ("request_", "numbers"),
    [
        ({}, []),
        ({"limit": 0}, []),
        ({"limit": -1}, list(range(3, 13))),
        ({"limit": 2}, [3, 4]),
        ({"limit": 2**64 - 1}, list(range(3, 13))),
        ({"limit": -1, "since": {"offset": 9}}, [10, 11, 12]),
        ({"limit": 2, "since": {"offset": 9}}, [10, 11]),
        ({"limit": -1, "since": {"offset": 1}}, list(range(3, 13))),
        ({"limit": -1, "since": {"offset": 12}}, []),
        ({"limit": -1, "since": {"offset": 99}}, []),
        ({"limit": 3, "reverse": True}, [12, 11, 10]),
        ({"limit": -1, "reverse": True, "since": {"offset": 5}}, [4, 3]),
    ],
    ids=str,
)
async def test_history_is_read_forward_after_and_backward_before_a_position(
    filled: Server, request_: dict[str, Any], numbers: list[int]
) -> None:
    client = await filled.client()
    result = await client.call("history", channel="chat:a", **request_)
    assert [(each["data"], each["offset"]) for each in result["publications"]] == [(n, n) for n in numbers]
    assert result["offset"] == 12
    assert (await filled.api("history", channel="chat:a", **request_))["result"] == result


@pytest.mark.trio
async def test_history_knows_its_epoch_and_its_beginning(filled: Server) -> None:
    client = await filled.client()
    epoch = (await client.call("history", channel="chat:a"))["epoch"]
    same = {"offset": 11, "epoch": epoch}
    assert len((await client.call("history", channel="chat:a", limit=-1, since=same))["publications"]) == 1
    other = {"offset": 11, "epoch": "another"}
    assert await client.refusal("history", channel="chat:a", limit=1, since=other) == 112
    assert await client.refusal("history", channel="chat:a", reverse=True, since={"offset": 0}) == 107
    unused = await client.call("history", channel="chat:unused", limit=-1)
    assert (unused["publications"], unused["offset"]) == ([], 0)


@pytest.mark.trio
async def test_client_reads_at_most_300_of_a_history_and_a_backend_all(server: Server) -> None:
    client = await server.client()
    for number in range(350):
        await server.publish("feed:a", number)
    for limit in (-1, 301, 340):
        result = await client.call("history", channel="feed:a", limit=limit)
        assert [each["data"] for each in result["publications"]] == list(range(300))
    for limit in (-1, 2**64 - 1):
        result = (await server.api("history", channel="feed:a", limit=limit))["result"]
        assert len(result["publications"]) == 350


@pytest.mark.trio
async def test_remote_calls_are_found_by_name(server: Server) -> None:
    client = await server.client()
    operator = await server.client(sign(KEYS.operator, sub="root"))
    assert await client.refusal("rpc", method="no.such", data={}) == 108
    assert await client.refusal("rpc", data={}) == 108
    assert await operator.refusal("rpc", method="ops.no_such") == 104
    assert await operator.refusal("rpc", method="ops.connections", data={"sort": "x"}) == 107
    assert await operator.refusal("rpc", method="ops.connections", data=[]) == 107
    assert await client.refusal("rpc", method="ops.disconnect", data={"client": operator.id}) == 103
    await operator.call("rpc", method="ops.disconnect", data={"client": client.id})
    assert await client.closing() == (3503, "force disconnect")


@pytest.mark.trio
@pytest.mark.parametrize("command", [{"send": {"data": 1}}, {"id": 7, "send": {}}])
async def test_send_without_a_handler_is_a_terminal_close(server: Server, command: dict[str, Any]) -> None:
    client = await server.client()
    await client.say(command)
    assert await client.closing() == (3508, "not available")


@pytest.mark.trio
async def test_a_journaled_publication_is_answered_when_it_is_kept_and_holds_up_no_other_command() -> None:
    notes = {"publish": True, "journal": True, "history_size": 10}
    async with running(namespaces={"notes": notes}) as server:
        reader = await server.subscriber("notes:a")
        writer = await server.client()
        await writer.say({"id": 7, "publish": {"channel": "notes:a", "data": 1}}, {"id": 8, "ping": {}})
        replies = [await writer.document() for _ in range(2)]
        assert [reply["id"] for reply in replies] == [8, 7]
        assert replies[1] == {"id": 7, "publish": {}}
        assert (await reader.push())["pub"]["offset"] == 1
        both = [{"publish": {"channel": f"notes:{name}", "data": 2}} for name in "ab"]
        answers = (await server.api("batch", commands=both))["replies"]
        assert [answer["publish"]["offset"] for answer in answers] == [2, 1]
        told = await server.api("broadcast", channels=["notes:a", "nowhere:a"], data=3)
        responses = told["result"]["responses"]
        assert [response.get("error", {}).get("code", 0) for response in responses] == [0, 102]
        assert responses[0]["result"]["offset"] == 3
        first = await server.publish("notes:a", 4, idempotency_key="k")
        assert await server.publish("notes:a", 5, idempotency_key="k") == first
        assert (await reader.push())["pub"]["data"] == 2
        assert (await server.api("history_remove", channel="notes:a"))["error"]["code"] == 108


@pytest.mark.trio
@pytest.mark.parametrize("is_journaled", [True, False])
async def test_fill_that_is_told_twice_goes_out_once(is_journaled: bool) -> None:
    deal = {"market": "my.X", "side": "buy", "price": "1", "size": "1", "time": 1_700_000_000_000}
    fill = {"type": "order_fill", "fill": "7"} | deal
    async with running(namespaces={"orders": {"journal": is_journaled}}) as server:
        ann = await server.subscriber("orders:ann", token=sign(sub="ann"))
        first, second = [await server.publish("orders:ann", fill) for _ in range(2)]
        assert second == (first if is_journaled else {})
        assert (await ann.push())["pub"] == {"data": fill, "offset": 1}
        assert await ann.kept() == []
