"""Alerts raised and cleared, with their times: the active ones first."""

from typing import ClassVar

from textual.app import ComposeResult

from tui.figures import clock_text, span_text
from tui.model import Model, Part
from tui.reports import AlertReport
from tui.screens.view import View
from tui.table import Cell, Column, Row, Table, Tone

_SEVERITIES = {"warning": ("▲", Tone.WARNING), "critical": ("✖", Tone.BAD)}


class AlertsTable(Table):
    TITLE = "Alerts"
    SHOWS = frozenset({Part.ALERTS, Part.TIME})
    EMPTY = "none raised"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("sign", "", 1),
        Column("raised", "raised", 8),
        Column("cleared", "cleared", 8),
        Column("lasted", "lasted", 7, is_number=True, from_width=70),
        Column("name", "alert", 22, from_width=100),
        Column("message", "what", 0),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        return [alert_row(alert, now) for alert in model.alerts]

    def title(self, model: Model) -> str:
        active = len(model.active_alerts)
        return f"Alerts · {active} active" if active else self.TITLE


def alert_row(alert: AlertReport, now: float) -> Row:
    """One line of the table; a cleared alert is shown calmly."""
    cleared = alert["cleared"]
    sign, tone = _SEVERITIES.get(alert["severity"], ("?", Tone.WARNING))
    if cleared is not None:
        sign, tone = "✓", Tone.DIM
    lasted = (cleared if cleared is not None else now * 1_000) - alert["raised"]
    return Row(
        str(alert["id"]),
        (
            Cell(sign, tone),
            Cell(clock_text(alert["raised"]), value=alert["raised"]),
            Cell("active", tone) if cleared is None else Cell(clock_text(cleared), Tone.DIM, cleared),
            Cell(span_text(lasted / 1_000), Tone.DIM, round(lasted)),
            Cell(alert["name"], tone),
            Cell(alert["message"], Tone.DIM if cleared is not None else Tone.PLAIN),
        ),
    )


class AlertsView(View):
    NAME = "alerts"
    ALIASES = ("al",)

    def compose_panels(self) -> ComposeResult:
        """The list."""
        yield AlertsTable()
