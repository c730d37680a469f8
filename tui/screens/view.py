"""What every screen of the console is: head and foot around its own panels, and what it asks for.

A view is a screen of its own, so each keeps its cursor and what was opened in it while another
one is looked at; only the one on top is drawn, and only its calls cost the server anything.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen

from monitor.errors import ConfigError
from tui.export import export_csv, file_name
from tui.model import Call, Model, Part
from tui.panels.facts import Facts
from tui.panels.header import Banner, Header, ViewBar
from tui.panels.hints import Hints
from tui.panels.panel import Panel
from tui.prompt import Prompt
from tui.question import Question
from tui.reading import Reading
from tui.table import Table

if TYPE_CHECKING:
    from tui.app import Console

_COMMAND = "Go to a view, or do a command, by its name"
_COMMAND_HINT = "a view, or one and /filter; account NAME, client ID, help, quit; Tab completes, ↑ recalls"
_EXPORT = "a new file, which only you can read"
_FILTER = "Filter: a text, ~ an expression, ! all others"


class View(Screen[None]):
    NAME: ClassVar[str] = ""
    """In the bar at the top; also the word that the `:` prompt takes."""
    ALIASES: ClassVar[tuple[str, ...]] = ()
    """Other words for it."""
    MAPS: ClassVar[tuple[str, ...]] = ()
    """Namespaces whose maps, of all accounts, are followed while the view is looked at."""
    PANELS: ClassVar[tuple[type[Table] | type[Facts], ...]] = ()
    """What stands between head and foot, from the top."""
    FILTER_HINT: ClassVar[str] = "a text, ~ a regular expression, ! all others"
    ACTS: ClassVar[frozenset[str]] = frozenset()
    """Actions that do something to somebody: a console for reading offers none of them."""
    AUTO_FOCUS = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("colon", "command", "Go to", id="command", tooltip=_COMMAND),
        Binding("slash", "filter", "Filter", id="filter", tooltip=_FILTER),
        Binding("e", "export", "Export as CSV", show=False, id="export"),
        Binding("escape", "back", "Back, or show all rows again", show=False, id="back"),
        Binding("tab", "app.focus_next", "Next list", show=False, id="next_list"),
        Binding("shift+tab", "app.focus_previous", "List before", show=False, id="list_before"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._table: Table | None = None
        """Which one is filtered from the prompt."""

    def compose(self) -> ComposeResult:
        """The head, the view's own panels, the foot."""
        with Vertical(id="head"):
            yield Header(self.console.is_read_only)
            yield ViewBar({view: self.console.key_of(view) for view in self.console.MODES}, self.path)
            yield Banner(self.console.key_of("reconnect"))
        yield from self.compose_panels()
        yield Prompt(self.FILTER_HINT, self.console.past_filters, id="filter")
        yield Prompt(_COMMAND_HINT, self.console.past_commands, id="command")
        yield Hints()

    def compose_panels(self) -> ComposeResult:
        """One of each."""
        return (panel() for panel in self.PANELS)

    def calls(self, model: Model) -> tuple[Call, ...]:
        """What the server is asked every second while the view is looked at."""
        return ()

    @property
    def crumb(self) -> str:
        """Stands for the view in the path to what was opened from it."""
        return self.NAME

    @property
    def console(self) -> "Console":
        return cast("Console", self.app)

    def panels(self) -> Iterator[Panel]:
        """All that shows a part of the model."""
        return (widget for widget in self.query("*") if isinstance(widget, Panel))

    def show(self, changes: set[Part]) -> None:
        """Draw what these changes touch."""
        model = self.console.model
        now = self.console.now() + model.server_ahead
        for panel in self.panels():
            if panel.SHOWS & changes:
                panel.show(model, now)

    def ask(self) -> None:
        """Have the server asked for what the view needs, at once and then every second."""
        self.console.ask(self.calls(self.console.model), self.MAPS)

    def on_screen_resume(self) -> None:
        """It is looked at from now on: draw all of it, and ask for what it needs."""
        if self.children:  # else the console ends before it was made
            self.show(set(Part))
            self.ask()

    def path(self) -> list[str]:
        """The crumbs that lead to the screen on top, from the view that a key leads to."""
        return [view.crumb for view in self.app.screen_stack if isinstance(view, View)]

    def on_resize(self) -> None:
        """What fits is not what fitted."""
        self.show(set(Part))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Who may only look isn't offered what changes something."""
        return not (self.console.is_read_only and action in self.ACTS)

    def action_command(self) -> None:
        prompt = self.query_one("#command", Prompt)
        prompt.offer(self.console.words)
        prompt.open()

    @on(Prompt.Submitted, "#command")
    async def obey(self, event: Prompt.Submitted) -> None:
        """Do what was typed, or what was offered for it."""
        self.query_one("#command", Prompt).action_leave()
        await self.console.obey(event.value)

    def action_filter(self) -> None:
        self._table = self.table
        prompt = self.query_one("#filter", Prompt)
        with prompt.prevent(Prompt.Changed):
            prompt.value = self.filter_text
        prompt.open()

    @property
    def table(self) -> Table:
        """The one that has the keys, or had them before a prompt; else the first."""
        if isinstance(self.focused, Table):
            return self.focused
        return self._table or self.query(Table).first()

    @property
    def filter_text(self) -> str:
        return self.table.filter_text

    def filter(self, text: str) -> None:
        """Show the rows that match."""
        self.table.filter(text)

    @on(Prompt.Changed, "#filter")
    def filter_rows(self, event: Prompt.Changed) -> None:
        """Let the rows follow what is typed."""
        self.filter(event.value)

    @on(Prompt.Submitted, "#filter")
    def keep_filter(self) -> None:
        """Back to the rows."""
        self.query_one("#filter", Prompt).close()

    @on(Table.Chosen)
    def read_row(self, event: Table.Chosen) -> None:
        """Show all of the row, where nothing deeper opens from it."""
        table = event.table
        if not self.open_row(table, event.key) and (row := table.cursor_row) is not None:
            self.app.push_screen(Reading(table.TITLE, table.COLUMNS, row.cells))

    def open_row(self, table: Table, key: str) -> bool:
        """Open what stands behind a row; False if there is nothing."""
        return False

    def action_back(self) -> None:
        """Show all rows again; if they are, return to what this was opened from."""
        if self.filter_text:
            self.filter("")
            with self.prevent(Prompt.Changed):
                self.query_one("#filter", Prompt).action_leave()
        elif len(self.app.screen_stack) > 1:
            self.app.pop_screen()

    def action_export(self) -> None:
        """Ask for a file's name, and write the table there."""
        table = self.table
        name = file_name(table.TITLE.casefold().replace(" ", "-"), self.console.now())
        question = Question(f"{table.TITLE} as CSV", name, hint=_EXPORT)
        self.app.push_screen(question, partial(self._export, table))

    def _export(self, table: Table, name: str | None) -> None:
        if name is None:
            return
        path, records = Path(name).expanduser(), table.records()
        try:
            export_csv(path, [column.key for column in table.COLUMNS], records)
        except ConfigError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.notify(f"{len(records):,} rows in {path.absolute()}", markup=False)
