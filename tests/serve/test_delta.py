"""Fossil deltas on real sockets, decoded as SDKs decode them."""

from typing import Any

import orjson
import pytest

from tests.broadcast.chain import ChainReader
from tests.serve.running import running
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
