"""Maps by the client protocol: what a client does with pages, stream and pushes ends in the state."""

import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import trio

from monitor.serve import loading
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

CHANNEL = "bag:a"
MAPS = {
    "bag": {"delivery": "map", "history_size": 5_000, "publish": True, "presence": True},
    "short": {"delivery": "map", "history_size": 2},
    "tight": {"delivery": "map", "history_size": 50, "key_limit": 2},
    "cursor": {"delivery": "map", "key_seconds": 3600, "publish": True},
    "brief": {"delivery": "map", "key_seconds": 1, "history_size": 50},
    "own": {"delivery": "map", "history_size": 9, "publish": True, "client_key": "client_id"},
    "mine": {
        "delivery": "map",
        "history_size": 9,
        "publish": True,
        "client_key": "user_id",
        "publish_debounce_ms": 300,
    },
    "met": {"delivery": "map", "history_size": 9, "join_leave": True},
    "chat": {"publish": True},
}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(namespaces=MAPS) as server:
        yield server


class Mirror:
    """A client of the protocol that holds a map's state, and counts what it was sent to get it."""

    def __init__(self, client: Client, channel: str = CHANNEL, **wish: Any) -> None:
        self.client = client
        self.channel = channel
        self.wish = wish
        self.state: dict[str, Any] = {}
        self.replies: list[dict[str, Any]] = []

    async def ask(self, phase: int, **members: Any) -> dict[str, Any]:
        reply = await self.client.call(
            "subscribe", channel=self.channel, type=1, phase=phase, **self.wish, **members
        )
        assert reply["type"] == 1
        self.replies.append(reply)
        for entry in reply.get("state", []):
            assert "removed" not in entry
            self.apply(entry)
        for publication in reply.get("publications", []):
            self.apply(publication)
        return reply

    def apply(self, publication: dict[str, Any]) -> None:
        if publication.get("removed"):
            self.state.pop(publication["key"], None)
        else:
            self.state[publication["key"]] = publication["data"]

    async def take_up(self) -> dict[str, Any]:
        """From the first page to live, as the protocol's clients do it."""
        reply = first = await self.ask(2)
        while reply.get("phase") == 2 and "cursor" in reply:
            place = {name: first[name] for name in ("offset", "epoch") if name in first}
            reply = await self.ask(2, cursor=reply["cursor"], **place)
        offset = first.get("offset", 0)
        while "phase" in reply:
            reply = await self.ask(1, offset=offset, epoch=first["epoch"])
            offset = reply["offset"]
        return reply

    async def come_back(self, live: dict[str, Any]) -> dict[str, Any]:
        """From where a live reply said that it was."""
        return await self.ask(1, recover=True, offset=live["offset"], epoch=live["epoch"])


async def put(server: Server, key: str, data: Any, channel: str = CHANNEL, **members: Any) -> Any:
    return (await server.api("map_publish", channel=channel, key=key, data=data, **members))["result"]


async def remove(server: Server, key: str, channel: str = CHANNEL) -> Any:
    return (await server.api("map_remove", channel=channel, key=key))["result"]


async def state_of(server: Server, channel: str = CHANNEL) -> dict[str, Any]:
    read = (await server.api("map_read_state", channel=channel, limit=1000))["result"]
    return {entry["key"]: entry["data"] for entry in read["entries"]}


@pytest.mark.trio
async def test_empty_map_is_live_at_once(server: Server) -> None:
    live = await Mirror(await server.client()).take_up()
    assert live == {"type": 1, "epoch": live["epoch"], "recoverable": True}


@pytest.mark.trio
async def test_small_map_is_live_with_its_first_page_and_then_gets_pushes(server: Server) -> None:
    await put(server, "b", 2)
    await put(server, "a", 1)
    client = await server.client()
    live = await Mirror(client).take_up()
    assert [(entry["key"], entry["offset"]) for entry in live["state"]] == [("a", 2), ("b", 1)]
    assert live["offset"] == 2
    await put(server, "a", {"n": 3}, tags={"t": "x"})
    assert (await client.push())["pub"] == {"data": {"n": 3}, "key": "a", "offset": 3, "tags": {"t": "x"}}
    await remove(server, "a")
    assert (await client.push())["pub"] == {
        "data": None,
        "key": "a",
        "removed": True,
        "offset": 4,
        "tags": {"t": "x"},
    }


