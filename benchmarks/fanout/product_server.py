"""Lanecast as shipped, with publishers inside its process, so that no HTTP counts.

`monitor.app.serve` runs whole; only the engine that it builds is remembered here. Commands come as
lines of JSON on standard input, each answered by one line: see `_Publisher`.
"""

import gc
import json
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import psutil
import trio

from benchmarks.fanout.alarm import Alarm
from benchmarks.fanout.memory import give_back_free, used_bytes
from benchmarks.fanout.peers.turn import STAMP, fillers
from monitor import app
from monitor.broadcast.hub import Hub
from monitor.broadcast.item import Item
from monitor.config import Settings
from monitor.control import Control
from monitor.engine import Engine, build_engine
from monitor.errors import LanecastError
from monitor.keyring import Keyring
from monitor.keys import Keys

NS_PER_SECOND = 1_000_000_000
GROWN_LINES = 20
NAMESPACES: dict[str, dict[str, Any]] = {
    "bench:one": {"lane": "immediate", "history_size": 1_000},
    "bench:high": {"lane": "high"},
    "bench:tick": {"lane": "normal", "gather": True, "history_size": 300},
    "bench:normal": {"lane": "normal"},
    "bench:low": {"lane": "low"},
}
"""As orders, ops, trades and two more by lane, but with neither account nor subscriber limit."""


class _Publisher:
    """Does what the commands say: `publish`, `flood`, `calm`, `subscribers`, `trace`, `state`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._alarm = Alarm()
        self._finished = trio.Event()
        self._tell_finished(hub)
        self._floods = trio.CancelScope()
        self._flooded = 0
        self._traced: tracemalloc.Snapshot | None = None

    async def take_commands(self) -> None:
        os.set_blocking(0, False)
        async with trio.lowlevel.FdStream(os.dup(0)) as commands, trio.open_nursery() as nursery:
            held = b""
            while data := await commands.receive_some():
                *lines, held = (held + data).split(b"\n")
                for line in lines:
                    answer = await self._obey(json.loads(line), nursery)
                    print(json.dumps(answer), flush=True)
            nursery.cancel_scope.cancel()

    async def _obey(self, command: dict[str, Any], nursery: trio.Nursery) -> dict[str, Any]:
        match command.pop("do"):
            case "publish":
                return await self._publish(**command)
            case "flood":
                self._floods, self._flooded = trio.CancelScope(), 0
                nursery.start_soon(self._flood_all, command["channels"], command["bytes"])
            case "subscribers":
                found = self._hub.channel(command["channel"])
                return {"count": len(found.subscribers) if found else 0}
            case "calm":
                self._floods.cancel()
                return {"flooded": self._flooded}
            case "trace":
                return {"grown": self._trace()}
            case _:
                return self._state(**command)
        return {}

    async def _publish(
        self, channel: str, bytes: int, count: int, rate: float, burst: int, in_turn: bool
    ) -> dict[str, Any]:
        """Publish `count` messages, `burst` at once, `rate` bursts a second, each due at its time.

        With `in_turn` the next is due once the one before is sent, as it is with peers.
        """
        message = _message(bytes)
        late_seconds = 0.0
        due = time.monotonic()
        for _ in range(count // burst):
            due += 1 / rate
            await self._alarm.wait_until(due)
            if in_turn and self._is_sending(channel):
                await self._wait_sent(channel)
                due = time.monotonic()
            late_seconds = max(late_seconds, time.monotonic() - due)
            for _ in range(burst):
                self._hub.publish(channel, message(due))
        return {"late_ms": late_seconds * 1_000}

    def _tell_finished(self, hub: Hub) -> None:
        """Wake whoever waits as an item's fan-out ends: looking for it cost a tenth of what was measured."""
        finish = hub.outflow._finish

        def finish_and_tell(item: Item) -> None:
            finish(item)
            self._finished.set()

        vars(hub.outflow)["_finish"] = finish_and_tell

    async def _wait_sent(self, channel: str) -> None:
        while self._is_sending(channel):
            self._finished = trio.Event()
            await self._finished.wait()

    def _is_sending(self, channel: str) -> bool:
        found = self._hub.channel(channel)
        return found is not None and found.gathered_bytes + found.queued_bytes > 0

    async def _flood_all(self, channels: list[str], size: int) -> None:
        with self._floods:
            async with trio.open_nursery() as nursery:
                for channel in channels:
                    nursery.start_soon(self._flood, channel, size)

    async def _flood(self, channel: str, size: int) -> None:
        """The next publication as soon as the last one's fan-out is over: as fast as it goes."""
        message = _message(size)(0)
        while True:
            if not self._is_sending(channel):
                self._hub.publish(channel, message)
                self._flooded += 1
            await trio.lowlevel.checkpoint()

    def _trace(self) -> list[str]:
        if not tracemalloc.is_tracing():
            tracemalloc.start()
        gc.collect()
        before, self._traced = self._traced, tracemalloc.take_snapshot()
        grown = self._traced.compare_to(before, "lineno") if before else []
        return [str(line) for line in grown[:GROWN_LINES]]

    def _state(self, collect: bool) -> dict[str, Any]:
        if collect:
            gc.collect()
            give_back_free()
        process = psutil.Process()
        return {
            "tasks": trio.lowlevel.current_statistics().tasks_living,
            "descriptors": process.num_fds(),
            "memory_bytes": process.memory_info().rss,
            "used_bytes": used_bytes(),
        }


def _message(size: int) -> Callable[[float], bytes]:
    """Make payloads of `size` bytes, each with the second at which it was due."""
    head, tail = '{"due":"' + STAMP, '"}'
    rests = cycle(fillers(size - len(head % 0) - len(tail)))
    return lambda due: (head % int(due * NS_PER_SECOND) + next(rests) + tail).encode()


async def main(options: dict[str, Any]) -> None:
    engines: list[Engine] = []

    def build_and_keep(*arguments: Any, **named: Any) -> Engine:
        engines.append(build_engine(*arguments, **named))
        return engines[-1]

    vars(app)["build_engine"] = build_and_keep
    keys = Keyring(
        Keys(api="benchmark-api-key", operator="benchmark-operator-key", token="benchmark-token-key")
    )
    with tempfile.TemporaryDirectory() as directory:
        given = {"port": 0, "data_dir": Path(directory), "namespaces": NAMESPACES, "log_level": "error"}
        settings = Settings.model_validate(given | options)
        async with trio.open_nursery() as nursery:
            address = await nursery.start(partial(app.serve, settings, keys, Control()))
            print(address.rpartition(":")[2], flush=True)
            await _Publisher(engines[0].hub).take_commands()
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    try:
        trio.run(main, json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
    except LanecastError as error:
        sys.exit(str(error))
