"""The server's last log lines, newest first, from a level up that the operator chooses."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.figures import utc_text
from tui.model import Call, Model, Part
from tui.reports import LineReport
from tui.row import Cell, Column, Row, Tone
from tui.screens.view import View
from tui.table import Table

LINES = Call("ops.logs", {})
_TONES = {
    "debug": Tone.DIM,
    "info": Tone.PLAIN,
    "warning": Tone.WARNING,
    "error": Tone.BAD,
    "critical": Tone.BAD,
}
LEVELS = tuple(_TONES)


class LogsTable(Table):
    TITLE = "Log"
    SHOWS = frozenset({Part.LOGS, Part.LINK})
    EMPTY = "no line yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "time", 9),
        Column("level", "level", 8),
        Column("logger", "by", 18, from_width=100),
        Column("message", "what", 0),
    )

    def __init__(self) -> None:
        super().__init__()
        self.least_level = 0
        """The place in LEVELS of the lowest that is shown."""

    def rows(self, model: Model, now: float) -> list[Row]:
        shown = LEVELS[self.least_level :]
        return [log_row(line) for line in reversed(model.logs) if line["level"] in shown]

    def title(self, model: Model) -> str:
        if (refusal := model.refusals.get(LINES.method)) is not None:
            return f"{self.TITLE} · {refusal}"
        return f"{self.TITLE} · {LEVELS[self.least_level]} and above" if self.least_level else self.TITLE


def log_row(line: LineReport) -> Row:
    """One line of the table; what was logged in several is shown in one."""
    tone = _TONES.get(line["level"], Tone.PLAIN)
    return Row(
        str(line["id"]),
        (
            Cell(utc_text(line["time"]), Tone.DIM, line["time"]),
            Cell(line["level"], tone),
            Cell(line["logger"].removeprefix("lanecast."), Tone.DIM),
            Cell(line["message"], tone),
        ),
    )


class LogsView(View):
    NAME = "logs"
    ALIASES = ("log", "lo")
    PANELS = (LogsTable,)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "level", "Level", id="level"),
    ]

    def calls(self, model: Model) -> tuple[Call, ...]:
        """What was logged since the last call."""
        return (LINES,)

    def action_level(self) -> None:
        """Leave out the lowest level that is shown; after the highest, show all."""
        table = self.query_one(LogsTable)
        table.least_level = (table.least_level + 1) % len(LEVELS[:-1])
        self.show({Part.LOGS})
