"""A hub with clients that have no sockets, and a clock that a test moves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import trio

from monitor.broadcast.client import Client
from monitor.broadcast.frames import Encoding, Plain
from monitor.broadcast.hub import Hub
from monitor.config import Namespaces, Settings
from monitor.health.health import Health
from tests.broadcast.wire import FakeWire

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
