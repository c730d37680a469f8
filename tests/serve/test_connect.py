import time
from typing import Any

import pytest
import trio

from tests.serve.running import KEYS, RECOVERABLE, Server, running, sign
from tests.serve.wire import Client


async def connect_and_subscribe(client: Client, token: str) -> None:
    """In one message, as the JavaScript client does."""
    await client.say({"id": 1, "connect": {"token": token}}, {"id": 2, "subscribe": {"channel": "chat:a"}})


@pytest.mark.trio
async def test_anonymous_client_is_told_who_it_is_and_how_to_keep_alive(server: Server) -> None:
    result = await (await server.upgraded()).connect(name="js", headers={"x": "y"}, flag=1, unknown=[1])
    assert set(result) == {"client", "version", "ping", "pong"}
    assert (result["ping"], result["pong"]) == (25, True)


@pytest.mark.trio
async def test_token_names_the_user_and_its_end(server: Server) -> None:
    client = await server.upgraded()
    result = await client.connect(token=sign(sub="ann", exp=int(time.time()) + 100))
    assert result["expires"] is True
    assert 95 <= result["ttl"] <= 100
    assert (await client.call("rpc", method="me"))["data"]["user"] == "ann"


@pytest.mark.trio
async def test_ttl_is_at_most_a_year(server: Server) -> None:
    result = await (await server.upgraded()).connect(token=sign(sub="ann", exp=2**52))
    assert result["ttl"] == 365 * 86_400


@pytest.mark.trio
async def test_token_without_sub_exp_and_with_old_iat_is_anonymous(server: Server) -> None:
    client = await server.client(sign(iat=1))
    assert (await client.call("rpc", method="me"))["data"]["user"] == ""


@pytest.mark.trio
@pytest.mark.parametrize("claims", [{"exp": 1}, {"nbf": 2**40}])
async def test_expired_token_is_error_109_and_nothing_after_it(
    server: Server, claims: dict[str, Any]
) -> None:
    client = await server.upgraded()
    await connect_and_subscribe(client, sign(sub="ann", **claims))
    assert await client.document() == {"id": 1, "error": {"code": 109, "message": "token expired"}}
    assert await client.closing() == (3000, "token expired")


@pytest.mark.trio
@pytest.mark.parametrize(
    "token",
    ["x", "a.b.c", sign("w" * 64, sub="ann"), sign(sub="ann", channel="chat:a"), sign(sub=1), sign(exp="x")],
    ids=["garbage", "three parts", "forged", "subscription token", "sub is a number", "exp is a text"],
)
async def test_wrong_token_is_a_terminal_close(server: Server, token: str) -> None:
    witness = await server.client()
    client = await server.upgraded()
    await connect_and_subscribe(client, token)
    assert await client.closing() == (3500, "invalid token")
    assert len(client.frames) == 1
    assert await witness.is_alive()


@pytest.mark.trio
async def test_connect_without_token_ends_where_anonymous_is_off() -> None:
    async with running(anonymous=False) as server:
        client = await server.upgraded()
        await client.say({"id": 1, "connect": {}})
        assert (await client.closing())[0] == 3501
        assert await (await server.client(sign(sub="ann"))).is_alive()


@pytest.mark.trio
@pytest.mark.parametrize(
    "document",
    [
        {"id": 2, "connect": {}},
        {"id": 2},
        {"id": 2, "ping": {}, "presence": {"channel": "chat:a"}},
        {"ping": {}},
        {"id": 0, "subscribe": {"channel": "chat:a"}},
        {"id": -1, "ping": {}},
        {"id": 2, "no_such_method": {}},
        {"id": "2", "ping": {}},
        {"id": 1.5, "ping": {}},
        {"id": 2, "subscribe": {"channel": 5}},
        {"id": 2, "subscribe": []},
        {"id": 2, "subscribe": None},
        {},
        [],
        1,
        "x",
        None,
    ],
    ids=str,
)
async def test_bad_command_ends_that_client_only(server: Server, document: object) -> None:
    witness = await server.subscriber("chat:a")
    client = await server.client()
    await client.say(document)
    code, reason = await client.closing()
    assert code == 3501
    assert reason.startswith("bad request: ")
    await server.publish("chat:a", 1)
    assert await witness.publication() == 1


