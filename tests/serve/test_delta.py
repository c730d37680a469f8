"""Fossil deltas on real sockets, decoded as SDKs decode them."""

from typing import Any

import orjson
import pytest

from monitor.serve.subscription import CHAINED_MAX
from tests.broadcast.chain import ChainReader
from tests.serve.running import Server, running
from tests.serve.wire import Client

pytestmark = pytest.mark.trio

NAMESPACES: dict[str, Any] = {"prices": {"delta": True, "history_size": 10, "publish": True}, "plain": {}}
FOSSIL = {"delta": "fossil"}


def payload(number: int) -> dict[str, Any]:
    return {"market": "sim.BTCUSDT", "note": 'a "quoted" text, and é', "n": number, "pad": "x" * 60}


async def next_text(client: Client, reader: ChainReader) -> int:
    return int(orjson.loads(reader.read((await client.push())["pub"]))["n"])


async def test_members_who_keep_up_share_one_change() -> None:
    async with running(namespaces=NAMESPACES) as server:
        clients = [await server.client(extensions=offer) for offer in ("", "", "permessage-deflate")]
        readers = [ChainReader() for _ in clients]
        for client in clients:
            assert (await client.call("subscribe", channel="prices:a", **FOSSIL))["delta"]
        for number in range(4):
            await server.publish("prices:a", payload(number))
            for client, reader in zip(clients, readers, strict=True):
                assert await next_text(client, reader) == number
        assert [reader.deltas for reader in readers] == [3, 3, 3]
        plain = [client.frames[-1].payload for client in clients[:2]]
        assert plain[0] == plain[1]
        assert len(plain[0]) < 160


async def test_a_recovered_list_is_a_chain_and_what_follows_can_be_read() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client, reader = await server.client(), ChainReader()
        for number in range(4):
            await server.publish("prices:a", payload(number))
        result = await client.call("subscribe", channel="prices:a", recover=True, offset=1, **FOSSIL)
        assert (result["delta"], result["recovered"]) == (True, True)
        for publication in result["publications"]:
            reader.read(publication)
        assert (len(reader.texts), reader.deltas) == (3, 2)
        for number in range(4, 6):
            await server.publish("prices:a", payload(number))
            assert await next_text(client, reader) == number


async def test_long_list_is_recovered_in_full() -> None:
    """To make changes of it would hold up all others."""
    async with running(namespaces={"prices": {"delta": True, "history_size": 100}}) as server:
        client, reader = await server.client(), ChainReader()
        for number in range(CHAINED_MAX + 2):
            await server.publish("prices:a", payload(number))
        result = await client.call("subscribe", channel="prices:a", recover=True, offset=1, **FOSSIL)
        for publication in result["publications"]:
            reader.read(publication)
        assert (len(reader.texts), reader.deltas) == (CHAINED_MAX + 1, 0)
        await server.publish("prices:a", payload(99))
        assert await next_text(client, reader) == 99


async def test_who_recovers_nothing_begins_in_full() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await server.client()
        await server.publish("prices:a", payload(0))
        result = await client.call("subscribe", channel="prices:a", recover=True, offset=1, **FOSSIL)
        assert (result["recovered"], "publications" in result) == (True, False)
        await server.publish("prices:a", payload(1))
        assert "delta" not in (await client.push())["pub"]


async def test_history_is_never_told_in_changes() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await server.client()
        await client.call("subscribe", channel="prices:a", **FOSSIL)
        await client.call("publish", channel="prices:a", data=payload(7))
        kept = (await client.call("history", channel="prices:a", limit=-1))["publications"]
        assert kept[0]["data"] == payload(7)
        push = (await client.push())["pub"]
        assert isinstance(push["data"], str)
        assert push["info"]["client"] == client.id


async def test_a_namespace_without_deltas_does_not_negotiate_them() -> None:
    async with running(namespaces=NAMESPACES) as server:
        client = await server.client()
        assert "delta" not in await client.call("subscribe", channel="plain:a", **FOSSIL)
        await server.publish("plain:a", payload(1))
        assert await client.publication() == payload(1)


class KeyReader:
    """A client of the protocol that holds a map told in changes: one chain a key."""

    def __init__(self) -> None:
        self.readers: dict[str, ChainReader] = {}
        self.deltas = 0

    def read(self, publication: dict[str, Any]) -> None:
        key = publication["key"]
        if publication.get("removed"):
            assert orjson.loads(publication["data"]) is None
            del self.readers[key]
        else:
            self.readers.setdefault(key, ChainReader()).read(publication)
            self.deltas += "delta" in publication

    @property
    def state(self) -> dict[str, Any]:
        return {key: orjson.loads(reader.text or b"") for key, reader in self.readers.items()}


