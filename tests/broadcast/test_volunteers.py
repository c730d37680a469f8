"""Which publications are marked, and whom the mark picks."""

import random
import uuid

import orjson
import pytest

from monitor.broadcast.client import Client
from monitor.broadcast.volunteers import VOLUNTEERS_MAX
from monitor.config import Settings
from monitor.health.end_to_end import CLIENTS_PER_SAMPLE, SAMPLE_SECONDS
from monitor.sampling import TAG, Mark
from tests.broadcast.stage import NAMESPACES, Stage
from tests.broadcast.wire import FakeWire

pytestmark = pytest.mark.trio
SECOND_NS = 1_000_000_000


def make_stage() -> Stage:
    return Stage(Settings(namespaces=NAMESPACES))


def volunteer(stage: Stage, *channels: str) -> tuple[Client, FakeWire]:
    client, wire = stage.join(*channels)
    client.id = str(uuid.uuid4())
    stage.hub.outflow.volunteers.add(client)
    return client, wire


def marks(wire: FakeWire) -> list[Mark | None]:
    publications = [orjson.loads(document)["push"]["pub"] for document in wire.documents()]
    tags = [publication.get("tags", {}).get(TAG) for publication in publications]
    return [Mark.read(tag) if tag else None for tag in tags]


async def test_one_publication_of_a_kind_is_marked_in_a_second() -> None:
    stage = make_stage()
    _, wire = volunteer(stage, "news:x")
    for _ in range(30):
        stage.hub.publish("news:x", b"1")
        stage.now_ns += SAMPLE_SECONDS * SECOND_NS // 10
    assert [mark is not None for mark in marks(wire)] == [number % 10 == 0 for number in range(30)]


async def test_ten_of_many_are_asked_others_each_time() -> None:
    stage = make_stage()
    clients = [volunteer(stage, "news:x") for _ in range(50)]
    asked: set[str] = set()
    for _ in range(20):
        stage.hub.publish("news:x", b"1")
        stage.now_ns += SAMPLE_SECONDS * SECOND_NS
        mark = marks(clients[0][1])[-1]
        assert mark is not None
        picked = {client.id for client, _ in clients if mark.picks(client.id)}
        assert len(picked) == CLIENTS_PER_SAMPLE
        asked |= picked
    assert len(asked) > 3 * CLIENTS_PER_SAMPLE


async def test_where_nobody_volunteers_nothing_is_marked() -> None:
    stage = make_stage()
    volunteer(stage, "news:elsewhere")
    client, wire = volunteer(stage, "news:x")
    stage.hub.outflow.volunteers.remove(client)
    stage.hub.publish("news:x", b"1")
    assert marks(wire) == [None]
    assert len(stage.health.samples) == 0


async def test_history_holds_no_mark_and_a_publishers_tags_are_kept() -> None:
    stage = make_stage()
    _, wire = volunteer(stage, "tape:x")
    stage.hub.publish("tape:x", b"1", tags=b'{"desk":"3"}')
    client, _ = stage.join()
    stage.hub.subscribe("tape:x", client, b"")
    (document,) = wire.documents()
    tags = orjson.loads(document)["push"]["pub"]["tags"]
    assert tags.keys() == {"desk", TAG}
    kept = stage.hub.channel("tape:x")
    assert kept is not None
    assert kept.history is not None
    assert [each.tags for each in kept.history.read(0, since=None, limit=None, reverse=False)] == [
        b'{"desk":"3"}'
    ]


async def test_any_publication_of_a_tick_may_be_the_marked_one() -> None:
    random.seed(1)
    places = set()
    for _ in range(30):
        stage = make_stage()
        _, wire = volunteer(stage, "tape:x")
        for number in range(3):
            stage.hub.publish("tape:x", b"%d" % number)
        client, _ = stage.join()
        stage.hub.subscribe("tape:x", client, b"")
        (place,) = [place for place, mark in enumerate(marks(wire)) if mark]
        places.add(place)
    assert places == {0, 1, 2}


async def test_volunteers_are_bounded() -> None:
    stage = make_stage()
    for _ in range(VOLUNTEERS_MAX + 5):
        volunteer(stage, "news:x")
    late, _ = volunteer(stage, "news:late")
    stage.hub.publish("news:late", b"1")
    assert len(stage.health.samples) == 0
    stage.hub.publish("news:x", b"1", kind="trade")
    assert len(stage.health.samples) == 1
    stage.hub.outflow.volunteers.remove(late)
