"""What a start takes over from the server before: positions, histories, orders, fills and bots.

Decides that the journal is the only witness: what it holds was acknowledged, what it doesn't was
not. So a client that comes back after a crash goes on where it was, and a fill that the venue
tells again is known. Of one that can't be written there are no positions, but what it says is true.
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from monitor.broadcast.item import Publication
from monitor.broadcast.journaled import Journaled, Standing
from monitor.config import Settings, journaled_namespaces
from monitor.engine import Engine
from monitor.health.latency import NS_PER_MS
from monitor.market.state import MarketState
from monitor.market.told import BadTold
from monitor.storage.journal import Journal
from monitor.storage.journal_file import Row
from monitor.turn import Turn


async def take_over(engine: Engine, settings: Settings) -> Journal | None:
    """Restore what the journal knows and let the hub keep in it from now on.

    If nothing is journaled, have the journal know, and return None.

    Raises:
        JournalInUse.
    """
    namespaces = journaled_namespaces(settings.namespaces)
    channels = Journaled(engine.hub)
    journal = Journal(
        settings.journal_file,
        settings.journal,
        engine.health.journal,
        channels,
        namespaces,
        tell_lost=engine.house.registry.lose_positions,
        recall=partial(_recall, engine),
        wall_ms=engine.health.wall_ms,
    )
    if not namespaces:
        await journal.forgo()
        return None
    if opened := await journal.open():
        _restore(engine, channels, opened.rows, opened.standing, journal.date_ms)
    else:
        await _read(engine.market, journal)
    engine.hub.journal = journal
    return journal


def _restore(
    engine: Engine, channels: Journaled, rows: Iterable[Row], standing: Standing, date_ms: int
) -> None:
    """Fill histories and market state from the rows, in their order."""
    kept: defaultdict[str, list[Publication]] = defaultdict(list)
    for row in rows:
        if row.position.epoch == standing.positions[row.channel].epoch:
            kept[row.channel].append(_publication(row, engine.health.clock_ns(), date_ms))
        _note(engine.market, row)
    channels.restore(standing, kept)


async def _read(market: MarketState, journal: Journal) -> None:
    """Have the market state know what a journal says that can't be written, now or late."""
    rows = await journal.read()
    if rows is None:
        market.await_past()
    for row in rows or ():
        _note(market, row)


async def _recall(engine: Engine, rows: Iterable[Row]) -> None:
    """Have the market state know late what was before the start; nobody is shown a part of it."""
    turn = Turn()
    before = MarketState(lambda channel: 0)
    for row in rows:
        _note(before, row)
        await turn.give_way()
    for _ in engine.market.recall(before):
        await turn.give_way()
    engine.rechecks.demand_all()


def _note(market: MarketState, row: Row) -> None:
    with suppress(BadTold):  # there are more accounts than are kept
        if (said := market.read(row.channel, row.data)) is not None:
            said.note()


def _publication(row: Row, now_ns: int, date_ms: int) -> Publication:
    """As it was; its age is reckoned by the date, which outlives a process."""
    age_ns = max(0, date_ms - row.time_ms) * NS_PER_MS
    return Publication(row.data, row.kind, now_ns - age_ns, row.position.offset, row.info, row.tags)
