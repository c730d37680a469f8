"""What the channels carry: who listens, how much, and from where on it can be recovered."""

from typing import ClassVar

from tui.figures import UNKNOWN, bytes_text, count_text, rate_text
from tui.model import Model, Part
from tui.reports import ChannelReport
from tui.screens.listing import Listing, ListingView
from tui.table import Cell, Column, Row, Table, Tone


class ChannelsTable(Table):
    TITLE = "Channels"
    SHOWS = frozenset({Part.CHANNELS, Part.LINK})
    EMPTY = "none that match"
    IS_SERVED = True
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("channel", "channel", 0, most=64, is_sortable=True),
        Column("lane", "lane", 9, from_width=92, is_sortable=True),
        Column("delivery", "delivery", 8, from_width=136, is_sortable=True),
        Column("subscribers", "clients", 8, is_number=True, is_sortable=True),
        Column("rate", "pub/s", 8, is_number=True, is_sortable=True),
        Column("published", "published", 11, is_number=True, from_width=112, is_sortable=True),
        Column("queued_bytes", "waiting", 9, is_number=True, is_sortable=True),
        Column("kept", "kept", 7, is_number=True, is_sortable=True),
        Column("kept_bytes", "kept in", 9, is_number=True, from_width=124, is_sortable=True),
        Column("offset", "offset", 11, is_number=True, from_width=78, is_sortable=True),
        Column("epoch", "epoch", 8, from_width=150),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        return [channel_row(entry) for entry in model.channels["rows"]] if model.channels else []

    def title(self, model: Model) -> str:
        return CHANNELS.title(self.TITLE, model, model.channels)


def channel_row(entry: ChannelReport) -> Row:
    """One line of the table."""
    waits = Tone.STRONG if entry["queued_bytes"] else Tone.DIM
    subscribers = entry["subscribers"]
    keeps = Tone.PLAIN if entry["kept"] else Tone.DIM
    return Row(
        entry["channel"],
        (
            Cell(entry["channel"]),
            Cell(entry["lane"], Tone.DIM),
            Cell(entry["delivery"], Tone.DIM),
            Cell(count_text(subscribers), Tone.PLAIN if subscribers else Tone.DIM, subscribers),
            Cell(UNKNOWN if entry["rate"] is None else rate_text(entry["rate"]), value=entry["rate"]),
            Cell(count_text(entry["published"]), value=entry["published"]),
            Cell(bytes_text(entry["queued_bytes"]), waits, entry["queued_bytes"]),
            Cell(count_text(entry["kept"]), keeps, entry["kept"]),
            Cell(bytes_text(entry["kept_bytes"]), keeps, entry["kept_bytes"]),
            Cell(UNKNOWN if entry["offset"] is None else count_text(entry["offset"]), value=entry["offset"]),
            Cell(entry["epoch"] or UNKNOWN, Tone.DIM),
        ),
    )


CHANNELS = Listing(
    key="channels",
    method="ops.channels",
    sort_columns=("subscribers", "rate", "published", "queued_bytes", "kept_bytes", "channel"),
)


class ChannelsView(ListingView):
    NAME = "channels"
    ALIASES = ("chan", "ch")
    PANELS = (ChannelsTable,)
    FILTER_HINT = "part of a name, lane or delivery; ~ and ! among those shown"

    @property
    def listing(self) -> Listing:
        return CHANNELS
