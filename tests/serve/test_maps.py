"""Maps by the client protocol: coming back to one, writing to it, and who may."""

import socket
from contextlib import suppress
from typing import Any

import pytest
import trio

from tests.serve.mirror import CHANNEL, MAPS, Mirror, put, remove, state_of
from tests.serve.mirror import server as server
from tests.serve.running import KEYS, Server, running, sign


@pytest.mark.trio
async def test_client_that_comes_back_gets_what_it_missed_and_the_newest_position(server: Server) -> None:
    await put(server, "a", 1)
    early = await server.client()
    mirror = Mirror(early)
    live = await mirror.take_up()
    await early.call("unsubscribe", channel=CHANNEL)
    await put(server, "b", 2)
    await remove(server, "a")
    back = await mirror.come_back(live)
    assert (back["was_recovering"], back["recovered"], back["offset"]) == (True, True, 3)
    assert [publication["offset"] for publication in back["publications"]] == [2, 3]
    assert mirror.state == {"b": 2} == await state_of(server)
    again = await server.client()
    assert await Mirror(again).come_back(back) == {
        "type": 1,
        "epoch": back["epoch"],
        "offset": 3,
        "recoverable": True,
        "was_recovering": True,
        "recovered": True,
    }


@pytest.mark.trio
@pytest.mark.parametrize(
    "place", [{"offset": 1, "epoch": "other"}, {"offset": 1}, {"offset": 99}], ids=["epoch", "none", "ahead"]
)
async def test_position_that_is_gone_is_refused(server: Server, place: dict[str, Any]) -> None:
    epoch = (await put(server, "a", 1))["epoch"]
    given = {"epoch": epoch} | place if place["offset"] == 99 else place
    client = await server.client()
    assert await client.refusal("subscribe", channel=CHANNEL, type=1, phase=1, recover=True, **given) == 112


@pytest.mark.trio
async def test_stream_that_no_longer_reaches_back_is_refused(server: Server) -> None:
    epoch = (await put(server, "a", 1, channel="short:a"))["epoch"]
    for number in range(3):
        await put(server, "a", number, channel="short:a")
    client = await server.client()
    place = {"channel": "short:a", "type": 1, "phase": 1, "recover": True, "epoch": epoch}
    assert await client.refusal("subscribe", **place, offset=1) == 112
    assert await client.refusal("subscribe", **place, offset=2) == 0


@pytest.mark.trio
async def test_ephemeral_map_shows_no_positions_and_always_starts_whole(server: Server) -> None:
    for number in range(4):
        await put(server, f"k{number}", number, channel="cursor:a")
    mirror = Mirror(await server.client(), "cursor:a", limit=2)
    first = await mirror.ask(2)
    assert set(first) == {"type", "phase", "cursor", "state"}
    await put(server, "k0", "changed", channel="cursor:a")
    await remove(server, "k1", channel="cursor:a")
    live = await mirror.ask(2, cursor=first["cursor"])
    assert set(live) == {"type", "state", "publications"}
    assert mirror.state == await state_of(server, "cursor:a")
    await put(server, "k5", 5, channel="cursor:a")
    assert (await mirror.client.push())["pub"] == {"data": 5, "key": "k5"}
    late = await server.client()
    assert await late.refusal("subscribe", channel="cursor:a", type=1, phase=1, recover=True, offset=1) == 107


@pytest.mark.trio
async def test_key_that_is_not_written_in_time_is_removed(server: Server) -> None:
    client = await server.client()
    await Mirror(client, "brief:a").take_up()
    await put(server, "a", 1, channel="brief:a")
    assert (await client.push())["pub"]["data"] == 1
    gone = (await client.push())["pub"]
    assert (gone["key"], gone["removed"], gone["offset"]) == ("a", True, 2)
    assert await state_of(server, "brief:a") == {}


@pytest.mark.trio
async def test_clients_set_and_remove_keys_where_the_namespace_lets_them(server: Server) -> None:
    client = await server.client(sign(sub="ann"))
    await Mirror(client).take_up()
    await client.call("publish", channel=CHANNEL, type=1, key="a", data={"x": 1})
    got = (await client.push())["pub"]
    assert (got["key"], got["data"], got["info"]["user"]) == ("a", {"x": 1}, "ann")
    await client.call("publish", channel=CHANNEL, type=1, key="a", removed=True)
    assert (await client.push())["pub"]["removed"]
    for members, code in (
        ({"channel": CHANNEL, "type": 1, "data": 1}, 107),
        ({"channel": CHANNEL, "type": 1, "key": "a"}, 107),
        ({"channel": CHANNEL, "data": 1}, 107),
        ({"channel": "chat:a", "type": 1, "key": "a", "data": 1}, 107),
        ({"channel": "chat:a", "removed": True}, 107),
        ({"channel": "short:a", "type": 1, "key": "a", "data": 1}, 103),
    ):
        assert await client.refusal("publish", **members) == code, members


@pytest.mark.trio
async def test_client_publishes_to_no_key_but_its_own_where_that_is_the_rule(server: Server) -> None:
    ann, nobody = await server.client(sign(sub="ann")), await server.client()
    for client in (ann, nobody):
        await client.call("publish", channel="own:a", type=1, key="another", data=client.id)
    assert await state_of(server, "own:a") == {client.id: client.id for client in (ann, nobody)}
    await ann.call("publish", channel="own:a", type=1, removed=True)
    assert await state_of(server, "own:a") == {nobody.id: nobody.id}
    await ann.call("publish", channel="mine:a", type=1, data=1)
    assert await state_of(server, "mine:a") == {"ann": 1}
    assert await nobody.refusal("publish", channel="mine:a", type=1, key="ann", data=2) == 103
    assert (await Mirror(nobody, "mine:a").take_up())["publish_debounce"] == 300


