"""The market's state in a map: taken over by comparing, and nobody else's keys with it."""

import orjson
import pytest
import trio
from trio.testing import MockClock

from monitor.broadcast.hub import BadPublication, TooMany
from monitor.broadcast.maps import Maps, Placed
from monitor.broadcast.rooms import PLACE_SHARE
from monitor.config import Limits, Namespace, Settings
from tests.broadcast.stage import Stage

CHANNEL = "bag:a"


def open_stage(channels: int = 1, **changes: object) -> Stage:
    bag = Namespace.model_validate({"delivery": "map", "history_size": 50} | changes)
    return Stage(Settings(namespaces={"bag": bag, "chat": Namespace()}, limits=Limits(channels=channels)))


def open_maps() -> Maps:
    return Maps(open_stage().hub)


def state(maps: Maps) -> dict[str, object]:
    with maps.reading(CHANNEL) as keyed:
        return {key: orjson.loads(entry.data) for key in keyed if (entry := keyed.get(key)) is not None}


def offset(maps: Maps) -> int:
    with maps.reading(CHANNEL) as keyed:
        return keyed.stream.offset


def test_channel_takes_over_what_differs_and_nothing_else() -> None:
    maps = open_maps()
    maps.adopt(CHANNEL, b'{"a":1,"b":2}')
    assert (state(maps), offset(maps)) == ({"a": 1, "b": 2}, 2)
    maps.adopt(CHANNEL, b'{"a":1,"b":2}')
    assert offset(maps) == 2
    maps.adopt(CHANNEL, b'{"b":3,"c":4}')
    assert (state(maps), offset(maps)) == ({"b": 3, "c": 4}, 5)


def test_changes_set_and_remove_keys() -> None:
    maps = open_maps()
    maps.adopt(CHANNEL, b'{"a":1,"b":2}')
    maps.follow(CHANNEL, b'{"a":null,"b":3,"c":4}')
    assert state(maps) == {"b": 3, "c": 4}


def test_keys_of_outside_publishers_stay_when_the_market_shows_others() -> None:
    maps = open_maps()
    maps.put(CHANNEL, "own", b'"mine"')
    maps.adopt(CHANNEL, b'{"a":1}')
    maps.adopt(CHANNEL, b"{}")
    assert state(maps) == {"own": "mine"}


def test_maps_that_clients_of_one_place_take_up_are_a_part_of_those_that_all_may() -> None:
    stage = open_stage(PLACE_SHARE)
    maps, (client, _) = Maps(stage.hub), stage.join()
    client.place = "203.0.113.9"
    with maps.reading("bag:a", client.place):
        stage.hub.subscribe("bag:a", client, b"{}")
    with pytest.raises(TooMany), maps.reading("bag:b", client.place):
        pass
    with maps.reading("bag:b", "203.0.113.10"):
        pass


def test_key_of_the_market_that_finds_no_room_is_counted_and_the_rest_goes_on() -> None:
    stage = open_stage(key_limit=1)
    maps = Maps(stage.hub)
    maps.adopt(CHANNEL, b'{"a":1,"b":2}')
    assert state(maps) == {"a": 1}
    assert stage.health.totals.refused["key"] == 1


def test_channel_that_is_no_map_is_told_so_and_not_kept() -> None:
    hub = open_stage().hub
    with pytest.raises(BadPublication, match="no map"):
        Maps(hub).put("chat:a", "k", b"1")
    with pytest.raises(BadPublication, match="publish to one of its keys"):
        hub.publish(CHANNEL, b"1")
    assert hub.channel("chat:a") is hub.channel(CHANNEL) is None
    Maps(hub).put(CHANNEL, "k", b"1")
    with pytest.raises(BadPublication, match="no map"):
        Maps(hub).put("chat:a", "k", b"1")
    assert hub.channel(CHANNEL) is not None, "nothing made room for what is refused"


def test_reading_an_unused_map_leaves_nothing_behind() -> None:
    hub = open_stage().hub
    maps = Maps(hub)
    assert state(maps) == {}
    assert maps.remove(CHANNEL, "a").suppressed
    assert hub.channel(CHANNEL) is None


def test_forgotten_map_begins_anew_under_another_epoch() -> None:
    maps = open_maps()
    first = maps.put(CHANNEL, "a", b"1")
    maps.put("bag:other", "a", b"1")
    again = maps.put(CHANNEL, "b", b"1")
    assert first.position is not None
    assert again.position is not None
    assert again.position.offset == 1
    assert again.position.epoch != first.position.epoch
    assert state(maps) == {"b": 1}


@pytest.mark.trio
async def test_keys_that_nobody_writes_go_within_a_second(autojump_clock: MockClock) -> None:
    class Clock(Stage):
        def clock_ns(self) -> int:
            return int(trio.current_time() * 1e9)

    bag = Namespace.model_validate({"delivery": "map", "key_seconds": 5})
    maps = Maps(Clock(Settings(namespaces={"bag": bag})).hub)
    async with trio.open_nursery() as nursery:
        await nursery.start(maps.run)
        assert maps.put(CHANNEL, "a", b"1") == Placed(None)
        await trio.sleep(3)
        maps.put(CHANNEL, "b", b"1")
        await trio.sleep(1.5)
        assert state(maps) == {"a": 1, "b": 1}
        await trio.sleep(2)
        assert state(maps) == {"b": 1}
        await trio.sleep(3)
        assert state(maps) == {}
        nursery.cancel_scope.cancel()
