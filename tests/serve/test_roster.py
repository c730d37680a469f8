"""Maps that list who is subscribed: there once he has his reply, and gone when he goes."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from monitor.broadcast.channel import Voice
from monitor.broadcast.maps import Maps
from monitor.config import Settings
from monitor.serve.roster import RETRY_SECONDS, Entry
from monitor.serve.timers import Timers
from tests.broadcast.stage import Stage
from tests.serve.mirror import Mirror, state_of
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

pytestmark = pytest.mark.trio

NAMESPACES: dict[str, Any] = {
    "chat": {"listed_in": ["here", "people"]},
    "bag": {"delivery": "map", "history_size": 9, "listed_in": ["here"]},
    "desk": {"access": "token", "listed_in": ["here"]},
    "here": {"delivery": "map", "lists": "clients", "history_size": 50},
    "people": {"delivery": "map", "lists": "users", "key_seconds": 1, "history_size": 50},
    "plain": {"delivery": "map", "history_size": 9},
    "vault": {"access": "operator", "listed_in": ["here"]},
}


class Watcher(Mirror):
    """Holds a list of who is there, which is asked for by its own type."""

    def __init__(self, client: Client, channel: str) -> None:
        super().__init__(client, channel, limit=100)
        self.type = {"here": 2, "people": 3}[channel.partition(":")[0]]

    async def watch(self) -> "Watcher":
        live = await self.client.call("subscribe", channel=self.channel, type=self.type, phase=2)
        assert live["type"] == 1
        for entry in live.get("state", []):
            self.apply(entry)
        return self

    def apply(self, publication: dict[str, Any]) -> None:
        super().apply(publication | {"data": publication.get("info")})

    async def next(self) -> str:
        """Who came or went."""
        publication = (await self.client.push())["pub"]
        self.apply(publication)
        return f"{'-' if publication.get('removed') else '+'}{publication['key']}"


async def watching(server: Server, channel: str) -> Watcher:
    return await Watcher(await server.client(), channel).watch()


async def test_client_is_listed_after_its_reply_and_goes_when_it_unsubscribes_or_leaves() -> None:
    async with running(namespaces=NAMESPACES) as server:
        watcher = await watching(server, "here:chat:a")
        ann = await server.subscriber("chat:a", token=sign(sub="ann", info={"name": "Ann"}))
        assert await watcher.next() == f"+{ann.id}"
        assert watcher.state == {ann.id: {"user": "ann", "client": ann.id, "conn_info": {"name": "Ann"}}}
        nobody = await server.subscriber("chat:a")
        assert await watcher.next() == f"+{nobody.id}"
        await ann.call("unsubscribe", channel="chat:a")
        assert await watcher.next() == f"-{ann.id}"
        await nobody.stream.aclose()
        assert await watcher.next() == f"-{nobody.id}"
        assert watcher.state == {}


async def test_client_who_watches_the_list_itself_has_its_reply_before_its_entry() -> None:
    async with running(namespaces=NAMESPACES) as server:
        watcher = await watching(server, "here:bag:a")
        await watcher.client.say(
            {"id": 90, "subscribe": {"channel": "bag:a", "type": 1, "phase": 2}},
            {"id": 91, "subscribe": {"channel": "chat:a"}},
        )
        told = [await watcher.client.document() for _ in range(3)]
        order = [document.get("id", "entry") for document in told]
        assert order.index(90) < order.index("entry")
        (entry,) = [document["push"]["pub"] for document in told if "push" in document]
        assert entry["key"] == watcher.client.id


async def test_who_leaves_at_once_is_not_listed_any_more() -> None:
    async with running(namespaces=NAMESPACES) as server:
        watcher = await watching(server, "here:chat:a")
        brief = await server.client()
        await brief.say(
            {"id": 90, "subscribe": {"channel": "chat:a"}}, {"id": 91, "unsubscribe": {"channel": "chat:a"}}
        )
        after = await server.subscriber("chat:a")
        while await watcher.next() != f"+{after.id}":  # a slow machine has time to list him
            pass
        assert watcher.state.keys() == {after.id}


async def test_lists_of_names_that_strangers_invent_push_out_nothing_of_a_backends() -> None:
    async with running(
        namespaces=NAMESPACES | {"kept": {"history_size": 9}}, limits={"channels": 3}
    ) as server:
        first = await server.publish("kept:a", 1)
        for number in range(5):
            client = await server.subscriber(f"chat:{number}")
            await client.call("unsubscribe", channel=f"chat:{number}")
        await server.publish("kept:b", 1)
        assert await server.publish("kept:a", 2) == {"offset": 2, "epoch": first["epoch"]}


async def test_server_side_subscribers_are_listed_too() -> None:
    async with running(namespaces=NAMESPACES) as server:
        watcher = await watching(server, "here:chat:a")
        ann = await server.client(sign(sub="ann", channels=["chat:a"]))
        assert await watcher.next() == f"+{ann.id}"
        await server.api("unsubscribe", user="ann", channel="chat:a")
        assert await watcher.next() == f"-{ann.id}"


async def test_user_is_listed_once_for_all_his_clients_and_goes_after_the_last() -> None:
    async with running(namespaces=NAMESPACES) as server:
        watcher = await watching(server, "people:chat:a")
        clients = [await server.subscriber("chat:a", token=sign(sub="ann")) for _ in range(2)]
        await server.subscriber("chat:a")
        assert await watcher.next() == "+ann"
        await clients[0].call("unsubscribe", channel="chat:a")
        assert (await state_of(server, "people:chat:a")).keys() == {"ann"}
        await clients[1].stream.aclose()
        assert await watcher.next() == "-ann"


class Clock(Stage):
    def clock_ns(self) -> int:
        return int(trio.current_time() * 1e9)


async def open_house(nursery: trio.Nursery, **limits: int) -> Any:
    """What an entry needs of the house, on the loop's clock."""
    hub = Clock(Settings.model_validate({"namespaces": NAMESPACES, "limits": limits})).hub
    house = SimpleNamespace(hub=hub, maps=Maps(hub), timers=Timers())
    await nursery.start(house.maps.run)
    await nursery.start(house.timers.run)
    return house


