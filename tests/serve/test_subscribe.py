import time
from typing import Any

import pytest
import trio

from tests.serve.running import KEYS, RECOVERABLE, Server, running, sign
from tests.serve.wire import Refused


@pytest.mark.trio
async def test_subscriber_gets_what_is_published_then_and_no_more_after_leaving(server: Server) -> None:
    client = await server.client()
    await server.publish("chat:a", "before")
    result = await client.call("subscribe", channel="chat:a", flag=1)
    assert (set(result), result["offset"]) == ({*RECOVERABLE, "offset"}, 1)
    await server.publish("chat:a", {"n": 1})
    assert await client.push() == {"channel": "chat:a", "pub": {"data": {"n": 1}, "offset": 2}}
    assert await client.call("unsubscribe", channel="chat:a") == {}
    await server.publish("chat:a", "after")
    assert await client.kept() == []


@pytest.mark.trio
async def test_leaving_what_was_not_entered_is_no_error(server: Server) -> None:
    client = await server.client()
    assert await client.call("unsubscribe", channel="chat:a") == {}
    assert await client.call("unsubscribe", channel="nowhere:a") == {}


@pytest.mark.trio
async def test_subscribe_unsubscribe_subscribe_in_one_message_are_answered_in_order(server: Server) -> None:
    client = await server.client()
    commands = [
        {"id": 10 + number, method: {"channel": "feed:a"}}
        for number, method in enumerate(["subscribe", "unsubscribe", "subscribe", "subscribe", "ping"])
    ]
    await client.say(*commands)
    replies = [await client.document() for _ in commands]
    assert [reply["id"] for reply in replies] == [10, 11, 12, 13, 14]
    assert replies[3]["error"]["code"] == 105


ORDER_OF_CHECKS: list[tuple[dict[str, Any], int]] = [
    ({"channel": "a" * 256, "delta": "x"}, 107),
    ({"channel": "nowhere:a", "type": 1}, 102),
    ({"channel": "nowhere", "tf": {}}, 102),
    ({"channel": ":a"}, 102),
    ({"channel": "chat:\u00e9", "type": 1}, 107),
    ({"channel": "chat:a\nb"}, 107),
    ({"channel": "chat:a", "type": 1, "delta": "x"}, 103),
    ({"channel": "chat:a", "type": 4}, 103),
    ({"channel": "orders:ann", "tf": {"key": "a", "cmp": "ex"}}, 107),
    ({"channel": "orders:ann"}, 103),
    ({"channel": "orders:"}, 103),
    ({"channel": "ops:health"}, 103),
    ({"channel": "$chat:a"}, 103),
    ({"channel": "chat:a", "delta": "fossil"}, 0),
    ({"channel": "chat:" + "b" * 250}, 0),
]


@pytest.mark.trio
@pytest.mark.parametrize(("request_", "code"), ORDER_OF_CHECKS, ids=str)
async def test_subscribe_is_checked_in_the_protocols_order(
    server: Server, request_: dict[str, Any], code: int
) -> None:
    client = await server.client()
    assert await client.refusal("subscribe", **request_) == code
    assert await client.is_alive()


@pytest.mark.trio
@pytest.mark.parametrize("request_", [{"channel": ""}, {}, {"channel": "chat:a", "delta": "zip"}], ids=str)
async def test_subscribe_that_no_client_sends_is_a_terminal_close(
    server: Server, request_: dict[str, Any]
) -> None:
    client = await server.client()
    await client.say({"id": 2, "subscribe": request_})
    assert (await client.closing())[0] == 3501


@pytest.mark.trio
async def test_known_delta_is_not_negotiated_where_there_is_none(server: Server) -> None:
    client = await server.client()
    assert "delta" not in await client.call("subscribe", channel="chat:a", delta="fossil", recoverable=True)


@pytest.mark.trio
async def test_already_subscribed_is_said_before_the_limit(server: Server) -> None:
    async with running(limits={"channels_per_client": 2}) as server:
        client = await server.subscriber("chat:a", "chat:b")
        assert await client.refusal("subscribe", channel="chat:a") == 105
        assert await client.refusal("subscribe", channel="nowhere:c") == 106
        await client.call("unsubscribe", channel="chat:a")
        assert await client.refusal("subscribe", channel="chat:c") == 0


@pytest.mark.trio
async def test_channel_takes_no_more_subscribers_than_its_limit() -> None:
    async with running(namespaces={"duo": {"subscriber_limit": 2}}) as server:
        first = await server.subscriber("duo:a")
        await server.subscriber("duo:a")
        late = await server.client()
        assert await late.refusal("subscribe", channel="duo:a") == 106
        await first.call("unsubscribe", channel="duo:a")
        assert await late.refusal("subscribe", channel="duo:a") == 0


@pytest.mark.trio
async def test_account_channel_is_its_users_and_operators_own(server: Server) -> None:
    for token, code in (
        (sign(sub="ann"), 0),
        (sign(sub="bob"), 103),
        ("", 103),
        (sign(KEYS.operator, sub="root"), 0),
    ):
        client = await server.client(token)
        assert await client.refusal("subscribe", channel="orders:ann") == code


