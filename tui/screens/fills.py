"""The last order fills, newest first: what a trader wants to see the moment it happens."""

from operator import itemgetter
from typing import ClassVar

from tui.figures import UNKNOWN, moment_text
from tui.model import Gap, Model, Part
from tui.panels.header import gap_text
from tui.reports import FillReport
from tui.screens.account import account_title
from tui.table import Cell, Column, Row, Table, Tone

SIDES = {"buy": ("▲ buy", Tone.BUY), "sell": ("▼ sell", Tone.SELL)}


class FillsTable(Table):
    TITLE = "Fills"
    SHOWS = frozenset({Part.FILLS, Part.ACCOUNTS})
    EMPTY = "no fill yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "time", 11),
        Column("market", "market", 0, most=48),
        Column("side", "side", 6),
        Column("size", "size", 12, is_number=True),
        Column("price", "price", 14, is_number=True),
        Column("filled", "of order", 19, is_number=True, from_width=112),
        Column("role", "role", 12, from_width=92),
        Column("bot", "bot", 10, from_width=124),
        Column("fill", "fill", 36, from_width=160),
        Column("account", "account", 10, from_width=200),
    )

    def title(self, model: Model) -> str:
        return account_title(self.TITLE, model)

    def rows(self, model: Model, now: float) -> list[Row]:
        rows = [(fill["time"], fill_row(account, fill, now)) for (account, _, _), fill in model.fills.items()]
        rows += [(int(gap.until * 1_000), gap_row(gap, now)) for gap in model.gaps]
        by_time = sorted(rows, key=itemgetter(0))
        return [row for _, row in reversed(by_time)]


def gap_row(gap: Gap, now: float) -> Row:
    """A line where fills may be missing."""
    told = Cell(f"{gap.channel}: {gap_text(gap)}", Tone.WARNING)
    until_ms = int(gap.until * 1_000)
    time = Cell(moment_text(until_ms, now), Tone.DIM, until_ms)
    return Row(f"gap {gap.channel} {gap.until}", (time, told, *[Cell("")] * 8))


def fill_row(account: str, fill: FillReport, now: float) -> Row:
    """One line of the table."""
    side, tone = SIDES[fill["side"]]
    return Row(
        f"{account}\n{fill['market']} {fill['fill']}",
        (
            Cell(moment_text(fill["time"], now), Tone.DIM, fill["time"]),
            Cell(fill["market"], Tone.STRONG),
            Cell(side, tone, fill["side"]),
            Cell(fill["size"]),
            Cell(fill["price"], Tone.STRONG),
            Cell(_progress(fill), Tone.DIM),
            Cell(fill["role"].replace("_", " "), Tone.DIM),
            Cell(fill["bot"], Tone.DIM),
            Cell(fill["fill"], Tone.DIM),
            Cell(account, Tone.DIM),
        ),
    )


def _progress(fill: FillReport) -> str:
    """How much of its order is filled; of what was looked up afterwards nobody knows."""
    if fill["backfilled"]:
        return "looked up"
    return f"{fill['filled'] or UNKNOWN}/{fill['order_size'] or UNKNOWN}"
