"""What every screen of the console is: head and foot around its own panels, and what it asks for.

A view is a screen of its own, so each keeps its cursor and what was opened in it while another
one is looked at; only the one on top is drawn, and only its calls cost the server anything.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer

from tui.model import Call, Model, Part
from tui.panels.header import Banner, Header, ViewBar
from tui.panels.panel import Panel
from tui.prompt import Prompt

if TYPE_CHECKING:
    from tui.app import Console


class View(Screen[None]):
    NAME: ClassVar[str] = ""
    """In the bar at the top; also the word that the `:` prompt takes."""
    ALIASES: ClassVar[tuple[str, ...]] = ()
    """Other words for it."""
    AUTO_FOCUS = "Table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("colon", "command", "Go to"),
        Binding("escape", "back", "Back", show=False),
    ]

    def compose(self) -> ComposeResult:
        """The head, the view's own panels, the foot."""
        yield Header()
        yield ViewBar(self.console.MODES)
        yield Banner()
        yield from self.compose_panels()
        yield Prompt("a view, or quit, help, reconnect", self.console.commands, id="command")
        yield Footer()

    def compose_panels(self) -> ComposeResult:
        """What stands between head and foot."""
        raise NotImplementedError

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
        model, now = self.console.model, self.console.now()
        for panel in self.panels():
            if panel.SHOWS & changes:
                panel.show(model, now)

    def ask(self) -> None:
        """Have the server asked for what the view needs, at once and then every second."""
        self.console.ask(self.calls(self.console.model))

    def on_screen_resume(self) -> None:
        """It is looked at from now on: draw all of it, and ask for what it needs."""
        path = [view.crumb for view in self.app.screen_stack if isinstance(view, View)]
        self.query_one(ViewBar).stand(self.console.current_mode, path)
        self.show(set(Part))
        self.ask()

    def on_resize(self) -> None:
        """What fits is not what fitted."""
        self.show(set(Part))

    def action_command(self) -> None:
        self.query_one("#command", Prompt).open()

    @on(Prompt.Submitted, "#command")
    async def obey(self, event: Prompt.Submitted) -> None:
        """Do what was typed, or what was offered for it."""
        self.query_one("#command", Prompt).action_leave()
        await self.console.obey(event.value)

    def action_back(self) -> None:
        """Return to what this was opened from."""
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()