@pytest.mark.trio
async def test_pages_are_as_small_as_was_asked_and_hold_every_key_once(server: Server) -> None:
    for number in range(7):
        await put(server, f"k{number}", number)
    mirror = Mirror(await server.client(), limit=3)
    await mirror.take_up()
    assert [[entry["key"] for entry in reply["state"]] for reply in mirror.replies[:3]] == [
        ["k0", "k1", "k2"],
        ["k3", "k4", "k5"],
        ["k6"],
    ]
    assert [reply.get("phase", 0) for reply in mirror.replies[:2]] == [2, 2]
    assert mirror.state == await state_of(server)


@pytest.mark.trio
async def test_page_has_a_hundred_entries_if_nothing_else_is_asked(server: Server) -> None:
    for number in range(101):
        await put(server, f"k{number:03}", number)
    mirror = Mirror(await server.client())
    await mirror.take_up()
    assert [len(reply.get("state", [])) for reply in mirror.replies] == [100, 1]


@pytest.mark.trio
async def test_page_is_bounded_in_bytes(server: Server) -> None:
    for number in range(5):
        await put(server, f"k{number}", "x" * 30_000)
    mirror = Mirror(await server.client())
    await mirror.take_up()
    assert [len(reply.get("state", [])) for reply in mirror.replies] == [2, 2, 1]


@pytest.mark.trio
async def test_changes_between_pages_come_by_the_stream(server: Server) -> None:
    for number in range(6):
        await put(server, f"k{number}", number)
    mirror = Mirror(await server.client(), limit=2)
    first = await mirror.ask(2)
    place = {"offset": first["offset"], "epoch": first["epoch"]}
    await put(server, "k0", "changed")
    await put(server, "k3", "changed")
    await remove(server, "k5")
    await put(server, "k9", "new")
    second = await mirror.ask(2, cursor=first["cursor"], **place)
    assert [entry["key"] for entry in second["state"]] == ["k2", "k4"]
    assert (second["offset"], second["epoch"]) == (first["offset"], first["epoch"])
    assert "cursor" not in second
    assert second["phase"] == 2
    page = await mirror.ask(1, **place)
    assert (page["phase"], page["offset"], len(page["publications"])) == (1, 8, 2)
    live = await mirror.ask(1, offset=page["offset"], epoch=page["epoch"])
    assert (live["offset"], len(live["publications"])) == (10, 2)
    assert "recovered" not in live
    assert mirror.state == await state_of(server)


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
async def test_what_was_missed_is_told_in_pages_where_it_is_much(server: Server) -> None:
    await put(server, "a", 0)
    mirror = Mirror(await server.client(), limit=4)
    live = await mirror.take_up()
    for number in range(9):
        await put(server, f"k{number}", number)
    late = Mirror(await server.client(), limit=4)
    page = await late.come_back(live)
    sizes = [len(page["publications"])]
    while "phase" in page:
        page = await late.come_back(page | {"epoch": live["epoch"]})
        sizes.append(len(page["publications"]))
    assert sizes == [4, 4, 1]
    assert page["recovered"]
    assert {"a": 0} | late.state == await state_of(server)


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
async def test_reader_whom_the_stream_left_behind_starts_again(server: Server) -> None:
    for number in range(4):
        await put(server, f"k{number}", number, channel="short:a")
    mirror = Mirror(await server.client(), "short:a", limit=2)
    first = await mirror.ask(2)
    for number in range(3):
        await put(server, "k0", number, channel="short:a")
    refused = await mirror.client.refusal(
        "subscribe", channel="short:a", type=1, phase=2, limit=2, cursor=first["cursor"]
    )
    assert refused == 112
    mirror.state.clear()
    await mirror.take_up()
    assert mirror.state == await state_of(server, "short:a")


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
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"channel": CHANNEL}, 103),
        ({"channel": "chat:a", "type": 1, "phase": 2}, 103),
        ({"channel": CHANNEL, "type": 2, "phase": 2}, 103),
        ({"channel": CHANNEL, "type": 1}, 107),
        ({"channel": CHANNEL, "type": 1, "phase": 2, "cursor": "a"}, 103),
        ({"channel": "cursor:a", "type": 1, "phase": 1, "offset": 1}, 107),
        ({"channel": "botstate:somebody", "type": 1, "phase": 2}, 103),
        ({"channel": "nowhere:a", "type": 1, "phase": 2}, 102),
    ],
    ids=["plain", "stream", "presence map", "no phase", "cursor", "ephemeral", "not allowed", "unknown"],
)
async def test_request_that_does_not_fit_is_refused(
    server: Server, request_: dict[str, Any], code: int
) -> None:
    client = await server.client()
    assert await client.refusal("subscribe", **request_) == code
    assert (await server.api("channels"))["result"] == {"channels": {}}


