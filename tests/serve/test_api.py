import os
import time
from base64 import b64encode
from typing import Any

import pytest
import trio
import trio.testing

from tests.serve.running import KEYS, RECOVERABLE, Server, running, sign
from tests.serve.wire import TEXT, frame, request
from tests.tui.reports import fill


async def refusal(server: Server, method: str, **params: Any) -> int:
    """The error code of a call, 0 for a success."""
    body = await server.api(method, **params)
    return int(body.get("error", {}).get("code", 0))


@pytest.mark.trio
async def test_publication_reaches_its_channel_with_a_position_where_there_is_history(server: Server) -> None:
    client = await server.subscriber("chat:a", "experiment:a")
    first = await server.publish("chat:a", 1)
    assert first["offset"] == 1
    assert await server.publish("chat:a", 2) == {"offset": 2, "epoch": first["epoch"]}
    assert await server.publish("experiment:a", 3) == {}
    assert [await client.publication() for _ in range(3)] == [1, 2, 3]


@pytest.mark.trio
async def test_publication_may_skip_history_and_carry_tags(server: Server) -> None:
    client = await server.subscriber("chat:a")
    assert await server.publish("chat:a", 1, skip_history=True, tags={"a": "b"}) == {}
    assert await client.push() == {"channel": "chat:a", "pub": {"data": 1, "tags": {"a": "b"}}}
    assert (await server.api("history", channel="chat:a", limit=-1))["result"]["publications"] == []


@pytest.mark.trio
@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"data": 1}, 107),
        ({"channel": "", "data": 1}, 107),
        ({"channel": "chat:a"}, 107),
        ({"channel": "nowhere:a", "data": 1}, 102),
        ({"channel": "chat:" + "a" * 251, "data": 1}, 107),
        ({"channel": "orders:a\nb", "data": 1, "idempotency_key": "c"}, 107),
        ({"channel": "orders:a\0", "data": 1}, 107),
        ({"channel": "orders:é", "data": 1}, 107),
        ({"channel": "chat:a", "data": 1, "idempotency_key": "k" * 256}, 107),
        ({"channel": "chat:a", "data": 1, "kind": "no_such_kind"}, 107),
        ({"channel": "chat:a", "b64data": "%%"}, 107),
        ({"channel": "chat:a", "b64data": b64encode(b"{").decode()}, 107),
        ({"channel": "chat:a", "b64data": b64encode(b'"\xff"').decode()}, 107),
        ({"channel": "book:sim.X", "data": [1]}, 107),
        ({"channel": "chat:a", "b64data": b64encode(b'{"a":\n1}').decode()}, 0),
        ({"channel": "orders:ann", "data": {"type": "order_fill"}, "kind": "order_fill"}, 107),
        ({"channel": "orders:ann", "data": {"type": "order_fill", **fill()}}, 0),
        ({"channel": "orders:ann", "data": {"type": "my_own"}}, 0),
        ({"channel": "orders:ann", "data": "hello"}, 0),
    ],
    ids=str,
)
async def test_publish_says_what_is_wrong(server: Server, params: dict[str, Any], code: int) -> None:
    assert await refusal(server, "publish", **params) == code


@pytest.mark.trio
async def test_channel_without_a_colon_is_told_what_a_channel_is(server: Server) -> None:
    body = await server.api("publish", channel="orders", data={})
    assert body["error"]["message"].endswith(
        "no namespace for 'orders': a channel is a namespace, a colon and a name, as 'orders:ann'"
    )


@pytest.mark.trio
async def test_broadcast_answers_for_each_channel_in_order(server: Server) -> None:
    client = await server.subscriber("chat:a", "chat:b")
    body = await server.api("broadcast", channels=["chat:a", "nowhere:x", "chat:b"], data={"n": 1})
    first, second, third = body["result"]["responses"]
    assert first["result"]["offset"] == third["result"]["offset"] == 1
    sentence = "unknown channel: the settings have no namespace for 'nowhere:x'"
    assert second == {"error": {"code": 102, "message": sentence}}
    assert [(await client.push())["channel"] for _ in range(2)] == ["chat:a", "chat:b"]
    assert await refusal(server, "broadcast", channels=[], data=1) == 107


@pytest.mark.trio
async def test_repeated_idempotency_key_gives_the_first_result_and_no_second_message(server: Server) -> None:
    client = await server.subscriber("chat:a", "chat:b")
    first = await server.publish("chat:a", 1, idempotency_key="k")
    assert await server.publish("chat:a", 2, idempotency_key="k") == first
    assert (await server.publish("chat:b", 3, idempotency_key="k"))["offset"] == 1
    for _ in range(2):
        await server.api("broadcast", channels=["chat:a", "chat:b"], data=4, idempotency_key="b")
    pushes = [document["push"]["pub"]["data"] for document in await client.kept()]
    assert pushes == [1, 3, 4, 4]


