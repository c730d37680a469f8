"""How many channels there may be, by who has spoken in them, and which ones make room for others."""

import pytest
import trio

from monitor.broadcast.channel import Voice
from monitor.broadcast.hub import TooMany
from monitor.broadcast.rooms import PLACE_SHARE
from tests.broadcast.stage import payloads, start

pytestmark = pytest.mark.trio


async def test_the_oldest_channel_that_nobody_watches_makes_room_for_a_new_one(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"channels": 2})
    stage.join("tape:watched")
    for name in ("tape:watched", "tape:old", "tape:new"):
        stage.hub.publish(name, b"1")
    assert [stage.hub.stream(f"tape:{name}").offset for name in ("watched", "old", "new")] == [1, 0, 1]


async def test_names_that_clients_invent_take_no_room_of_what_is_published(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"channels": 3})
    stage.hub.publish("tape:kept", b"1")
    stage.join("tape:x1", "tape:x2", "tape:x3")
    with pytest.raises(TooMany, match=r"limits\.channels"):
        stage.join("tape:x4")
    assert stage.health.no_room_ns == {"nobody": 0}
    stage.join("tape:kept", "orders:ann", "$tape:granted")
    assert stage.hub.stream("tape:kept").offset == 1


async def test_names_that_clients_of_one_place_invent_are_a_part_of_those_that_all_may(
    nursery: trio.Nursery,
) -> None:
    stage = await start(nursery, limits={"channels": 10 * PLACE_SHARE})
    crowd = [stage.join()[0] for _ in range(12)]
    for client in crowd[:11]:
        client.place = "203.0.113.9"
    for number, client in enumerate(crowd[:10]):
        stage.hub.subscribe(f"tape:{number}", client, b"{}")
    with pytest.raises(TooMany, match=r"of 203\.0\.113\.9 .*limits\.channels"):
        stage.hub.subscribe("tape:10", crowd[10], b"{}")
    assert stage.health.no_room_ns == {}
    for name, client in (("tape:10", crowd[11]), ("tape:10", crowd[10]), ("$tape:a", crowd[10])):
        stage.hub.subscribe(name, client, b"{}")
    stage.hub.publish("tape:0", b"1")
    stage.hub.leave(crowd[1])
    for number in (11, 12):
        stage.hub.subscribe(f"tape:{number}", crowd[10], b"{}")
    with pytest.raises(TooMany):
        stage.hub.subscribe("tape:13", crowd[10], b"{}")


async def test_clients_who_publish_make_room_among_their_own(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"channels": 2})
    stage.hub.publish("tape:kept", b"1")
    for number in range(3):
        stage.hub.publish(f"tape:{number}", b"1", voice=Voice.CLIENTS)
    assert stage.health.channel_counts() == {"nobody": 0, "clients": 2, "server": 1}
    assert [stage.hub.stream(name).offset for name in ("tape:kept", "tape:0", "tape:2")] == [1, 0, 1]


@pytest.mark.parametrize("voice", [Voice.CLIENTS, Voice.SERVER])
async def test_channels_that_were_waited_in_and_then_published_to_are_bounded(
    nursery: trio.Nursery, voice: Voice
) -> None:
    stage = await start(nursery, limits={"channels": 3})
    for number in range(10):
        client, _ = stage.join(f"tape:{number}")
        stage.hub.publish(f"tape:{number}", b"1", voice=voice)
        stage.hub.leave(client)
    assert stage.health.channel_counts()[voice.name.lower()] == 3
    assert stage.hub.stream("tape:9").offset == 1


async def test_clients_find_no_more_channels_to_publish_to_than_may_be(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"channels": 2})
    stage.join("tape:0", "tape:1")
    for number in range(2):
        stage.hub.publish(f"tape:{number}", b"1", voice=Voice.CLIENTS)
    stage.join("tape:2")
    with pytest.raises(TooMany, match=r"limits\.channels"):
        stage.hub.publish("tape:2", b"1", voice=Voice.CLIENTS)
    stage.hub.publish("tape:2", b"1")


async def test_channel_that_clients_wait_in_counts_among_the_others_once_it_is_published_to(
    nursery: trio.Nursery,
) -> None:
    stage = await start(nursery, limits={"channels": 1})
    _, wire = stage.join("news:a")
    stage.hub.publish("tape:full", b"1")
    stage.hub.publish("news:a", b"1")
    assert payloads(wire) == [1]
    assert stage.health.channel_counts() == {"nobody": 0, "clients": 0, "server": 1}
    stage.join("news:b")