@pytest.mark.trio
@pytest.mark.parametrize("method", ["subscribe", "publish", "rpc", "send", "ping", "refresh"])
async def test_command_before_connect_is_a_terminal_close(server: Server, method: str) -> None:
    client = await server.upgraded()
    await client.say({"id": 1, method: {"channel": "chat:a", "data": 1}})
    assert (await client.closing())[0] == 3501


@pytest.mark.trio
async def test_no_connect_in_time_is_stale(jumping_clock: object, server: Server) -> None:
    began = trio.current_time()
    client = await server.upgraded()
    witness = await server.client()
    assert await client.closing() == (3502, "stale")
    assert 10 <= trio.current_time() - began < 11
    assert await witness.is_alive()


@pytest.mark.trio
async def test_server_side_channels_come_with_the_connect_reply(server: Server) -> None:
    client = await server.upgraded()
    result = await client.connect(token=sign(sub="ann", channels=["chat:a", "feed:b", "chat:a"]))
    assert {channel: set(each) for channel, each in result["subs"].items()} == {
        "chat:a": RECOVERABLE,
        "feed:b": RECOVERABLE,
    }
    await server.publish("chat:a", 7)
    assert await client.publication() == 7
    assert await client.refusal("subscribe", channel="chat:a") == 105


@pytest.mark.trio
async def test_subs_claim_wins_over_channels(server: Server) -> None:
    result = await (await server.upgraded()).connect(
        token=sign(sub="a", channels=["chat:b"], subs={"chat:a": {}})
    )
    assert list(result["subs"]) == ["chat:a"]


@pytest.mark.trio
async def test_token_channel_of_no_namespace_is_error_102(server: Server) -> None:
    client = await server.upgraded()
    assert await client.refusal("connect", token=sign(sub="ann", channels=["nowhere:a"])) == 102
    assert (await client.closing())[0] == 3000
    assert (await server.api("info"))["result"]["nodes"][0]["num_subs"] == 0


@pytest.mark.trio
async def test_operator_key_makes_an_operator(server: Server) -> None:
    operator = await server.client(sign(KEYS.operator, sub="root"))
    client = await server.client(sign(sub="root"))
    assert (await operator.call("rpc", method="ops.connections"))["data"]["total"] == 2
    assert await client.refusal("rpc", method="ops.connections") == 103
    assert await client.refusal("subscribe", channel="ops:health") == 103


@pytest.mark.trio
async def test_connection_lives_25_seconds_beyond_a_token_that_is_not_refreshed(
    jumping_clock: object, server: Server
) -> None:
    began = trio.current_time()
    soon = int(time.time()) + 2
    kept = await server.client(sign(sub="ann", exp=soon))
    lost = await server.client(sign(sub="bob", exp=soon))
    refreshed = await kept.call("refresh", token=sign(sub="ann", exp=soon + 1_000))
    assert refreshed["expires"] is True
    assert refreshed["ttl"] > 900
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.stay)
        assert await lost.stay() == (3005, "connection expired")
        nursery.cancel_scope.cancel()
    assert 26 <= trio.current_time() - began <= 27.5
    assert await kept.is_alive()


@pytest.mark.trio
@pytest.mark.parametrize(
    ("token", "code"),
    [
        (sign(sub="ann", exp=1), 3005),
        (sign(sub="bob"), 3500),
        (sign("w" * 64, sub="ann"), 3500),
        (sign(sub="ann", channel="chat:a"), 3500),
        ("", 3501),
    ],
    ids=["expired", "other user", "forged", "subscription token", "empty"],
)
async def test_wrong_refresh_ends_the_connection(server: Server, token: str, code: int) -> None:
    client = await server.client(sign(sub="ann", exp=int(time.time()) + 100))
    await client.say({"id": 9, "refresh": {"token": token}})
    assert (await client.closing())[0] == code