@pytest.mark.trio
async def test_refused_publication_uses_up_no_idempotency_key(server: Server) -> None:
    for _ in range(2):
        assert await refusal(server, "publish", channel="nowhere:a", data=1, idempotency_key="k") == 102


@pytest.mark.trio
async def test_backend_subscribes_and_unsubscribes_a_user(server: Server) -> None:
    ann, bob = await server.client(sign(sub="ann")), await server.client(sign(sub="bob"))
    assert (await server.api("subscribe", channel="orders:team", user="ann"))["result"] == {}
    push = await ann.push()
    assert (push["channel"], set(push["subscribe"])) == ("orders:team", {*RECOVERABLE, "data"})
    await server.publish("orders:team", 1)
    assert await ann.publication() == 1
    await server.api("unsubscribe", channel="orders:team", user="ann")
    assert await ann.push() == {
        "channel": "orders:team",
        "unsubscribe": {"code": 2000, "reason": "server unsubscribe"},
    }
    await server.publish("orders:team", 2)
    assert await ann.kept() == await bob.kept() == []


@pytest.mark.trio
async def test_unsubscribe_without_a_channel_leaves_all(server: Server) -> None:
    ann = await server.subscriber("chat:a", "chat:b", token=sign(sub="ann"))
    await server.api("unsubscribe", user="ann", channel="")
    assert {(await ann.push())["channel"] for _ in range(2)} == {"chat:a", "chat:b"}
    assert (await server.api("channels"))["result"] == {"channels": {}}


@pytest.mark.trio
async def test_call_about_one_client_leaves_the_users_others_alone(server: Server) -> None:
    first, second = [await server.client(sign(sub="ann")) for _ in range(2)]
    await server.api("subscribe", channel="chat:a", user="ann", client=second.id)
    assert (await second.push())["channel"] == "chat:a"
    await server.api("disconnect", user="ann", client=second.id)
    assert await second.closing() == (3503, "force disconnect")
    assert await first.kept() == []


@pytest.mark.trio
async def test_disconnect_closes_a_user_but_for_the_white_list(server: Server) -> None:
    first, kept = [await server.client(sign(sub="ann")) for _ in range(2)]
    long = "lunch \u00e9 " + "x" * 200
    code = {"code": 4100, "reason": long}
    assert (await server.api("disconnect", user="ann", whitelist=[kept.id], disconnect=code))["result"] == {}
    closed, reason = await first.closing()
    assert (closed, reason) == (4100, long.encode()[:123].decode())
    assert await kept.is_alive()


@pytest.mark.trio
@pytest.mark.parametrize("code", [0, 1000, 2999, 5000, -1])
async def test_disconnect_takes_the_protocols_codes_only(server: Server, code: int) -> None:
    client = await server.client(sign(sub="ann"))
    assert await refusal(server, "disconnect", user="ann", disconnect={"code": code, "reason": "x"}) == 107
    assert await client.is_alive()


@pytest.mark.trio
async def test_misspelt_member_is_named_beside_those_that_there_are(server: Server) -> None:
    answer = await server.post("publish", b'{"channel":"chat:a","data":1,"idempotncy_key":"k"}')
    assert (answer.status, answer.body) == (
        400,
        b"the body does not fit: Object contains unknown field `idempotncy_key`; there are "
        b"data, b64data, kind, skip_history, tags, idempotency_key, delta, channel\n",
    )


@pytest.mark.trio
@pytest.mark.parametrize(
    ("method", "body", "complaint"),
    [
        ("history", b'{"limt":1}', "field `limt`; there are channel, limit, since, reverse"),
        ("history", b'{"since":{"ofset":1}}', "field `ofset` - at `$.since`; there are offset, epoch"),
        (
            "subscribe",
            b'{"recover_since":{"a":1}}',
            "field `a` - at `$.recover_since`; there are offset, epoch",
        ),
        (
            "disconnect",
            b'{"disconnect":{"cod":1}}',
            "field `cod` - at `$.disconnect`; there are code, reason",
        ),
        *[
            (method, b'{"chanel":"chat:a"}', "field `chanel`; there are channel")
            for method in ("presence", "presence_stats", "history_remove", "map_stats", "map_clear")
        ],
    ],
)
async def test_every_object_of_a_body_names_the_members_that_it_may_have(
    server: Server, method: str, body: bytes, complaint: str
) -> None:
    answer = await server.post(method, body)
    told = f"the body does not fit: Object contains unknown {complaint}\n"
    assert (answer.status, answer.body.decode()) == (400, told)


