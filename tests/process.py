"""A Lanecast in a process of its own, for clients that are not Trio's: SDKs, browsers, terminals."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.serve.running import KEYS

ROOT = Path(__file__).parent.parent
CHECKOUT = (sys.executable, "-m", "monitor")
"""The program as it stands here; others are files that were built from it."""
ANNOUNCEMENT = "lanecast serves "
END_SECONDS = 20
CONFIGURATION = """
port = 0
[simulator]
enabled = false
[namespaces.chat]
publish = true
presence = true
history_size = 100
[namespaces.prices]
history_size = 20
delta = true
join_leave = true
[namespaces.latest]
delivery = "latest"
delta = true
[namespaces.bag]
delivery = "map"
publish = true
history_size = 100
listed_in = ["here", "people"]
[namespaces.here]
delivery = "map"
lists = "clients"
history_size = 100
[namespaces.people]
delivery = "map"
lists = "users"
key_seconds = 2
[namespaces.tape]
history_size = 100
tags_filter = true
[namespaces.tagged]
delivery = "map"
history_size = 100
tags_filter = true
[namespaces.changing]
delivery = "map"
history_size = 100
delta = true
[namespaces.short]
delivery = "map"
history_size = 2
[namespaces.cursor]
delivery = "map"
publish = true
key_seconds = 3600
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A running server; its keys are `KEYS`."""

    address: str
    """http://host:port"""
    http: httpx.Client
    pid: int

    @property
    def endpoint(self) -> str:
        return self.address.replace("http", "ws", 1) + "/connection/websocket"

    def api(self, method: str, **params: Any) -> Any:
        """The result of an API call."""
        return self.http.post(f"/api/{method}", json=params).json()["result"]

    def publish(self, channel: str, data: Any) -> Any:
        return self.api("publish", channel=channel, data=data)


def surroundings(program: Sequence[str]) -> dict[str, str]:
    """The environment without settings; what was built gets no look at this checkout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LANECAST_") and name != "PYTHONPATH"
    }
    return kept | ({"PYTHONPATH": str(ROOT)} if program is CHECKOUT else {})


@contextmanager
def lanecast_process(
    directory: Path, configuration: str = CONFIGURATION, program: Sequence[str] = CHECKOUT
) -> Iterator[Process]:
    """Run `lanecast serve`; leaving ends it as a service manager does, and reads its log for failures."""
    (directory / "lanecast.toml").write_text(configuration)
    environment = surroundings(program) | {
        "LANECAST_DATA_DIR": str(directory / "data"),
        "LANECAST_API_KEY": KEYS.api,
        "LANECAST_OPERATOR_KEY": KEYS.operator,
        "LANECAST_TOKEN_KEY": KEYS.token,
    }
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(
            [*program, "serve"],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith(ANNOUNCEMENT), (directory / "log").read_text()
            address = line.removeprefix(ANNOUNCEMENT).strip()
            with httpx.Client(base_url=address, headers={"X-API-Key": KEYS.api}) as http:
                yield Process(address, http, server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(END_SECONDS) == 0
    assert "Traceback" not in (directory / "log").read_text()


@contextmanager
def venue_process(capture: Path, *, speed: str) -> Iterator[str]:
    """Run `lanecast venue`; its base URL, ws://host:port."""
    with subprocess.Popen(
        [sys.executable, "-m", "monitor", "venue", str(capture), "--port", "0", "--speed", speed],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as venue:
        try:
            assert venue.stdout is not None
            yield venue.stdout.readline().split()[-1]
        finally:
            venue.send_signal(signal.SIGINT)
            venue.wait(END_SECONDS)
