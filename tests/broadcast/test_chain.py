"""Publications as changes of the ones before: every client can read every one it gets."""

import random
from typing import Any

import orjson
import pytest
import trio

from monitor.broadcast.chain import chain_documents, link_item
from monitor.broadcast.client import Client
from monitor.broadcast.item import Item, Publication
from monitor.broadcast.recovery import Wish
from monitor.config import Delivery, Lane
from tests.broadcast.chain import ChainReader
from tests.broadcast.stage import Stage, start
from tests.broadcast.wire import FakeWire

CHAIN = Wish(wants_chain=True)


def text(number: int) -> bytes:
    return b'{"name":"a price that changes","currency":"EUR \xe2\x82\xac","value":%d}' % number


def publications(*numbers: int) -> tuple[Publication, ...]:
    return tuple(Publication(text(number), "message", 0, number) for number in numbers)


def test_a_chain_begins_in_full_and_goes_on_in_changes() -> None:
    documents = [orjson.loads(document) for document in chain_documents(None, publications(1, 2, 3))]
    assert [document.get("delta", False) for document in documents] == [False, True, True]
    assert [document["offset"] for document in documents] == [1, 2, 3]
    reader = ChainReader()
    assert [reader.read(document) for document in documents] == [text(1), text(2), text(3)]


def test_what_stands_alone_begins_a_chain_and_is_made_once() -> None:
    item = Item.of("price:x", b'{"push":{"pub":', Lane.NORMAL, Delivery.STREAM, publications(2, 3))
    link = link_item(item, text(1))
    assert link_item(item, text(1)) is link
    assert link.alone is link.alone
    first, second = (orjson.loads(line)["push"]["pub"] for line in link.alone.payload.split(b"\n"))
    assert ("delta" in first, "delta" in second) == (False, True)


def received(wire: FakeWire, reader: ChainReader) -> list[bytes]:
    """What a client can read of all that it got so far."""
    reader.text, reader.texts = None, []
    for document in wire.documents():
        reader.read(orjson.loads(document)["push"]["pub"])
    return reader.texts


@pytest.mark.trio
async def test_who_joins_later_begins_in_full_and_the_others_go_on(nursery: trio.Nursery) -> None:
    stage = await start(nursery, namespaces={"news": {"delta": True}})
    wires = []
    for number in range(3):
        client, wire = stage.join()
        stage.hub.subscribe("news:x", client, b"", CHAIN)
        wires.append(wire)
        stage.hub.publish("news:x", text(number))
    stage.hub.publish("news:x", text(3))
    for number, wire in enumerate(wires):
        reader = ChainReader()
        assert received(wire, reader) == [text(each) for each in range(number, 4)]
        assert reader.deltas == 3 - number


@pytest.mark.trio
async def test_who_did_not_ask_gets_payloads_as_they_are(nursery: trio.Nursery) -> None:
    stage = await start(nursery, namespaces={"news": {"delta": True}, "plain": {}})
    client, _ = stage.join()
    assert not stage.hub.subscribe("plain:x", client, b"", CHAIN).is_chain
    _, wire = stage.join("news:x")
    chain, _ = stage.join()
    assert stage.hub.subscribe("news:x", chain, b"", CHAIN).is_chain
    stage.hub.publish("news:x", text(1))
    assert wire.documents() == [b'{"push":{"channel":"news:x","pub":{"data":%s}}}' % text(1)]


@pytest.mark.trio
@pytest.mark.parametrize("delivery", ["stream", "latest"])
@pytest.mark.parametrize("seed", range(10))
async def test_whoever_stalls_merges_and_comes_back_can_read_everything(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, delivery: str, seed: int
) -> None:
    chance = random.Random(seed)
    space: dict[str, Any] = {
        "delta": True,
        "delivery": delivery,
        "gather": bool(seed % 2),
        "history_size": 50,
    }
    stage = await start(nursery, namespaces={"news": space})
    members = [join(stage, chance) for _ in range(4)]
    published: list[bytes] = []
    for number in range(60):
        published.append(text(number) + b" " * chance.randrange(3))
        stage.hub.publish("news:x", published[-1])
        client, wire = members[chance.randrange(4)]
        match chance.randrange(4):
            case 0:
                wire.make_room(chance.randrange(400))
            case 1:
                await trio.sleep(chance.random() / 20)
            case 2 if wire.room:
                stage.hub.unsubscribe("news:x", client)
                stage.hub.subscribe("news:x", client, b"", CHAIN)
    for _, wire in members:
        wire.make_room(1 << 30)
    await trio.sleep(1)
    for client, wire in members:
        texts = received(wire, ChainReader())
        assert texts[-1] == published[-1]
        assert texts == sorted(set(texts), key=published.index)
        assert client.settle().is_balanced


def join(stage: Stage, chance: random.Random) -> tuple[Client, FakeWire]:
    client, wire = stage.join(room=chance.choice([100, 1 << 30]))
    stage.hub.subscribe("news:x", client, b"", CHAIN)
    return client, wire