@pytest.mark.trio
async def test_clients_may_say_more_than_their_server_knows(server: Server) -> None:
    client = await server.client()
    assert "epoch" in await client.call("history", channel="trades:sim.A", limt=1, since={"ofset": 1})


@pytest.mark.trio
async def test_call_about_an_unknown_user_is_a_success(server: Server) -> None:
    for method in ("subscribe", "unsubscribe", "disconnect", "refresh"):
        named = {"channel": "chat:a"} if "subscribe" in method else {}
        assert await server.api(method, user="nobody", **named) == {"result": {}}


@pytest.mark.trio
async def test_backend_ends_an_expired_connection(server: Server) -> None:
    client = await server.client(sign(sub="ann"))
    await server.api("refresh", user="ann", expire_at=2**62)
    assert await client.is_alive()
    await server.api("refresh", user="ann", expired=True)
    assert await client.closing() == (3005, "connection expired")


@pytest.mark.trio
async def test_backend_says_until_when_a_connection_lives(jumping_clock: object, server: Server) -> None:
    client = await server.client(sign(sub="ann"))
    began = trio.current_time()
    await server.api("refresh", user="ann", expire_at=int(time.time()) + 2)
    assert await client.stay() == (3005, "connection expired")
    assert 26 <= trio.current_time() - began <= 27.5


@pytest.mark.trio
async def test_presence_channels_and_info_count_who_is_there(server: Server) -> None:
    ann = await server.subscriber("chat:a", "chat:b", token=sign(sub="ann"))
    await server.subscriber("chat:a")
    present = (await server.api("presence", channel="chat:a"))["result"]["presence"]
    assert present[ann.id] == {"user": "ann", "client": ann.id}
    stats = await server.api("presence_stats", channel="chat:a")
    assert stats["result"] == {"num_clients": 2, "num_users": 2}
    everything = {"chat:a": {"num_clients": 2}, "chat:b": {"num_clients": 1}}
    assert (await server.api("channels"))["result"]["channels"] == everything
    assert (await server.api("channels", pattern="*:b"))["result"]["channels"] == {
        "chat:b": {"num_clients": 1}
    }
    (node,) = (await server.api("info"))["result"]["nodes"]
    counts = {name: node[name] for name in ("num_clients", "num_users", "num_channels", "num_subs")}
    assert counts == {"num_clients": 2, "num_users": 2, "num_channels": 2, "num_subs": 3}
    assert all(node[name] for name in ("uid", "name", "version"))
    assert await refusal(server, "presence", channel="experiment:a") == 108


@pytest.mark.trio
async def test_history_is_removed_but_not_its_position(server: Server) -> None:
    position = await server.publish("chat:a", 1)
    assert (await server.api("history_remove", channel="chat:a")) == {"result": {}}
    history = (await server.api("history", channel="chat:a", limit=-1))["result"]
    assert history == {"publications": [], "offset": 1, "epoch": position["epoch"]}
    assert (await server.publish("chat:a", 2))["offset"] == 2
    assert await refusal(server, "history_remove", channel="experiment:a") == 108
    assert await refusal(server, "history", channel="experiment:a") == 108


@pytest.mark.trio
async def test_batch_answers_each_command_under_its_name_without_a_result(server: Server) -> None:
    body = await server.api(
        "batch",
        commands=[
            {"publish": {"channel": "chat:a", "data": 1}},
            {"presence_stats": {"channel": "chat:a"}},
            {"publish": {"channel": "nowhere:a", "data": 1}},
            {"no_such": {}},
            {},
        ],
    )
    first, second, *errors = body["replies"]
    assert first["publish"]["offset"] == 1
    assert second == {"presence_stats": {"num_clients": 0, "num_users": 0}}
    assert [error["error"]["code"] for error in errors] == [102, 104, 104]


@pytest.mark.trio
@pytest.mark.parametrize(
    "headers",
    [
        {"X_API_Key": "wrong"},
        {"X_API_Key": ""},
        {"X_API_Key": "\u00e9"},
        {"X_API_Key": "", "Authorization": "x"},
    ],
    ids=str,
)
async def test_no_key_no_answer(server: Server, headers: dict[str, str]) -> None:
    for method in ("info", "no_such"):
        answer = await server.post(method, b"{}", **headers)
        assert answer.status == 401
        assert KEYS.api.encode() not in answer.body


