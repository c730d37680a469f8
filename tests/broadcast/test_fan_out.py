"""A fan-out to more clients than one slice reaches: who waits for it, and who doesn't."""

from functools import partial

import pytest
import trio

from monitor.broadcast.channel import FILTERS_MAX
from monitor.broadcast.hub import TooBusy
from monitor.broadcast.line import WIRES_PER_LOOK
from monitor.broadcast.recovery import Wish
from monitor.broadcast.tags import parse_filter
from monitor.broadcast.turns import LONGEST_WAIT_MS, LONGEST_WAIT_NS
from monitor.turn import SLICE_NS
from tests.broadcast.stage import Stage, payloads, start

pytestmark = pytest.mark.trio


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


def order_of(stage: Stage, *channels: str, looks: int) -> list[str]:
    """The channels as their clients are written to, of each as many as so many looks reach."""
    order: list[str] = []

    def note(channel: str, data: bytes | memoryview) -> None:
        order.append(channel)

    for channel in channels:
        for _ in range(looks * WIRES_PER_LOOK):
            _, wire = stage.join(channel)
            wire.on_send = partial(note, channel)
    return order


async def test_the_immediate_lane_overtakes_a_fan_out_under_way(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    order = order_of(stage, "idle:x", "urgent:x", looks=4)
    stage.step_ns = SLICE_NS
    stage.hub.publish("idle:x", b"1")
    stage.hub.publish("urgent:x", b"1")
    await trio.testing.wait_all_tasks_blocked()
    looks = order[::WIRES_PER_LOOK]
    assert looks.index("urgent:x") == 1
    assert looks[1:5] == ["urgent:x"] * 4


@pytest.mark.parametrize(("channel", "is_first"), [("urgent:x", True), ("idle:x", False)])
async def test_what_gives_way_comes_after_an_immediate_fan_out_under_way_and_no_other(
    nursery: trio.Nursery, channel: str, is_first: bool
) -> None:
    stage = await start(nursery)
    order = order_of(stage, channel, looks=4)
    stage.step_ns = SLICE_NS
    stage.hub.publish(channel, b"1")
    await stage.hub.outflow.give_way()
    assert (len(order) == 4 * WIRES_PER_LOOK) is is_first
    await trio.testing.wait_all_tasks_blocked()
    assert len(order) == 4 * WIRES_PER_LOOK


async def test_nobody_gives_way_for_ever(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    order = order_of(stage, "urgent:x", looks=2 * LONGEST_WAIT_MS)
    stage.step_ns = SLICE_NS
    stage.hub.publish("urgent:x", b"1")
    began_ns = stage.now_ns
    await stage.hub.outflow.give_way()
    assert LONGEST_WAIT_NS <= stage.now_ns - began_ns < LONGEST_WAIT_NS + 20 * SLICE_NS
    assert len(order) < 2 * LONGEST_WAIT_MS * WIRES_PER_LOOK


async def test_a_low_fan_out_goes_on_while_an_immediate_one_never_ends(nursery: trio.Nursery) -> None:
    stage = await start(nursery)
    order = order_of(stage, "idle:x", "urgent:x", looks=2)
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
    order = order_of(stage, "news:a", "news:b", looks=4)
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