@pytest.mark.trio
async def test_subscription_token_gives_permission_by_itself(server: Server) -> None:
    client = await server.client(sign(sub="ann"))
    for channel in ("orders:shared", "$chat:a"):
        end = int(time.time()) + 100
        token = sign(sub="ann", channel=channel, exp=end, info={"seat": 1})
        result = await client.call("subscribe", channel=channel, token=token)
        assert result["expires"] is True
        assert 95 <= result["ttl"] <= 100
    await server.publish("$chat:a", 5)
    assert await client.publication() == 5
    infos = (await server.api("presence", channel="$chat:a"))["result"]["presence"]
    assert infos == {client.id: {"user": "ann", "client": client.id, "chan_info": {"seat": 1}}}


@pytest.mark.trio
@pytest.mark.parametrize(
    ("token", "code"),
    [
        (sign(sub="ann", channel="chat:a", exp=1), 109),
        (sign("w" * 64, sub="ann", channel="chat:a"), 103),
        (sign(sub="ann"), 103),
        ("garbage", 103),
    ],
    ids=["expired", "forged", "no channel", "garbage"],
)
async def test_useless_subscription_token_is_an_error(server: Server, token: str, code: int) -> None:
    client = await server.client(sign(sub="ann"))
    assert await client.refusal("subscribe", channel="chat:a", token=token) == code
    assert await client.is_alive()


@pytest.mark.trio
@pytest.mark.parametrize("claims", [{"sub": "ann", "channel": "chat:b"}, {"sub": "bob", "channel": "chat:a"}])
async def test_token_for_another_channel_or_user_is_a_terminal_close(
    server: Server, claims: dict[str, str]
) -> None:
    for method in ("subscribe", "sub_refresh"):
        client = await server.client(sign(sub="ann"))
        if method == "sub_refresh":
            await client.call("subscribe", channel="chat:a")
        await client.say({"id": 9, method: {"channel": "chat:a", "token": sign(**claims)}})
        assert await client.closing() == (3500, "invalid token")


@pytest.mark.trio
async def test_anonymous_test_token_fits_the_anonymous_user(server: Server) -> None:
    client = await server.client(sign(iat=1))
    assert await client.refusal("subscribe", channel="chat:a", token=sign(iat=1, channel="chat:a")) == 0


@pytest.mark.trio
async def test_sub_refresh_prolongs_expires_and_asks_for_a_subscription(server: Server) -> None:
    client = await server.client(sign(sub="ann"))
    token = sign(sub="ann", channel="chat:a", exp=int(time.time()) + 500)
    assert await client.refusal("sub_refresh", channel="chat:a", token=token) == 103
    await client.call("subscribe", channel="chat:a", token=token)
    result = await client.call("sub_refresh", channel="chat:a", token=token)
    assert result["expires"] is True
    assert result["ttl"] > 490
    expired = sign(sub="ann", channel="chat:a", exp=1)
    assert await client.refusal("sub_refresh", channel="chat:a", token=expired) == 110
    assert await client.is_alive()


@pytest.mark.trio
async def test_subscription_ends_25_seconds_after_its_token_unless_refreshed_and_may_be_asked_for_again(
    jumping_clock: object, server: Server
) -> None:
    began, soon = trio.current_time(), int(time.time()) + 2
    client = await server.client(sign(sub="ann"))
    token = sign(sub="ann", channel="chat:a", exp=soon)
    await client.call("subscribe", channel="chat:a", token=token)
    await client.call("subscribe", channel="chat:b", token=sign(sub="ann", channel="chat:b", exp=soon))
    refreshed = sign(sub="ann", channel="chat:b", exp=soon + 1_000)
    await client.call("sub_refresh", channel="chat:b", token=refreshed)
    while (document := await client.document()) == {}:
        await client.say({})
    assert document["push"] == {
        "channel": "chat:a",
        "unsubscribe": {"code": 2501, "reason": "subscription expired"},
    }
    assert 26 <= trio.current_time() - began <= 27.5
    with pytest.raises(Refused):
        await client.call("sub_refresh", channel="chat:a", token=token)
    assert await client.refusal("subscribe", channel="chat:a") == 0
    assert await client.kept() == []
    await server.publish("chat:b", 1)
    assert await client.publication() == 1


@pytest.mark.trio
async def test_expired_server_side_subscription_ends_the_connection(
    jumping_clock: object, server: Server
) -> None:
    client = await server.client(sign(sub="ann"))
    await server.api("subscribe", channel="chat:a", user="ann", expire_at=int(time.time()) + 1)
    told = (await client.push())["subscribe"]
    assert (told["expires"], told["ttl"]) == (True, 1)
    assert await client.stay() == (3006, "subscription expired")


@pytest.mark.trio
async def test_gathered_publications_reach_the_old_subscriber_only(server: Server) -> None:
    old = await server.subscriber("feed:a")
    new = await server.client()
    await server.publish("feed:a", 1)
    await new.call("subscribe", channel="feed:a")
    await server.publish("feed:a", 2)
    assert [await old.publication(), await old.publication()] == [1, 2]
    assert await new.publication() == 2