def present(house: Any, channel: str) -> list[str]:
    with house.maps.reading(channel) as keyed:
        return list(keyed)


async def test_entry_by_user_is_kept_alive_without_a_word_and_goes_by_its_time(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    house = await open_house(nursery)
    entry = Entry(house, "people:chat:a", "ann", b"{}")
    await trio.sleep(60)
    assert present(house, "people:chat:a") == ["ann"]
    assert house.hub.stream("people:chat:a").offset == 1
    entry.end()
    assert present(house, "people:chat:a") == ["ann"]
    await trio.sleep(2.5)
    assert present(house, "people:chat:a") == []


async def test_entry_that_finds_no_room_is_made_once_there_is_some(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    house = await open_house(nursery, channels=1)
    client, _ = Stage(Settings()).join()
    house.hub.subscribe("plain:a", client, b"")
    house.maps.put("plain:a", "key", b"1", voice=Voice.CLIENTS)
    entry = Entry(house, "here:chat:a", "c1", b"{}")
    await trio.sleep(4.5)
    assert house.hub.health.totals.refused["roster"] == 5
    house.hub.unsubscribe("plain:a", client)
    await trio.sleep(RETRY_SECONDS)
    assert present(house, "here:chat:a") == ["c1"]
    entry.end()
    assert present(house, "here:chat:a") == []


async def test_list_is_asked_for_by_its_own_type() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await server.client()
        for channel, kind in (("here:chat:a", 1), ("here:chat:a", 3), ("people:chat:a", 2), ("plain:a", 2)):
            assert await client.refusal("subscribe", channel=channel, type=kind, phase=2) == 103
        assert await client.refusal("subscribe", channel="here:nowhere:a", type=2, phase=2) == 102
        assert await client.refusal("publish", channel="here:chat:a", type=1, key="x", data=1) == 103


async def test_who_is_there_is_shown_to_those_who_may_be_there() -> None:
    async with running(namespaces=NAMESPACES) as server:
        ann = await server.client(sign(sub="ann"))
        for channel in ("here:desk:bob", "here:$chat:a", "here:chat:a#bob"):
            assert await ann.refusal("subscribe", channel=channel, type=2, phase=2) == 103
        await Watcher(ann, "here:desk:ann").watch()
        granted = await server.client(sign(sub="eve", channels=["here:desk:ann"]))
        await Watcher(granted, "here:desk:ann").watch()
        operator = await server.client(sign(KEYS.operator, sub="root"))
        for channel in ("here:desk:ann", "here:vault:a"):
            await Watcher(operator, channel).watch()
        bold = await server.client(sign(sub="bob", channels=["here:vault:a"]))
        assert await bold.refusal("subscribe", channel="here:vault:a", type=2, phase=2) == 103
