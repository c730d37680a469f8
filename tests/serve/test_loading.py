"""Taking a map up: pages of its state, the stream that brings what changes meanwhile, and live."""

from typing import Any

import pytest
import trio

from monitor.serve import loading
from tests.serve.mirror import CHANNEL, MAPS, Mirror, put, remove, state_of
from tests.serve.mirror import server as server
from tests.serve.running import Server, running, sign


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
