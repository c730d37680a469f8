"""A product server of ours with publishers inside, as its parent sees it."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.fanout.process import SERVER_CORE, Child, start

OPERATOR_KEY = "benchmark-operator-key"
CHANNELS = ("bench:one", "bench:high", "bench:tick", "bench:normal", "bench:low")
HISTORY = 1_000
"""The longest that one of them has."""
QUIET = {"simulator": {"enabled": False}}
_SUBSCRIBE_LIMIT_SECONDS = 20


class Product:
    """What can be asked of it."""

    def __init__(self, child: Child, port: int) -> None:
        self.child = child
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def _do(self, action: str, **parameters: Any) -> dict[str, Any]:
        return self.child.ask_json(json.dumps({"do": action, **parameters}))

    def publish(
        self, channel: str, *, bytes: int, count: int, rate: float, burst: int = 1, in_turn: bool = False
    ) -> float:
        """Publish from inside, each burst due at its time; how late the worst was, in ms."""
        answer = self._do(
            "publish", channel=channel, bytes=bytes, count=count, rate=rate, burst=burst, in_turn=in_turn
        )
        return float(answer["late_ms"])

    def fill_histories(self, *, bytes: int) -> None:
        """What they take is no growth."""
        for channel in ("bench:one", "bench:tick"):
            self.publish(channel, bytes=bytes, count=HISTORY, rate=HISTORY)

    def flood(self, *channels: str, bytes: int) -> None:
        """Publish as fast as it goes, until `calm`."""
        self._do("flood", channels=channels, bytes=bytes)

    def calm(self) -> int:
        """How many publications the flood was."""
        return int(self._do("calm")["flooded"])

    def state(self, *, collect: bool = False) -> dict[str, int]:
        """Tasks, descriptors, memory held and in use; with `collect` what can be freed and given back is."""
        return self._do("state", collect=collect)

    def trace(self) -> list[str]:
        """Follow what allocates memory; called again, the lines of code that hold more than last time."""
        return list(self._do("trace")["grown"])

    def wait_subscribed(self, channel: str, clients: int) -> None:
        give_up = time.monotonic() + _SUBSCRIBE_LIMIT_SECONDS
        while (found := self._do("subscribers", channel=channel)["count"]) != clients:
            if time.monotonic() > give_up:
                raise RuntimeError(f"{found} of {clients} clients are subscribed to {channel}")
            time.sleep(0.05)


@contextlib.contextmanager
def start_product(**settings: Any) -> Iterator[Product]:
    """Start it with settings over the defaults; its simulator is off unless they say else."""
    command = [sys.executable, "-m", "benchmarks.fanout.product_server", json.dumps(QUIET | settings)]
    with start(command, core=SERVER_CORE) as child:
        yield Product(child, int(child.read()))
