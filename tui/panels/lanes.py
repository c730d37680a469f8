"""The four lanes: how much waits in each now and how long, and how that went over the last minute."""

from typing import ClassVar

from tui.figures import age_text, bytes_text, count_text, rate_text
from tui.graph import Graph
from tui.model import Model, Part
from tui.reports import LaneReport
from tui.table import Cell, Column, Row, Table, Tone

HISTORY_TOP_MIN = 10
"""Messages; below it a full bar would make noise look like trouble."""


class LanesTable(Table):
    TITLE = "Lanes"
    SHOWS = frozenset({Part.HEALTH})
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("lane", "lane", 9),
        Column("depth", "depth", 6, is_number=True),
        Column("peak", "peak", 6, is_number=True),
        Column("age", "age", 5, is_number=True),
        Column("bytes", "waiting", 8, is_number=True),
        Column("rate", "sent/s", 6, is_number=True),
        Column("history", "depth, last minute", 0),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        return [lane_row(lane) for lane in model.health["lanes"]] if model.health else []


def lane_row(lane: LaneReport) -> Row:
    """One line of the table."""
    waits = Tone.STRONG if lane["depth"] else Tone.DIM
    return Row(
        lane["lane"],
        (
            Cell(lane["lane"]),
            Cell(count_text(lane["depth"]), waits, lane["depth"]),
            Cell(count_text(lane["peak"]), Tone.PLAIN if lane["peak"] else Tone.DIM, lane["peak"]),
            Cell(age_text(lane["age_ms"]), waits, lane["age_ms"]),
            Cell(bytes_text(lane["bytes"]), waits, lane["bytes"]),
            Cell(rate_text(lane["rate"]), value=lane["rate"]),
            Cell(Graph(tuple(lane["history"]), max(lane["peak"], HISTORY_TOP_MIN)), Tone.GRAPH),
        ),
    )
