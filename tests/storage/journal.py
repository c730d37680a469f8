"""Journals for tests: real SQLite files, and a hub whose publications go through them."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import trio

from monitor.broadcast.history import Position
from monitor.clock import wall_ms
from monitor.config import DEFAULT_NAMESPACES, Settings, journaled_namespaces
from monitor.engine import Engine, build_engine
from monitor.health.alerts import Finding
from monitor.health.journal import JournalMeter, JournalState
from monitor.health.rules import find_journal_trouble
from monitor.keyring import Keyring
from monitor.restart import take_over
from monitor.storage.journal_file import JournalFile, Record
from tests.patience import until
from tests.serve.running import KEYS

PAGE_BYTES = 4_096
NOW_MS = 1_700_000_000_000


def record(
    number: int,
    channel: str = "orders:ann",
    *,
    epoch: str = "e",
    key: str = "",
    base: int = 0,
    **changes: Any,
) -> Record:
    fields: dict[str, Any] = {
        "time_ms": NOW_MS + number,
        "kind": "order_fill",
        "data": b'{"n":%d}' % number,
        "info": b"",
        "tags": b"",
    }
    return Record(channel, Position(base, epoch), key=key, **(fields | changes))


def opened(directory: Path) -> JournalFile:
    return JournalFile(directory / "journal.db", "normal")


def kept(directory: Path, records: Sequence[Record]) -> None:
    """Put records into a journal that nobody runs."""
    file = opened(directory)
    file.append(records)
    file.note_start(journaled_namespaces(DEFAULT_NAMESPACES), boot="")
    file.close()


def damage(path: Path, statement: str) -> None:
    """Have a journal hold what no server writes."""
    database = sqlite3.connect(path)
    database.executescript(statement)
    database.close()


def lose_a_cell(path: Path, name: str) -> None:
    """Have the one page of a table or an index say that it has one entry less."""
    database = sqlite3.connect(path)
    ((number,),) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
    database.close()
    content = bytearray(path.read_bytes())
    count = (number - 1) * PAGE_BYTES + 3
    content[count : count + 2] = (int.from_bytes(content[count : count + 2]) - 1).to_bytes(2)
    path.write_bytes(content)


def garble_schema(path: Path) -> None:
    """What SQLite says of it is no text either."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE UNIQUE INDEX keys", b"CREATE UNIQUE \xffNDEX keys"))


@dataclass(frozen=True, slots=True)
class Running:
    """An engine, on a journal if anything is journaled."""

    engine: Engine

    async def until(self, claim: Callable[[JournalMeter], bool]) -> None:
        """Wait until it is true of the journal's meter."""
        await until(lambda: claim(self.engine.health.journal))

    def recovers(self, since: Position, channel: str = "orders:ann") -> list[bytes] | None:
        """What a client gets that comes back with this position; None if it is told that it can't."""
        hub = self.engine.hub
        missed = hub.stream(channel).missed(since, hub.health.clock_ns(), limit_bytes=2**40)
        return None if missed is None else [publication.data for publication in missed]

    def state(self, channel: str) -> Any:
        """What a new subscriber starts from."""
        view = self.engine.market.view(channel)
        assert view is not None
        return orjson.loads(view.whole())

    async def publish(self, data: bytes, channel: str = "orders:ann", key: str = "") -> Position:
        position = await self.engine.hub.publish(channel, data, key=key).wait()
        assert position is not None
        return position


def is_lost(meter: JournalMeter) -> bool:
    return meter.state is JournalState.NOT_DURABLE


def is_durable(meter: JournalMeter) -> bool:
    return meter.state is JournalState.DURABLE


def finding(each: Running) -> Finding:
    (found,) = find_journal_trouble(each.engine.health.journal)
    return found


@asynccontextmanager
async def running(
    directory: Path, *, wall_ms: Callable[[], int] = wall_ms, **settings: Any
) -> AsyncIterator[Running]:
    """Leaving ends it as a server does: what waits is kept still."""
    given = Settings(data_dir=directory, **settings)
    engine = build_engine(given, Keyring(KEYS), frozenset(), wall_ms=wall_ms)
    journal = await take_over(engine, given)
    async with trio.open_nursery() as nursery:
        if journal is not None:
            await nursery.start(journal.run)
        await nursery.start(engine.run)
        yield Running(engine)
        nursery.cancel_scope.cancel()