@pytest.mark.trio
async def test_map_has_no_history_of_a_stream(server: Server) -> None:
    client = await server.client()
    assert await client.refusal("history", channel=CHANNEL, limit=-1) == 107
    assert (await server.api("history_remove", channel=CHANNEL))["error"]["code"] == 107


@pytest.mark.trio
async def test_bounds_of_a_map_are_told_to_its_publisher(server: Server) -> None:
    for key in ("a", "b"):
        await put(server, key, 1, channel="tight:a")
    refused = await server.api("map_publish", channel="tight:a", key="c", data=1)
    assert refused["error"]["code"] == 107
    assert "has 2 keys, its limit (key_limit)" in refused["error"]["message"]
    await remove(server, "a", channel="tight:a")
    assert await put(server, "c", 1, channel="tight:a")


@pytest.mark.trio
async def test_subscribers_of_a_map_are_told_who_comes(server: Server) -> None:
    first, second = await server.client(sign(sub="ann")), await server.client(sign(sub="bob"))
    await Mirror(first, "met:a").take_up()
    assert (await first.push())["join"]["info"]["user"] == "ann"
    await Mirror(second, "met:a").take_up()
    assert (await first.push())["join"]["info"]["user"] == "bob"


@pytest.mark.trio
async def test_backend_can_subscribe_nobody_to_a_map_and_end_a_subscription(server: Server) -> None:
    client = await server.client(sign(sub="ann"))
    assert (await server.api("subscribe", user="ann", channel=CHANNEL))["error"]["code"] == 107
    await Mirror(client).take_up()
    await server.api("unsubscribe", user="ann", channel=CHANNEL)
    assert (await client.push())["unsubscribe"]["code"] == 2000


@pytest.mark.trio
async def test_token_that_grants_a_map_lets_its_bearer_read_it_in_pages(server: Server) -> None:
    await put(server, "k", 1, channel="botstate:bob")
    client = await server.upgraded()
    hello = await client.connect(token=sign(sub="ann", channels=["botstate:bob"]))
    assert "subs" not in hello
    mirror = Mirror(client, "botstate:bob")
    await mirror.take_up()
    assert mirror.state == {"k": 1}


@pytest.mark.trio
async def test_subscriber_who_never_reads_is_cut_and_comes_back_to_the_state() -> None:
    async with running(namespaces=MAPS, limits={"outbox_bytes": 65_536}) as server:
        mirror = Mirror(await server.client())
        mirror.client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        live = await mirror.take_up()
        number = 0
        while (await server.api("info"))["result"]["nodes"][0]["num_clients"]:
            await put(server, f"k{number % 7}", "x" * 2_000 + str(number))
            number += 1
        place = {"offset": 0, "epoch": live["epoch"]}
        with suppress(EOFError, trio.BrokenResourceError):
            while True:
                if (pushed := (await mirror.client.push()).get("pub")) is not None:
                    assert pushed["offset"] == place["offset"] + 1
                    place["offset"] = pushed["offset"]
                    mirror.apply(pushed)
        late = Mirror(await server.client())
        late.state = mirror.state
        reply = await late.come_back(place)
        while "phase" in reply:
            reply = await late.come_back(reply)
        assert reply["recovered"]
        assert late.state == await state_of(server)


SIMULATOR = {"enabled": True, "rate": 200, "seed": 7}


async def follow(mirror: Mirror, offset: int, until: int) -> None:
    """Take pushes from one offset to another, none left out."""
    while offset < until:
        pushed = (await mirror.client.push())["pub"]
        offset += 1
        assert pushed["offset"] == offset
        mirror.apply(pushed)


@pytest.mark.trio
@pytest.mark.parametrize(("channel", "member"), [("botstate:paper", "phase"), ("open_orders:paper", "order")])
async def test_bots_and_open_orders_are_maps_of_the_market(channel: str, member: str) -> None:
    async with running(simulator=SIMULATOR) as server:
        early = Mirror(await server.client(), channel)
        live = await early.take_up()
        offset = live.get("offset", 0)
        while not early.state:
            await follow(early, offset, offset + 1)
            offset += 1
        assert all(member in entry for entry in early.state.values())
        await early.client.call("unsubscribe", channel=channel)
        late = Mirror(await server.client(), channel)
        late.state = early.state
        back = await late.come_back({"offset": offset, "epoch": live["epoch"]})
        assert back["recovered"]
        fresh = Mirror(await server.client(), channel)
        await follow(late, back["offset"], (await fresh.take_up())["offset"])
        assert late.state == fresh.state


@pytest.mark.trio
async def test_operator_sees_what_was_missed_counted_as_resent(server: Server) -> None:
    await put(server, "a", 1)
    client = await server.client()
    live = await Mirror(client).take_up()
    await client.call("unsubscribe", channel=CHANNEL)
    await put(server, "a", 2)
    await Mirror(client).come_back(live)
    operator = await server.client(sign(KEYS.operator, sub="root"))
    ledger = (await operator.call("rpc", method="ops.ledger", data={"client": client.id}))["data"]
    assert ledger["channels"][CHANNEL]["resent"] == 1