MAPS: dict[str, Any] = {
    "bag": {"delivery": "map", "delta": True, "history_size": 50},
    "tick": {"delivery": "map", "delta": True, "history_size": 50, "gather": True},
    "cursor": {"delivery": "map", "delta": True, "key_seconds": 3600},
    "plain": {"delivery": "map", "history_size": 50},
}


async def put(server: Server, channel: str, key: str, number: int) -> None:
    await server.api("map_publish", channel=channel, key=key, data=payload(number))


async def take_up(client: Client, channel: str, reader: KeyReader, **members: Any) -> dict[str, Any]:
    """One request that is answered live."""
    wish = {"channel": channel, "type": 1, "phase": 2} | FOSSIL | members
    live = await client.call("subscribe", **wish)
    assert live["delta"]
    for publication in [*live.get("state", ()), *live.get("publications", ())]:
        assert "delta" not in publication
        reader.read(publication)
    return live


@pytest.mark.parametrize("channel", ["bag:a", "cursor:a", "tick:a"])
async def test_first_push_of_a_map_is_a_change_of_what_the_key_held(channel: str) -> None:
    async with running(namespaces=MAPS) as server:
        for number, key in enumerate("ab"):
            await put(server, channel, key, number)
        client, reader = await server.client(), KeyReader()
        await take_up(client, channel, reader)
        for number, key in ((2, "b"), (3, "a"), (4, "b"), (5, "new"), (6, "new")):
            await put(server, channel, key, number)
            reader.read((await client.push())["pub"])
        assert reader.state == {"a": payload(3), "b": payload(4), "new": payload(6)}
        assert reader.deltas == 4


async def test_removal_in_a_map_of_changes_is_a_readable_null_and_the_key_begins_in_full() -> None:
    async with running(namespaces=MAPS) as server:
        await put(server, "bag:a", "k", 1)
        client, reader = await server.client(), KeyReader()
        await take_up(client, "bag:a", reader)
        await server.api("map_remove", channel="bag:a", key="k")
        assert (await client.push())["pub"] == {"data": "null", "key": "k", "removed": True, "offset": 2}
        await put(server, "bag:a", "k", 2)
        assert "delta" not in (await client.push())["pub"]


async def test_gathered_changes_of_one_key_are_read_one_after_the_other() -> None:
    async with running(namespaces=MAPS) as server:
        clients = [await server.client(extensions=offer) for offer in ("", "permessage-deflate")]
        readers = [KeyReader() for _ in clients]
        for client, reader in zip(clients, readers, strict=True):
            await take_up(client, "tick:a", reader)
        commands = [{"map_publish": {"channel": "tick:a", "key": "k", "data": payload(n)}} for n in range(3)]
        commands += [{"map_remove": {"channel": "tick:a", "key": "k"}}, commands[0], commands[1]]
        await server.api("batch", commands=commands)
        for client, reader in zip(clients, readers, strict=True):
            for _ in commands:
                reader.read((await client.push())["pub"])
            assert (reader.state, reader.deltas) == ({"k": payload(1)}, 3)


async def test_map_of_changes_recovers_in_full_and_goes_on_in_changes() -> None:
    async with running(namespaces=MAPS) as server:
        for number, key in enumerate("ab"):
            await put(server, "bag:a", key, number)
        client, reader = await server.client(), KeyReader()
        live = await take_up(client, "bag:a", reader)
        await client.call("unsubscribe", channel="bag:a")
        for number in (2, 3):
            await put(server, "bag:a", "a", number)
        since = {"phase": 1, "recover": True, "offset": live["offset"], "epoch": live["epoch"]}
        back = await take_up(client, "bag:a", reader, **since)
        assert (back["recovered"], len(back["publications"])) == (True, 2)
        for number, key in ((4, "b"), (5, "a")):
            await put(server, "bag:a", key, number)
            reader.read((await client.push())["pub"])
        assert (reader.state, reader.deltas) == ({"a": payload(5), "b": payload(4)}, 2)


async def test_a_map_without_deltas_does_not_negotiate_them() -> None:
    async with running(namespaces=MAPS) as server:
        await put(server, "plain:a", "k", 1)
        client = await server.client()
        live = await client.call("subscribe", channel="plain:a", type=1, phase=2, **FOSSIL)
        assert "delta" not in live
        assert live["state"][0]["data"] == payload(1)
