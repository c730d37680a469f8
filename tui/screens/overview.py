"""How the server is, on one screen: lanes, load, kinds, fills, feeds and alerts."""

from textual.app import ComposeResult
from textual.containers import Container

from tui.panels.kinds import KindsTable
from tui.panels.lanes import LanesTable
from tui.panels.load import LoadFacts
from tui.screens.alerts import AlertsTable
from tui.screens.feeds import FeedsTable
from tui.screens.fills import FillsTable
from tui.screens.view import View


class OverviewView(View):
    NAME = "overview"
    ALIASES = ("ov", "home")

    def compose_panels(self) -> ComposeResult:
        """Those that are always there, then those for which a higher screen has room."""
        with Container(id="top"):
            yield LanesTable()
            yield LoadFacts()
        yield KindsTable()
        yield FillsTable()
        yield FeedsTable()
        yield AlertsTable()
