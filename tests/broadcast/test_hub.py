"""Publishing: who gets what, when, in which frames; and what a publisher is told."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
import pytest
import trio

from monitor.broadcast.channel import FILTERS_MAX, Voice
from monitor.broadcast.client import Client
from monitor.broadcast.frames import Encoding, Plain
from monitor.broadcast.hub import BadPublication, Hub, TooBusy, TooMany, UnknownChannel
from monitor.broadcast.item import Item, Publication
from monitor.broadcast.line import WIRES_PER_LOOK
from monitor.broadcast.recovery import Wish
from monitor.broadcast.rooms import PLACE_SHARE
from monitor.broadcast.tags import parse_filter
from monitor.broadcast.turns import LONGEST_WAIT_MS
from monitor.config import Lane, Namespaces, Settings
from monitor.health.health import Health
from monitor.health.kind import Delay, Stages
from monitor.turn import SLICE_NS
from tests.broadcast.wire import FakeWire

pytestmark = pytest.mark.trio

NAMESPACES: dict[str, Any] = {
    "news": {},
    "tape": {"gather": True, "history_size": 3},
    "price": {"gather": True, "delivery": "latest"},
    "levels": {"gather": True, "delivery": "state"},
    "urgent": {"lane": "immediate"},
    "idle": {"lane": "low"},
    "club": {"subscriber_limit": 1},
}


PLAIN = Plain()


@dataclass
class Stage:
    """A hub with fake clients, and a clock that a test moves."""

    settings: Settings
    now_ns: int = 0
    step_ns: int = 0

    def __post_init__(self) -> None:
        self.health = Health(self.settings, clock_ns=self.clock_ns)
        self.hub = Hub(self.settings, Namespaces(self.settings.namespaces), self.health)

    def clock_ns(self) -> int:
        self.now_ns += self.step_ns
        return self.now_ns

    def join(
        self,
        *channels: str,
        room: int = 1 << 40,
        encoding: Encoding = PLAIN,
        on_step: Callable[[], None] = lambda: None,
    ) -> tuple[Client, FakeWire]:
        wire = FakeWire(room)
        client = Client(
            wire,
            encoding,
            self.health,
            outbox_bytes=1 << 20,
            write_seconds=15,
            attend=self.hub.watch.attend,
            make_frame=self.hub.outflow.make_frame,
            on_step=on_step,
            lose=lambda loss: None,
        )
        for channel in channels:
            self.hub.subscribe(channel, client, b"{}")
        return client, wire


async def start(nursery: trio.Nursery, **overrides: Any) -> Stage:
    stage = Stage(Settings(**{"namespaces": NAMESPACES} | overrides))
    await nursery.start(stage.hub.run)
    return stage


def payloads(wire: FakeWire) -> list[Any]:
    return [orjson.loads(document)["push"]["pub"]["data"] for document in wire.documents() if document]


async def test_a_publication_reaches_its_subscribers_and_nobody_else(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    dashboards = [stage.join("news:dashboard")[1] for _ in range(50)]
    others = [stage.join("news:experiment")[1] for _ in range(100)]
    stage.hub.publish("news:dashboard", b'{"a": 1.10}')
    expected = b'{"push":{"channel":"news:dashboard","pub":{"data":{"a": 1.10}}}}'
    assert [wire.documents() for wire in dashboards] == [[expected]] * 50
    assert all(not wire.data for wire in others)
    assert stage.health.totals.sent == 50


async def test_all_plain_subscribers_get_the_same_bytes_object(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    frames: list[bytes | memoryview] = []
    for _ in range(3):
        _, wire = stage.join("news:a")
        wire.on_send = frames.append
    stage.hub.publish("news:a", b"{}")
    assert len({id(frame) for frame in frames}) == 1


class Counted:
    """Knows how many frames it has made."""

    name = "plain"

    def __init__(self) -> None:
        self.frames = 0

    def frame(self, payload: bytes) -> bytes:
        self.frames += 1
        return PLAIN.frame(payload)

    def is_slow(self, payload_bytes: int) -> bool:
        return False


async def test_a_frame_is_made_once_for_all_of_an_encoding_whenever_they_get_it(
    nursery: trio.Nursery,
) -> None:
    stage, encoding = await start(nursery), Counted()
    wires = [stage.join("news:x", encoding=encoding)[1] for _ in range(2 * WIRES_PER_LOOK)]
    wires += [stage.join("news:x", encoding=encoding, room=5)[1] for _ in range(2)]
    stage.hub.publish("news:x", b"1")
    for wire in wires:
        wire.make_room(1 << 30)
    await trio.testing.wait_all_tasks_blocked()
    assert all(payloads(wire) == [1] for wire in wires)
    assert encoding.frames == 1


async def test_frames_go_with_the_last_client_that_needs_them(nursery: trio.Nursery) -> None:
    """History keeps publications and not their frames."""
    stage = await start(nursery)
    stage.join("tape:x")
    _, stalled = stage.join("tape:x", room=10)
    stage.hub.publish("tape:x", b"1")
    stage.hub.outflow.flush(stage.hub.open("tape:x"))
    assert count_items() == 1
    stalled.make_room(1 << 30)
    await trio.testing.wait_all_tasks_blocked()
    assert payloads(stalled) == [1]
    assert count_items() == 0


def count_items() -> int:
    gc.collect()
    return sum(isinstance(each, Item) and bool(each.publications) for each in gc.get_objects())


async def test_a_tick_of_a_channel_leaves_in_one_frame(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery, tick_ms=20)
    _, wire = stage.join("tape:x")
    for number in range(5):
        stage.hub.publish("tape:x", b"%d" % number)
    assert not wire.data
    await trio.sleep(0.019)
    assert not wire.data
    await trio.sleep(0.002)
    assert len(wire.messages()) == 1
    assert payloads(wire) == [0, 1, 2, 3, 4]


async def test_others_have_a_turn_between_the_ticks_of_many_channels(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    def sent(name: str, data: bytes) -> None:
        order.append(name)
        nursery.start_soon(other)

    for name in ("tape:a", "tape:b", "tape:c"):
        _, wire = stage.join(name)
        wire.on_send = partial(sent, name)
        stage.hub.publish(name, b"1")
    stage.step_ns = SLICE_NS
    await trio.sleep(1)
    # In one pass it is a matter of luck who of two comes first.
    assert order.index("other") <= 2


async def test_of_what_gathers_the_highest_lane_goes_out_first(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    lanes = {lane.name.lower(): {"gather": True, "lane": lane} for lane in reversed(Lane)}
    stage = await start(nursery, namespaces=lanes)
    _, wire = stage.join(*(f"{lane}:x" for lane in lanes))
    for place, lane in enumerate(lanes):
        stage.hub.publish(f"{lane}:x", b"%d" % place)
    await trio.sleep(1)
    assert payloads(wire) == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("preset", "tick_ms"), [("realtime", 10), ("balanced", 20), ("throughput", 50), ("saver", 250)]
)
async def test_a_tick_is_as_long_as_the_preset_says(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock, preset: str, tick_ms: int
) -> None:
    stage = await start(nursery, preset=preset)
    _, wire = stage.join("tape:x")
    for number in range(1_000):
        stage.hub.publish("tape:x", b"%d" % number)
        await trio.sleep(0.01)
    await trio.sleep(1)
    assert payloads(wire) == list(range(1_000))
    per_frame = tick_ms // 10
    assert len(wire.messages()) == pytest.approx(1_000 / (per_frame + 1), rel=1 / (per_frame + 1))


async def test_what_is_announced_at_once_leaves_in_frames_of_a_ticks_message_count(
    nursery: trio.Nursery,
) -> None:
    stage = await start(nursery, tick_messages=3)
    _, wire = stage.join("news:x")
    stage.hub.announce(stage.hub.open("news:x"), [Publication(b"%d" % n, "message", 0) for n in range(7)])
    assert payloads(wire) == list(range(7))
    assert [len(message.split(b"\n")) for message in wire.messages()] == [3, 3, 1]


async def test_a_tick_ends_early_at_its_message_count(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery, tick_messages=3)
    _, wire = stage.join("tape:x")
    for number in range(4):
        stage.hub.publish("tape:x", b"%d" % number)
    assert payloads(wire) == [0, 1, 2]
    await trio.sleep(1)
    assert payloads(wire) == [0, 1, 2, 3]


async def test_gathered_frames_are_short_and_a_longer_document_goes_alone(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery, limits={"frame_bytes": 2_000})
    _, wire = stage.join("tape:x")
    for size in (600, 600, 600, 5_000, 10):
        stage.hub.publish("tape:x", b'"%s"' % (b"x" * size))
    await trio.sleep(1)
    assert [len(payload) for payload in payloads(wire)] == [600, 600, 600, 5_000, 10]
    lengths = [len(message) for message in wire.messages()]
    assert [length > 2_000 for length in lengths] == [False, False, True, False]


async def test_the_frames_of_a_tick_leave_in_one_send_of_at_most_64_kib(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    _, wire = stage.join("tape:x")
    sends: list[int] = []
    wire.on_send = lambda data: sends.append(len(data))
    for _ in range(70):
        stage.hub.publish("tape:x", b'"%s"' % (b"x" * 1_000))
    stage.hub.publish("tape:x", b'"%s"' % (b"x" * 70_000))
    await trio.sleep(1)
    assert [len(payload) for payload in payloads(wire)] == [1_000] * 70 + [70_000]
    assert [len(message) > 16_384 for message in wire.messages()] == [False] * 5 + [True]
    assert [length > 65_536 + 100 for length in sends] == [False, False, True]


async def test_who_gets_changes_or_a_part_gets_frames_as_short(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    tape = {"gather": True, "delta": True}
    stage = await start(nursery, namespaces={"tape": tape}, limits={"frame_bytes": 2_000})
    wires = []
    for wish in (Wish(wants_chain=True), Wish(only=parse_filter(b'{"key":"x","cmp":"nex"}'))):
        client, wire = stage.join()
        stage.hub.subscribe("tape:x", client, b"{}", wish)
        wires.append(wire)
    for number in range(60):
        stage.hub.publish("tape:x", b'"%s"' % (b"%d" % number * 150))
    await trio.sleep(1)
    for wire in wires:
        assert len(wire.documents()) == 60
        assert max(len(message) for message in wire.messages()) <= 2_000


async def test_frames_are_short_whatever_comes_with_the_payloads(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery, limits={"frame_bytes": 2_000})
    _, wire = stage.join("tape:x")
    told = b'{"who":"%s"}' % (b"x" * 300)
    for number in range(60):
        info, tags = (told, b"") if number < 20 else (b"", told if number < 40 else b"")
        stage.hub.publish("tape:x", b"1", info=info, tags=tags)
    await trio.sleep(1)
    assert len(payloads(wire)) == 60
    assert max(len(message) for message in wire.messages()) <= 2_000


async def test_what_comes_with_a_payload_counts_in_what_a_channel_holds(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"gather_bytes": 65_536})
    stage.join("tape:x")
    told = b'{"who":"%s"}' % (b"x" * 40_000)
    stage.hub.publish("tape:x", b"1", info=told)
    with pytest.raises(TooBusy, match=r"tape:x.*65536"):
        stage.hub.publish("tape:x", b"1", tags=told)


async def test_latest_and_state_merge_within_a_tick(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    _, wire = stage.join("price:x", "levels:x")
    for number in range(3):
        stage.hub.publish("price:x", b"%d" % number)
        stage.hub.publish("levels:x", b'{"bids":{"%d":"1"}}' % number)
    await trio.sleep(1)
    assert sorted(payloads(wire), key=str) == [2, {"bids": {"0": "1", "1": "1", "2": "1"}}]


async def test_a_subscriber_gets_the_whole_and_no_change_that_is_in_it(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    _, old = stage.join("levels:x")
    stage.hub.publish("levels:x", b'{"bids":{"1":"5","2":"6"}}')
    stage.hub.publish("levels:x", b'{"bids":{"2":null}}')
    client, new = stage.join()
    assert stage.hub.subscribe("levels:x", client, b"{}").whole == b'{"bids":{"1":"5"}}'
    stage.hub.publish("levels:x", b'{"bids":{"3":"7"}}')
    await trio.sleep(1)
    assert payloads(old) == [{"bids": {"1": "5", "2": None}}, {"bids": {"3": "7"}}]
    assert payloads(new) == [{"bids": {"3": "7"}}]


async def test_who_leaves_gets_what_was_published_before_and_nothing_after(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    client, wire = stage.join("tape:x")
    stage.hub.publish("tape:x", b"1")
    stage.hub.unsubscribe("tape:x", client)
    stage.hub.publish("tape:x", b"2")
    assert payloads(wire) == [1]


async def test_history_keeps_the_last_publications_with_their_offsets(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    positions = [stage.hub.publish("tape:x", b"%d" % number).position for number in range(5)]
    kept = stage.hub.stream("tape:x").read(0, since=None, limit=None, reverse=False)
    assert [(publication.offset, publication.data) for publication in kept] == [
        (3, b"2"),
        (4, b"3"),
        (5, b"4"),
    ]
    assert [position.offset for position in positions if position] == [1, 2, 3, 4, 5]
    assert stage.hub.publish("news:x", b"1").position is None


async def test_a_channel_that_nobody_needs_is_forgotten(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    client, _ = stage.join("news:x")
    stage.hub.leave(client)
    for number in range(10):
        stage.hub.publish(f"news:{number}", b"1")
        stage.hub.stream(f"tape:{number}")
    assert sum(stage.health.channel_counts().values()) == 0
    assert stage.health.subscriptions == 0


async def test_who_leaves_during_a_fan_out_leaves_no_send_group_behind(nursery: trio.Nursery) -> None:
    """Each with a filter of his own: what stayed would take the place of another filter for ever."""
    stage = await start(nursery)
    for _ in range(2 * WIRES_PER_LOOK):
        stage.join("news:x")
    channel = stage.hub.channel("news:x")
    assert channel is not None
    stage.step_ns = SLICE_NS
    for number in range(FILTERS_MAX + 1):
        client, _ = stage.join()
        only = parse_filter(b'{"key":"a","cmp":"eq","val":"%d"}' % number)
        stage.hub.subscribe("news:x", client, b"{}", Wish(only=only))
        stage.hub.publish("news:x", b"1")
        stage.hub.unsubscribe("news:x", client)
    stage.step_ns = 0
    await trio.testing.wait_all_tasks_blocked()
    assert channel.queued_bytes == 0


async def test_publish_returns_after_a_slice_and_the_rest_follows(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    wires = [stage.join("news:x")[1] for _ in range(3 * WIRES_PER_LOOK)]
    stage.step_ns = SLICE_NS
    stage.hub.publish("news:x", b"1")
    reached = sum(bool(wire.data) for wire in wires)
    assert reached == WIRES_PER_LOOK
    stage.hub.publish("news:x", b"2")
    await trio.testing.wait_all_tasks_blocked()
    assert all(payloads(wire) == [1, 2] for wire in wires)


async def test_the_immediate_lane_overtakes_a_fan_out_under_way(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    order: list[str] = []
    for name in ("idle:x", "urgent:x"):
        for _ in range(4 * WIRES_PER_LOOK):
            _, wire = stage.join(name)
            wire.on_send = lambda data, name=name: order.append(name)  # type: ignore[misc]
    stage.step_ns = SLICE_NS
    stage.hub.publish("idle:x", b"1")
    stage.hub.publish("urgent:x", b"1")
    await trio.testing.wait_all_tasks_blocked()
    looks = order[::WIRES_PER_LOOK]
    assert looks.index("urgent:x") == 1
    assert looks[1:5] == ["urgent:x"] * 4


async def test_a_low_fan_out_goes_on_while_an_immediate_one_never_ends(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    order: list[str] = []
    for name in ("idle:x", "urgent:x"):
        for _ in range(2 * WIRES_PER_LOOK):
            _, wire = stage.join(name)
            wire.on_send = lambda data, name=name: order.append(name)  # type: ignore[misc]
    stage.step_ns = SLICE_NS
    stage.hub.publish("idle:x", b"1")
    for number in range(200):
        stage.hub.publish("urgent:x", b"%d" % number)
    await trio.testing.wait_all_tasks_blocked()
    looks = order[::WIRES_PER_LOOK]
    # A look is at least a slice, a millisecond: after the bound's worth of them the low lane has its turn.
    assert len(looks) == 2 * 201
    assert looks[2:].index("idle:x") <= LONGEST_WAIT_MS + 1


async def test_within_a_lane_fan_outs_under_way_take_turns(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    order: list[str] = []
    for name in ("news:a", "news:b"):
        for _ in range(4 * WIRES_PER_LOOK):
            _, wire = stage.join(name)
            wire.on_send = lambda data, name=name: order.append(name)  # type: ignore[misc]
    stage.step_ns = SLICE_NS
    stage.hub.publish("news:a", b"1")
    stage.hub.publish("news:b", b"1")
    await trio.testing.wait_all_tasks_blocked()
    assert order[::WIRES_PER_LOOK] == ["news:a", "news:b"] * 4


async def test_a_publisher_who_is_faster_than_the_fan_out_is_told(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"gather_bytes": 65_536})
    for _ in range(2 * WIRES_PER_LOOK):
        stage.join("news:x")
    stage.step_ns = SLICE_NS
    message = b'"%s"' % (b"x" * 60_000)
    stage.hub.publish("news:x", message)
    with pytest.raises(TooBusy, match=r"news:x.*65536.*publish again later"):
        stage.hub.publish("news:x", message)
    assert stage.health.totals.refused == {"gather_bytes": 1}
    stage.hub.publish("news:x", message, is_told_once=True)
    with pytest.raises(TooBusy, match=r"news:x.*131072.*publish again later"):
        stage.hub.publish("news:x", message, is_told_once=True)
    stage.step_ns = 0
    await trio.testing.wait_all_tasks_blocked()
    stage.hub.publish("news:x", b"1")


async def test_a_stalled_client_costs_the_others_nothing(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    stalled, _ = stage.join("news:x", room=10)
    _, healthy = stage.join("news:x")
    for number in range(100):
        stage.hub.publish("news:x", b"%d" % number)
        assert len(payloads(healthy)) == number + 1
    assert stalled.settle().pending == 100
    assert stage.health.totals.offered == stage.health.totals.sent + 100


async def test_latency_is_recorded_when_the_last_client_has_been_written_to(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    stage.join("news:x")
    stage.now_ns = 200_000_000
    stage.hub.publish("news:x", b"1", stamp_ns=50_000_000)
    assert stage.health.kinds["message"].late == 1
    stage.hub.publish("news:x", b"1", stamp_ns=150_000_000)
    assert stage.health.kinds["message"].late == 1
    assert stage.health.kinds["message"].count == 2


async def test_a_publications_time_is_told_by_stages_and_its_last_client_is_named(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    stage = await start(nursery)
    client, _ = stage.join("tape:x")
    client.id = "the only one"
    stage.now_ns = 5_000_000
    stage.hub.publish("tape:x", b"1", stamp_ns=2_000_000)
    stage.now_ns = 25_000_000
    await trio.sleep(1)
    trade = stage.health.kinds["message"]
    trade.rotate()
    assert trade.last_10s().stages == Stages(3_000_000, 20_000_000, 0, 0)
    assert trade.last_10s().worst == Delay(23_000_000, "the only one", "wait")


async def test_a_client_that_was_behind_is_the_worst_by_the_stage_that_held_it_up(
    nursery: trio.Nursery,
) -> None:
    stage = await start(nursery)
    client, wire = stage.join("news:x", room=0)
    client.id = "slow"
    stage.hub.publish("news:x", b"1")
    stage.now_ns = 70_000_000
    wire.make_room(1_000)
    await trio.testing.wait_all_tasks_blocked()
    message = stage.health.kinds["message"]
    message.rotate()
    assert message.last_10s().worst == Delay(70_000_000, "slow", "write")


async def test_late_counts_each_kind_by_its_own_threshold(nursery: trio.Nursery) -> None:
    stage = await start(nursery, tick_messages=2)
    client, _ = stage.join("tape:x")
    stage.now_ns = 60_000_000
    stage.hub.publish("tape:x", b"1", kind="trade", stamp_ns=0)
    stage.hub.publish("tape:x", b"2", kind="order_fill", stamp_ns=0)
    assert client.settle().late == 1


async def test_late_messages_are_counted_for_each_client_as_in_its_ledger(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    (slow, wire), *others = stage.join("news:x", room=0), stage.join("news:x"), stage.join("news:x")
    stage.now_ns = 200_000_000
    stage.hub.publish("news:x", b"1", stamp_ns=0)
    wire.make_room(1_000)
    await trio.testing.wait_all_tasks_blocked()
    assert [client.settle().late for client in (slow, *(client for client, _ in others))] == [1, 1, 1]
    assert (stage.health.totals.late, stage.health.kinds["message"].late) == (3, 2)


async def test_a_limited_group_takes_no_more_subscribers(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    stage.join("club:x")
    with pytest.raises(TooMany, match=r"club:x.*1 subscribers"):
        stage.join("club:x")


async def test_bad_publications_are_refused_with_a_reason(nursery: trio.Nursery) -> None:
    stage = await start(nursery, limits={"channels": 2, "gather_bytes": 65_536})
    with pytest.raises(UnknownChannel, match="nowhere:x"):
        stage.hub.publish("nowhere:x", b"1")
    with pytest.raises(BadPublication, match=r"levels:x.*object"):
        stage.hub.publish("levels:x", b"1")
    with pytest.raises(BadPublication, match="'gossip' is not configured"):
        stage.hub.publish("news:x", b"1", kind="gossip")
    stage.hub.publish("levels:x", b'{"s":{"1":"%s"}}' % (b"x" * 40_000))
    with pytest.raises(BadPublication, match="limit is 65536"):
        stage.hub.publish("levels:x", b'{"s":{"2":"%s"}}' % (b"x" * 40_000))
    with pytest.raises(BadPublication, match=r"tape:0.*at most 65536 bytes.*publish less"):
        stage.hub.publish("tape:0", b'"%s"' % (b"x" * 70_000))
    assert [channel.name for channel in stage.hub.channels()] == ["levels:x"]
    assert sum(stage.health.channel_counts().values()) == 1
    for name in ("tape:1", "tape:2"):
        stage.join(name)
        stage.hub.publish(name, b"1")
    with pytest.raises(TooMany, match=r"limits\.channels"):
        stage.hub.publish("tape:3", b"1")
    assert stage.hub.publish("tape:3", b"1", is_told_once=True).position


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
