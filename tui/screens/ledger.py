"""What became of everything that was offered: in all, by channel, and by client.

offered = sent + merged + dropped + pending, at any moment; what is left over would be a mistake.
"""

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.figures import UNKNOWN, count_text, share_text
from tui.model import Model, Part
from tui.panels.facts import Fact, Facts
from tui.reports import ChannelReport, ConnectionReport, TotalsReport
from tui.screens.connection import ledger_cells
from tui.screens.listing import Listing, ListingView
from tui.table import Cell, Column, Row, Table, Tone

_SORT_COLUMNS = ("dropped", "merged", "pending", "late", "resent", "offered", "sent")

BY_CHANNEL = Listing("ledger by channel", "ops.channels", _SORT_COLUMNS, {"ledgers": True})
BY_CLIENT = Listing("ledger by client", "ops.connections", _SORT_COLUMNS)


class TotalsFacts(Facts):
    TITLE = "Since the start"
    SHOWS = frozenset({Part.HEALTH})

    def facts(self, model: Model, now: float) -> Sequence[Fact]:
        return totals_facts(model.health["totals"]) if model.health else ()

    def notes(self, model: Model, now: float) -> Sequence[Fact]:
        return totals_notes(model.health["totals"]) if model.health else ()


def totals_facts(totals: TotalsReport) -> list[Fact]:
    """Offered, and its parts with their share."""
    offered = totals["offered"]

    def part(name: str, count: int, tone: Tone) -> Fact:
        return Fact(
            name, f"{count_text(count):>13} {share_text(count, offered):>7}", tone if count else Tone.DIM
        )

    return [
        Fact("offered", f"{count_text(offered):>13}", Tone.STRONG),
        part("sent", totals["sent"], Tone.PLAIN),
        part("merged", totals["merged"], Tone.PLAIN),
        part("dropped", totals["dropped"], Tone.WARNING),
        part("pending", totals["pending"], Tone.STRONG),
        part("late", totals["late"], Tone.WARNING),
        part("resent", totals["resent"], Tone.PLAIN),
        Fact("published", f"{count_text(totals['published']):>13}"),
    ]


def totals_notes(totals: TotalsReport) -> list[Fact]:
    """Whether it balances, and why publications were dropped."""
    left = totals["offered"] - totals["sent"] - totals["merged"] - totals["dropped"] - totals["pending"]
    balance = Fact("balance", "offered = sent + merged + dropped + pending", Tone.GOOD)
    if left:
        balance = Fact("balance", f"offered is {left:,} off sent + merged + dropped + pending", Tone.BAD)
    drops = ", ".join(f"{reason} {count_text(count)}" for reason, count in sorted(totals["drops"].items()))
    return [
        balance,
        Fact("dropped as", drops or "nothing was dropped", Tone.PLAIN if drops else Tone.DIM),
        Fact("who left", "is counted here, and in none of the rows below", Tone.DIM),
    ]


class LedgerTable(Table):
    """By channel, or by client."""

    SHOWS = frozenset({Part.CHANNELS, Part.CONNECTIONS, Part.LINK})
    EMPTY = "none that match"
    IS_SERVED = True
    TITLE = "Ledger"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("name", "channel or client", 0, most=64),
        Column("offered", "offered", 11, is_number=True, is_sortable=True),
        Column("sent", "sent", 11, is_number=True, is_sortable=True),
        Column("sent_bytes", "bytes", 9, is_number=True, from_width=112, is_sortable=True),
        Column("merged", "merged", 9, is_number=True, is_sortable=True),
        Column("dropped", "dropped", 9, is_number=True, is_sortable=True),
        Column("pending", "pending", 8, is_number=True, is_sortable=True),
        Column("resent", "resent", 8, is_number=True, from_width=112, is_sortable=True),
        Column("late", "late", 8, is_number=True, from_width=96, is_sortable=True),
    )

    listing = BY_CHANNEL

    def rows(self, model: Model, now: float) -> list[Row]:
        if self.listing is BY_CHANNEL:
            return [channel_row(entry) for entry in model.channels["rows"]] if model.channels else []
        return [client_row(entry) for entry in model.connections["rows"]] if model.connections else []

    def title(self, model: Model) -> str:
        if self.listing is BY_CHANNEL:
            return BY_CHANNEL.title("By channel", model, model.channels)
        return BY_CLIENT.title("By client", model, model.connections)


def channel_row(entry: ChannelReport) -> Row:
    """What became of a channel's publications, over the clients that are connected."""
    unknown = (Cell(UNKNOWN, Tone.DIM),) * (len(LedgerTable.COLUMNS) - 1)
    known = ledger_cells(entry["ledger"]) if entry["ledger"] else unknown
    return Row(entry["channel"], (Cell(entry["channel"]), *known))


def client_row(entry: ConnectionReport) -> Row:
    """What became of all that a client was offered."""
    name = f"{entry['user'] or UNKNOWN}  {entry['address']}"
    return Row(entry["id"], (Cell(name), *ledger_cells(entry)))


class LedgerView(ListingView):
    NAME = "ledger"
    ALIASES = ("le",)
    PANELS = (TotalsFacts, LedgerTable)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("t", "turn", "Channels/clients", id="turn")]

    def __init__(self) -> None:
        super().__init__()
        self._listing = BY_CHANNEL

    @property
    def listing(self) -> Listing:
        return self._listing

    def action_turn(self) -> None:
        """From channels to clients, or back."""
        self._listing = BY_CLIENT if self._listing is BY_CHANNEL else BY_CHANNEL
        self.query_one(LedgerTable).listing = self._listing
        self.show(set(Part))
        self.ask()
