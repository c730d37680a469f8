"""How the server is, on one screen: lanes, load, kinds, fills, feeds and alerts.

On a low screen the kinds have what the others leave: alerts are two lines there, feeds are left to
their own view. Enter on a kind opens the client that waited longest for it. What tuning did is undone
from here.
"""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from tui.model import Call
from tui.panels.kinds import KindsTable
from tui.panels.lanes import LanesTable
from tui.panels.load import LoadFacts
from tui.question import Question
from tui.screens.account import AccountView
from tui.screens.alerts import AlertsTable, read_alert
from tui.screens.connection import ConnectionView
from tui.screens.feeds import FeedsTable, unfold
from tui.screens.fills import FillsTable
from tui.table import Table


class OverviewView(AccountView):
    NAME = "overview"
    ALIASES = ("ov", "home")
    AUTO_FOCUS = "KindsTable"
    PANELS = (LanesTable, LoadFacts, KindsTable, AlertsTable, FillsTable, FeedsTable)
    ACTS = frozenset({"tune"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "tune", "Tuning on, off or undone", show=False, id="tuning")
    ]

    def compose_panels(self) -> ComposeResult:
        """The first two share a line where the screen is wide."""
        lanes, load, *others = super().compose_panels()
        yield Container(lanes, load, id="top")
        yield from others

    def action_tune(self) -> None:
        """Ask what tuning is to do."""
        question = Question("tuning: on, off or revert", "revert", trouble=_tuning_trouble)
        self.app.push_screen(question, self._tune)

    def _tune(self, answer: str | None) -> None:
        if answer is not None:
            self.console.act(Call("ops.tuning", {"action": answer}), f"tuning {answer}")

    def open_row(self, table: Table, key: str) -> bool:
        """The client that waited longest for a kind, if one did; what stands below a feed; an alert whole."""
        if isinstance(table, FeedsTable):
            unfold(self, key)
            return True
        if isinstance(table, AlertsTable):
            return read_alert(self, table)
        health = self.console.model.health
        for kind in health["kinds"] if health and isinstance(table, KindsTable) else []:
            if kind["kind"] == key and (worst := kind["worst_client"]):
                self.app.push_screen(ConnectionView(worst["client"]))
                return True
        return False


def _tuning_trouble(text: str) -> str | None:
    return None if text in {"on", "off", "revert"} else f"{text!r} is none of on, off and revert"
