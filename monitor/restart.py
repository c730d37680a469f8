"""What a start takes over from the server before: positions, histories, orders, fills and bots.

Decides that the journal is the only witness: what it holds was acknowledged, what it doesn't was
not. So a client that comes back after a crash goes on where it was, and a fill that the venue
tells again is known.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from monitor.broadcast.history import Position
from monitor.broadcast.item import Publication
from monitor.config import Settings
from monitor.engine import Engine
from monitor.health.latency import NS_PER_MS
from monitor.storage.journal import Journal
from monitor.storage.journal_file import Row


async def take_over(engine: Engine, settings: Settings) -> Journal | None:
    """Restore what the journal knows and let the hub keep in it from now on; None if nothing is journaled.

    Raises:
        JournalInUse.
    """
    if not any(namespace.journal for namespace in settings.namespaces.values()):
        return None
    journal = Journal(
        settings.journal_file,
        settings.journal,
        engine.health.journal,
        begin_epoch=engine.hub.renew_epochs,
        tell_lost=engine.house.registry.lose_positions,
        wall_ms=engine.wall_ms,
    )
    rows, positions = await journal.open()
    restore(engine, rows, positions)
    engine.hub.journal = journal
    return journal


def restore(engine: Engine, rows: Iterable[Row], positions: Mapping[str, Position]) -> None:
    """Fill histories and market state from the rows, in their order."""
    kept: defaultdict[str, list[Publication]] = defaultdict(list)
    for row in rows:
        if row.position.epoch == positions[row.channel].epoch:
            kept[row.channel].append(_publication(engine, row))
        engine.market.restore(row.channel, row.data)
    for channel, position in positions.items():
        engine.hub.restore(channel, position, kept[channel])


def _publication(engine: Engine, row: Row) -> Publication:
    """As it was; its age is reckoned by the wall clock, the only one that outlives a process."""
    age_ns = max(0, engine.wall_ms() - row.time_ms) * NS_PER_MS
    stamp_ns = engine.hub.now_ns() - age_ns
    return Publication(row.data, row.kind, stamp_ns, row.position.offset, row.info, row.tags)
