"""`kill -9` under load at random moments: what was acknowledged is there once, and is seen once."""

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import trio

from monitor.client import client as client_module
from monitor.client import open_client
from monitor.storage.journal_file import JournalFile
from tests.broadcast.chain import ChainReader
from tests.patience import until
from tests.process import ANNOUNCEMENT, ROOT
from tests.serve.running import KEYS, sign
from tests.serve.wire import Client

pytestmark = [
    pytest.mark.trio,
    # httpx leaves its body behind when the server dies under it.
    pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning"),
]

CONFIGURATION = """
hosts = ["lanecast"]
[simulator]
rate = 200
[namespaces.orders]
delta = true
tags_filter = true
"""
WATCHED, BUSY = "orders:ann", "bots:bob"
PACE_SECONDS = 0.02
"""Between two publications of one publisher: slow enough for a client to recover all that it missed."""
ALIVE_SECONDS = (0.0, 0.8)


@dataclass
class House:
    """A server that is killed and started again on the same port and data."""

    directory: Path
    port: int = 0
    process: trio.Process | None = None

    async def start(self) -> None:
        (self.directory / "lanecast.toml").write_text(CONFIGURATION)
        command = [sys.executable, "-m", "monitor", "serve", "--port", str(self.port)]
        with (self.directory / "log").open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                command, stdout=subprocess.PIPE, stderr=log, cwd=self.directory, env=self._environment
            )
        assert self.process.stdout is not None
        line = (await self.process.stdout.receive_some()).decode()
        assert line.startswith(ANNOUNCEMENT), (self.directory / "log").read_text()
        self.port = int(line.strip().rpartition(":")[2])

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "LANECAST_DATA_DIR": str(self.directory / "data"),
            "LANECAST_API_KEY": KEYS.api,
            "LANECAST_OPERATOR_KEY": KEYS.operator,
            "LANECAST_TOKEN_KEY": KEYS.token,
        }

    def abandon(self) -> None:
        """Leave nothing behind, whatever went wrong."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    async def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        await self.process.wait()
        if self.process.stdout is not None:
            await self.process.stdout.aclose()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Load:
    """Publishers that try each number until it is acknowledged, as the API lets them: with its key."""

    house: House
    acknowledged: dict[str, dict[str, tuple[int, str]]] = field(
        default_factory=lambda: {WATCHED: {}, BUSY: {}}
    )
    is_over: bool = False

    async def publish(self, channel: str, name: str) -> None:
        headers = {"X-API-Key": KEYS.api}
        async with httpx.AsyncClient(base_url=self.house.address, headers=headers, trust_env=False) as http:
            number = 0
            while not self.is_over:
                await self._publish_one(http, channel, f"{name}-{number:060}")
                number += 1
                await trio.sleep(PACE_SECONDS)

    async def _publish_one(self, http: httpx.AsyncClient, channel: str, key: str) -> None:
        name = key.rpartition("-")[0]
        body = {"channel": channel, "data": key, "idempotency_key": key, "tags": {"by": name}}
        while True:
            try:
                answer = (await http.post("/api/publish", json=body)).json()
            except httpx.TransportError:
                await trio.sleep(PACE_SECONDS)
                continue
            result = answer["result"]
            self.acknowledged[channel][key] = result["offset"], result["epoch"]
            return


class Road:
    """A client of nothing but bytes that comes back by its position, and reads all that it is sent."""

    def __init__(self, *, is_server_side: bool = False, **wish: Any) -> None:
        self.seen: list[Any] = []
        self.changes = 0
        """How many of them were told as a change of the one before."""
        self._is_server_side = is_server_side
        self._wish = wish
        self._position: dict[str, Any] = {"recover": True}

    async def go(self, house: House) -> None:
        """Until cancelled."""
        while True:
            with suppress(OSError, EOFError, trio.BrokenResourceError):
                async with await trio.open_tcp_stream("127.0.0.1", house.port) as stream:
                    await self._follow(Client(stream))
            await trio.sleep(PACE_SECONDS)

    async def _follow(self, client: Client) -> None:
        assert b" 101 " in await client.upgrade()
        reader = ChainReader() if "delta" in self._wish else None
        result = await self._subscribe(client)
        assert result["recovered"]
        self._position |= {"epoch": result["epoch"], "offset": result.get("offset", 0)}
        for publication in result.get("publications", ()):
            self._take(publication, reader)
        while True:
            self._take((await client.push())["pub"], reader)

    async def _subscribe(self, client: Client) -> Any:
        if self._is_server_side:
            token = sign(sub="ann", channels=[WATCHED])
            return (await client.connect(token=token, subs={WATCHED: self._position}))["subs"][WATCHED]
        await client.connect(token=sign(sub="ann"))
        return await client.call("subscribe", channel=WATCHED, **self._wish, **self._position)

    def _take(self, publication: dict[str, Any], reader: ChainReader | None) -> None:
        self._position["offset"] = publication["offset"]
        self.changes += "delta" in publication
        self.seen.append(orjson.loads(reader.read(publication)) if reader else publication["data"])


@asynccontextmanager
async def watching(house: House) -> AsyncIterator[list[Any]]:
    """All that a client sees which comes back after each crash."""
    seen: list[Any] = []
    async with open_client(house.address, token=sign(sub="ann")) as client, trio.open_nursery() as nursery:
        subscription = await client.subscribe(WATCHED)

        async def watch() -> None:
            async for publication in subscription:
                seen.append((publication.data, publication.offset, publication.is_whole))

        nursery.start_soon(watch)
        yield seen
        nursery.cancel_scope.cancel()


async def kill_under_load(directory: Path, times: int) -> None:
    house = House(directory)
    try:
        await house.start()
        await _kill_under_load(house, times)
    finally:
        house.abandon()


async def _kill_under_load(house: House, times: int) -> None:
    chance = random.Random()
    load = Load(house)
    half = {"key": "by", "cmp": "eq", "val": f"{WATCHED}-0"}
    plain, chained, filtered = Road(is_server_side=True), Road(delta="fossil"), Road(tf=half)
    async with watching(house) as seen, trio.open_nursery() as roads:
        for road in (plain, chained, filtered):
            roads.start_soon(road.go, house)
        async with trio.open_nursery() as publishers:
            for channel in (WATCHED, BUSY):
                for number in range(2):
                    publishers.start_soon(load.publish, channel, f"{channel}-{number}")
            for _ in range(times):
                await trio.sleep(chance.uniform(*ALIVE_SECONDS))
                await house.end(signal.SIGKILL)
                await house.start()
            load.is_over = True
        keys = list(load.acknowledged[WATCHED])
        wanted = [key for key in keys if key.startswith(f"{WATCHED}-0-")]
        await until(lambda: min(len(seen), len(plain.seen), len(chained.seen)) >= len(keys))
        await until(lambda: len(filtered.seen) >= len(wanted))
        roads.cancel_scope.cancel()
    await house.end(signal.SIGTERM)
    expect_each_once(house.directory, load, seen)
    in_order = [key for key, _, _ in seen]
    assert plain.seen == chained.seen == in_order
    assert filtered.seen == [key for key in in_order if key in wanted]
    assert chained.changes


def expect_each_once(directory: Path, load: Load, seen: list[Any]) -> None:
    file = JournalFile(directory / "data" / "journal.db", "normal")
    rows = list(file.tail(10**6))
    file.close()
    for channel in (WATCHED, BUSY, "orders:paper", "bots:paper"):
        positions = [row.position for row in rows if row.channel == channel]
        assert [position.offset for position in positions] == list(range(1, len(positions) + 1))
        assert len({position.epoch for position in positions}) == 1
    for channel, acknowledged in load.acknowledged.items():
        in_journal = {
            row.data.decode().strip('"'): (row.position.offset, row.position.epoch)
            for row in rows
            if row.channel == channel
        }
        assert acknowledged.items() <= in_journal.items()
        assert len(in_journal) == sum(row.channel == channel for row in rows)
    assert [offset for _, offset, _ in seen] == list(range(1, len(seen) + 1))
    assert Counter(key for key, _, _ in seen) == Counter(load.acknowledged[WATCHED].keys())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LONGEST_RETRY_SECONDS", 0.5)


async def test_killed_five_times_under_load_all_that_was_acknowledged_is_seen_once(tmp_path: Path) -> None:
    await kill_under_load(tmp_path, 5)


@pytest.mark.soak
async def test_killed_fifty_times_under_load_all_that_was_acknowledged_is_seen_once(tmp_path: Path) -> None:
    await kill_under_load(tmp_path, 50)