@pytest.mark.trio
async def test_key_may_come_as_authorization(server: Server) -> None:
    headers = {"Host": "lanecast", "Authorization": f"apikey {KEYS.api}", "Connection": "close"}
    assert (await server.exchange(request("POST", "/api/info", headers))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.trio
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"1",
        b'"x"',
        b"\xff",
        b'{"channel":1}',
        b'{"channel":"chat:a","data":1}x',
        b'{"channel":"\\ud800","data":1}',
        b'{"channel":"chat:a","tags":{"a":1},"data":1}',
        b'{"channel":"chat:a","data":' + b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_body_that_does_not_fit_is_400(server: Server, body: bytes) -> None:
    assert (await server.post("publish", body)).status == 400
    assert (await server.post("info", b"")).status == 200


@pytest.mark.trio
async def test_unknown_method_is_404_and_names_the_known_ones(server: Server) -> None:
    answer = await server.post("no_such", b"{}")
    assert answer.status == 404
    assert b"publish" in answer.body


@pytest.mark.trio
@pytest.mark.parametrize(
    ("method", "params", "status"),
    [
        ("publish", b'{"channel":"nowhere:a","data":1}', 404),
        ("publish", b'{"channel":"chat:a"}', 400),
        ("presence", b'{"channel":"experiment:a"}', 400),
        ("history", b'{"channel":"chat:a","since":{"offset":1,"epoch":"x"}}', 416),
        ("info", b"{}", 200),
    ],
)
async def test_errors_are_http_statuses_for_who_asks_for_it(
    server: Server, method: str, params: bytes, status: int
) -> None:
    answer = await server.post(method, params, X_Centrifugo_Error_Mode="transport")
    assert answer.status == status
    assert set(answer.json()) == ({"result"} if status == 200 else {"code", "message"})
    assert (await server.post(method, params)).status == 200


@pytest.mark.trio
async def test_publication_never_overtakes_an_unsubscribe_that_was_sent_before_it(server: Server) -> None:
    client, backend = await server.client(), await server.wire()
    body = b'{"channel":"chat:a","data":1}'
    headers = {"Host": "lanecast", "X-API-Key": KEYS.api, "Content-Length": str(len(body))}
    for _ in range(25):
        await client.call("subscribe", channel="chat:a")
        # Past Trio, while it waits for both, so that the server finds both sockets readable in one turn.
        await trio.testing.wait_all_tasks_blocked()
        os.write(
            client.stream.socket.fileno(), frame(TEXT, b'{"id":9999,"unsubscribe":{"channel":"chat:a"}}')
        )
        os.write(backend.stream.socket.fileno(), request("POST", "/api/publish", headers, body))
        await backend.take_until(b"}}")
        assert await client.kept() == [{"id": 9999, "unsubscribe": {}}]


@pytest.mark.trio
async def test_message_to_a_group_is_sent_to_its_members_and_to_nobody_else(server: Server) -> None:
    dashboards = [await server.subscriber("dashboard:x") for _ in range(50)]
    experiments = [await server.subscriber("experiment:y") for _ in range(100)]
    await server.publish("dashboard:x", {"update": 1})
    assert await sent(server) == 50
    for client in dashboards:
        assert await client.publication() == {"update": 1}
    for client in dashboards + experiments:
        assert await client.kept() == []


async def sent(server: Server) -> float:
    """Messages sent so far, by the server's own count."""
    metrics = (await server.get("/metrics")).body.decode()
    return float(metrics.split("\nlanecast_sent_total ")[1].split("\n")[0])


@pytest.mark.trio
async def test_publisher_is_told_when_there_are_too_many_channels() -> None:
    async with running(limits={"channels": 2}) as server:
        client = await server.subscriber("chat:a", "chat:b")
        for channel in ("chat:a", "chat:b"):
            await server.publish(channel, 0)
        assert await refusal(server, "publish", channel="chat:c", data=1) == 106
        assert await refusal(server, "publish", channel="experiment:a", data=1) == 106
        await client.call("unsubscribe", channel="chat:a")
        assert await refusal(server, "publish", channel="chat:c", data=1) == 0


@pytest.mark.trio
@pytest.mark.parametrize("expire_at", [10**400, 2**63, -1])
@pytest.mark.parametrize("method", ["subscribe", "refresh"])
async def test_time_that_no_clock_shows_is_refused_and_changes_nothing(
    server: Server, method: str, expire_at: int
) -> None:
    await server.client(sign(sub="ann"))
    channel = b'"channel":"chat:a",' if method == "subscribe" else b""
    body = b'{%s"user":"ann","expire_at":%d}' % (channel, expire_at)
    assert (await server.post(method, body)).status == 400
    assert (await server.api("channels"))["result"] == {"channels": {}}


@pytest.mark.trio
async def test_last_time_that_a_clock_shows_is_taken(server: Server) -> None:
    client = await server.client(sign(sub="ann", exp=2**63 - 1))
    await server.api("subscribe", user="ann", channel="chat:a", expire_at=2**63 - 1)
    assert (await client.push())["subscribe"]["expires"]
