import pytest
import trio
import trio.testing

from monitor.broadcast.client import Client
from monitor.broadcast.frames import Plain
from monitor.broadcast.item import Item
from monitor.broadcast.watch import Watch
from monitor.config import Lane, Settings
from monitor.health.health import Health
from monitor.turnstile import AT_ONCE
from tests.broadcast.wire import FakeWire

CROWD = 30


@pytest.mark.trio
async def test_crowd_that_has_room_again_is_written_to_a_few_a_pass() -> None:
    health = Health(Settings())
    watch, wires, written = Watch(health), [FakeWire(room=0) for _ in range(CROWD)], list[int]()
    async with trio.open_nursery() as nursery:
        watch.begin(nursery)
        for wire in wires:
            client = Client(
                wire,
                Plain(),
                health,
                outbox_bytes=1_000,
                write_seconds=15.0,
                attend=watch.attend,
                on_step=lambda: None,
                lose=lambda loss: None,
                make_frame=lambda item, encoding, then: None,
            )
            client.offer(Item(b"{}", Lane.NORMAL))
        await trio.testing.wait_all_tasks_blocked()
        for wire in wires:
            wire.make_room(100)
        while not all(wire.data for wire in wires):
            written.append(sum(bool(wire.data) for wire in wires))
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    # Between two looks of ours a pass may end and the next begin.
    assert len(written) >= CROWD / (2 * AT_ONCE)
