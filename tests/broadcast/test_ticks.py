"""What is gathered for a tick: when it leaves, in which order, in how many frames."""

from functools import partial

import pytest
import trio

from monitor.broadcast.item import Publication
from monitor.config import Lane
from monitor.turn import SLICE_NS
from tests.broadcast.stage import payloads, start

pytestmark = pytest.mark.trio


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
