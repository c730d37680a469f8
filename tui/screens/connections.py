"""Who is connected, and who is slow: lanes, bytes and round trip of each client.

Enter opens one of them, with what can be done about it.
"""

from typing import ClassVar

from tui.figures import UNKNOWN, bytes_text, count_text, ms_text, span_text
from tui.model import Model, Part
from tui.reports import ConnectionReport
from tui.screens.connection import ConnectionView
from tui.screens.listing import Listing, ListingView
from tui.table import Cell, Column, Row, Table, Tone

_STATES = {"ok": ("●", Tone.GOOD), "behind": ("▲", Tone.BAD), "connecting": ("◌", Tone.WARNING)}


class ConnectionsTable(Table):
    TITLE = "Connections"
    SHOWS = frozenset({Part.CONNECTIONS, Part.LINK})
    EMPTY = "none that match"
    IS_SERVED = True
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("state", "", 1, is_sortable=True),
        Column("address", "address", 21, is_sortable=True),
        Column("user", "user", 0, most=32, is_sortable=True),
        Column("name", "client", 12, from_width=96, is_sortable=True),
        Column("step", "ladder", 9, from_width=120, is_sortable=True),
        Column("channels", "chan", 4, is_number=True, is_sortable=True),
        Column("depth", "lanes i/h/n/l", 14, is_number=True, is_sortable=True),
        Column("outbox_bytes", "waiting", 8, is_number=True, is_sortable=True),
        Column("sent_bytes", "sent", 8, is_number=True, is_sortable=True),
        Column("dropped", "dropped", 8, is_number=True, from_width=112, is_sortable=True),
        Column("merged", "merged", 8, is_number=True, from_width=112, is_sortable=True),
        Column("resent", "resent", 8, is_number=True, from_width=128, is_sortable=True),
        Column("encoding", "coding", 7, from_width=120, is_sortable=True),
        Column("connected", "since", 7, is_number=True, from_width=104, is_sortable=True),
        Column("rtt_ms", "rtt ms", 6, is_number=True, is_sortable=True),
        Column("e2e_ms", "e2e ms", 6, is_number=True, from_width=128, is_sortable=True),
        Column("names", "channels", 40, from_width=200),
        Column("id", "id", 36, from_width=240),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        if model.connections is None:
            return []
        return [connection_row(entry, now) for entry in model.connections["rows"]]

    def title(self, model: Model) -> str:
        return CONNECTIONS.title(self.TITLE, model, model.connections)


def connection_row(entry: ConnectionReport, now: float) -> Row:
    """One line of the table; its key is the client's id."""
    sign, tone = _STATES.get(entry["state"], ("?", Tone.PLAIN))
    dropped = entry["dropped"]
    waits = Tone.STRONG if any(entry["lanes"]) else Tone.DIM
    return Row(
        entry["id"],
        (
            Cell(sign, tone, entry["state"]),
            Cell(entry["address"]),
            Cell(entry["user"] or UNKNOWN, Tone.PLAIN if entry["user"] else Tone.DIM),
            Cell(entry["name"], Tone.DIM),
            Cell(entry["ladder"]["name"], Tone.WARNING if entry["ladder"]["step"] else Tone.DIM),
            Cell(count_text(len(entry["channels"])), value=len(entry["channels"])),
            Cell("/".join(str(depth) for depth in entry["lanes"]), waits),
            Cell(bytes_text(entry["outbox_bytes"]), waits, entry["outbox_bytes"]),
            Cell(bytes_text(entry["sent_bytes"]), value=entry["sent_bytes"]),
            Cell(count_text(dropped), Tone.WARNING if dropped else Tone.DIM, dropped),
            Cell(count_text(entry["merged"]), Tone.DIM, entry["merged"]),
            Cell(count_text(entry["resent"]), Tone.DIM, entry["resent"]),
            Cell(entry["encoding"], Tone.DIM),
            Cell(span_text(now - entry["connected"] / 1_000), Tone.DIM, entry["connected"]),
            Cell(ms_text(entry["rtt_ms"]), value=entry["rtt_ms"]),
            Cell(ms_text(entry["e2e_ms"]), value=entry["e2e_ms"]),
            Cell(" ".join(entry["channels"]), Tone.DIM),
            Cell(entry["id"], Tone.DIM),
        ),
    )


def is_wanted(entry: ConnectionReport, text: str) -> bool:
    """Whether the server finds the client by this text."""
    names = entry["id"], entry["user"], entry["name"], entry["address"], entry["state"], entry["encoding"]
    return any(text.casefold() in name.casefold() for name in (*names, *entry["channels"]))


CONNECTIONS = Listing(
    key="connections",
    method="ops.connections",
    sort_columns=(
        "depth",
        "outbox_bytes",
        "step",
        "rtt_ms",
        "e2e_ms",
        "sent_bytes",
        "dropped",
        "channels",
        "address",
        "user",
        "state",
        "connected",
    ),
)


class ConnectionsView(ListingView):
    NAME = "connections"
    ALIASES = ("conn", "co")
    PANELS = (ConnectionsTable,)
    FILTER_HINT = "part of an address, user, client or channel; ~ and ! among those shown"

    @property
    def listing(self) -> Listing:
        return CONNECTIONS

    def open_row(self, table: Table, key: str) -> bool:
        """The connection."""
        report = self.console.model.connections
        for entry in report["rows"] if report else []:
            if entry["id"] == key and not is_wanted(entry, self.wanted.filter):
                return True  # typed ahead of the server's answer: he means another one
            if entry["id"] == key:
                called = f"{entry['user'] or 'anonymous'} {entry['address']}"
                self.app.push_screen(ConnectionView(entry["id"], called))
                return True
        return False
