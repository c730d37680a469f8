"""Alerts raised and cleared, with their times: the active ones first; below them what limits refused."""

import re
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from monitor.errors import ConfigError
from tui.duration import seconds_of
from tui.figures import moment_text, span_text
from tui.model import Call, Model, Part
from tui.panels.kinds import ID_CELLS
from tui.panels.refusals import RefusalsTable
from tui.question import Question
from tui.reading import Reading
from tui.reports import AlertReport
from tui.screens.connection import ConnectionView
from tui.screens.view import View
from tui.table import Cell, Column, Row, Table, Tone

_CLIENT = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
SILENCE_MAX = "7d"
_SEVERITIES = {"warning": ("▲", Tone.WARNING), "critical": ("✖", Tone.BAD)}


class AlertsTable(Table):
    TITLE = "Alerts"
    SHOWS = frozenset({Part.ALERTS, Part.TIME})
    EMPTY = "none raised"
    HOLDS_CURSOR = True
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("sign", "", 1),
        Column("raised", "raised", 11),
        Column("cleared", "cleared", 11),
        Column("lasted", "lasted", 7, is_number=True, from_width=70),
        Column("since", "since", 11, from_width=200),
        Column("name", "alert", 22, from_width=200),
        Column("message", "what", 0),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        return [alert_row(alert, now) for alert in model.alerts]

    def title(self, model: Model) -> str:
        """With how many are active."""
        active = len(model.active_alerts)
        return f"{self.TITLE} · {active} active" if active else self.TITLE

    def __init__(self) -> None:
        self._active = 0
        super().__init__()

    def show(self, model: Model, now: float) -> None:
        """A low overview has no room for it while all is well."""
        self._active = len(model.active_alerts)
        self.set_class(not self._active, "-calm")
        super().show(model, now)

    def notes(self) -> list[str]:
        """How many of the active ones there is no room for."""
        hidden = max(0, self._active - self.page)
        return [f"+{hidden} more"] * bool(hidden) + super().notes()


def alert_row(alert: AlertReport, now: float) -> Row:
    """One line of the table; a cleared alert is shown calmly."""
    cleared = alert["cleared"]
    sign, tone = _SEVERITIES.get(alert["severity"], ("?", Tone.WARNING))
    if cleared is not None:
        sign, tone = "✓", Tone.DIM
    lasted = (cleared if cleared is not None else now * 1_000) - alert["raised"]
    said = handled_text(alert, now) + alert["message"]
    return Row(
        str(alert["id"]),
        (
            Cell(sign, tone, alert["severity"]),
            Cell(moment_text(alert["raised"], now), value=alert["raised"]),
            Cell("active", tone) if cleared is None else Cell(moment_text(cleared, now), Tone.DIM, cleared),
            Cell(span_text(lasted / 1_000), Tone.DIM, round(lasted)),
            Cell(moment_text(alert["since"], now), Tone.DIM, alert["since"]),
            Cell(alert["name"], tone),
            Cell(_brief(said), Tone.PLAIN if cleared is None else Tone.DIM, said),
        ),
    )


def _brief(message: str) -> str:
    """With clients called as in all lists: whole, their ids would push the numbers out of sight."""
    return _CLIENT.sub(lambda client: client[0][:ID_CELLS], message)


def handled_text(alert: AlertReport, now: float) -> str:
    """What an operator has done about it, before what it says."""
    until = alert.get("silenced_until")
    if until is not None and until > now * 1_000:
        return f"silent {span_text(until / 1_000 - now)} · "
    return "acknowledged · " if alert.get("acknowledged") else ""


def read_alert(view: View, table: AlertsTable) -> bool:
    """Show the alert under the cursor whole; from there Enter opens the first client that it names.

    Also once that is gone: the server remembers why.
    """
    row = table.cursor_row
    named = _CLIENT.search(str(row.cells[-1].exact)) if row else None
    if row is None or named is None:
        return False

    def open_client(is_wanted: bool | None) -> None:
        if is_wanted:
            view.app.push_screen(ConnectionView(named[0]))

    beyond = f"client {named[0][:ID_CELLS]}"
    view.app.push_screen(Reading(table.TITLE, table.COLUMNS, row.cells, beyond), open_client)
    return True


class AlertsView(View):
    NAME = "alerts"
    ALIASES = ("al", "limits", "refused")
    PANELS = (AlertsTable, RefusalsTable)
    ACTS = frozenset({"acknowledge", "silence"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "acknowledge", "Acknowledge", id="acknowledge"),
        Binding("z", "silence", "Silence", id="silence"),
    ]

    def open_row(self, table: Table, key: str) -> bool:
        """All that an alert says."""
        return isinstance(table, AlertsTable) and read_alert(self, table)

    def action_acknowledge(self) -> None:
        """Let the other operators know that somebody has seen it."""
        if (alert := self._under_cursor()) is not None:
            self.console.act(Call("ops.alerts.ack", {"id": alert["id"]}), f"acknowledge {alert['name']}")

    def action_silence(self) -> None:
        """Ask for how long it is to call nobody."""
        if (alert := self._under_cursor()) is not None:
            title = f"silence {alert['name']} for (0 ends it)"
            question = Question(title, "1h", hint="as 90s, 15m, 2h, 1d", trouble=_duration_trouble)
            self.app.push_screen(question, partial(self._silence, alert["name"]))

    def _silence(self, name: str, answer: str | None) -> None:
        if answer is not None:
            call = Call("ops.alerts.silence", {"name": name, "seconds": seconds_of(answer)})
            self.console.act(call, f"silence {name} for {answer}")

    def _under_cursor(self) -> AlertReport | None:
        """Only while its cursor is seen: it stays with its alert no longer than that."""
        table = self.query_one(AlertsTable)
        if not table.has_focus:
            self.notify("no alert is chosen; Tab leads to the alerts", severity="warning")
            return None
        key = table.cursor_key
        return next((alert for alert in self.console.model.alerts if str(alert["id"]) == key), None)


def _duration_trouble(text: str) -> str | None:
    try:
        is_too_long = seconds_of(text) > seconds_of(SILENCE_MAX)
    except ConfigError as error:
        return str(error)
    return f"at most {SILENCE_MAX}" if is_too_long else None