@pytest.mark.trio
async def test_one_client_takes_up_a_map_once_at_a_time(server: Server) -> None:
    for number in range(5):
        await put(server, f"k{number}", number)
    client = await server.client()
    mirror = Mirror(client, limit=2)
    first = await mirror.ask(2)
    members = {"channel": CHANNEL, "type": 1, "phase": 2, "limit": 2}
    assert await client.refusal("subscribe", **members) == 105
    first = await mirror.ask(2)
    assert await client.refusal("subscribe", **members, cursor="k9") == 113
    mirror = Mirror(client, limit=2)
    await mirror.take_up()
    assert await client.refusal("subscribe", **members) == 105
    assert first["cursor"] == "k1"


@pytest.mark.trio
async def test_map_on_the_way_counts_as_one_of_the_clients_channels() -> None:
    async with running(namespaces=MAPS, limits={"channels_per_client": 1}) as server:
        for number in range(3):
            await put(server, f"k{number}", number)
        client = await server.client()
        mirror = Mirror(client, limit=2)
        await mirror.ask(2)
        assert await client.refusal("subscribe", channel="chat:a") == 106
        await client.call("unsubscribe", channel=CHANNEL)
        assert await client.refusal("subscribe", channel="chat:a") == 0


@pytest.mark.trio
async def test_reader_who_takes_too_long_is_closed_as_slow(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "LOADING_SECONDS", 0.05)
    for number in range(3):
        await put(server, f"k{number}", number)
    client = await server.client()
    await Mirror(client, limit=2).ask(2)
    assert await client.closing() == (3008, "slow")


@pytest.mark.trio
async def test_permission_is_asked_for_the_first_page(server: Server) -> None:
    for number in range(3):
        await put(server, f"k{number}", number, channel="botstate:ann")
    mirror = Mirror(await server.client(sign(sub="ann")), "botstate:ann", limit=2)
    await mirror.take_up()
    assert mirror.state == {"k0": 0, "k1": 1, "k2": 2}


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
async def test_state_holds_whatever_happens_while_many_take_it_up(server: Server) -> None:
    """Publishers never stop; readers of small pages still end with the state, pushes included."""

    async def change() -> None:
        for number in range(120):
            key = f"k{number * 7 % 23:02}"
            if number % 5 == 4:
                await remove(server, key, channel="bag:busy")
            else:
                await put(server, key, number, channel="bag:busy")

    mirrors = [Mirror(await server.client(), "bag:busy", limit=limit) for limit in (1, 3, 5, 40)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(change)
        for mirror in mirrors:
            await mirror.take_up()
    for mirror in mirrors:
        for document in await mirror.client.kept():
            mirror.apply(document["push"]["pub"])
        assert mirror.state == await state_of(server, "bag:busy")


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
