"""The `?` screen: the keys of the view on top as they are bound now, what signs mean, what `:` takes."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.sheet import Sheet
from tui.table import Table

if TYPE_CHECKING:
    from tui.screens.view import View

KEY_CELLS = 17
_SIGNS = {
    "● ▲ ✖": "well; near its limit or in trouble; over or down",
    "○ ◌": "a quiet feed; one that waits or connects",
    "lanes": "depth waits now, peak is the most of a minute",
    "kinds": "p50 to worst of a minute; late, count of all time",
    "dim": "old; the line at the top says since when",
}


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close"),
        Binding("question_mark,f1", "dismiss", "Close", id="help"),
    ]

    def __init__(self, view: "View") -> None:
        """Explains what the keys do in this view."""
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        """One box."""
        with Sheet(id="help") as box:
            yield Static(Content("\n").join(self._lines()))
        box.border_title = "Keys and signs"
        box.border_subtitle = "↑ ↓ scroll · Esc closes"

    def _lines(self) -> Iterable[Content]:
        for title, keys in key_groups(self._view, self.app).items():
            if not keys:
                continue
            yield Content.styled(title, "bold")
            yield from _entries(keys)
            yield Content("")
        yield Content.styled("Signs", "bold")
        yield from _entries(_SIGNS)
        yield Content("")
        yield Content.styled("Words for :", "bold")
        yield from _entries(command_words(self._view.console.commands))


def key_groups(view: "View", app: App[Any]) -> dict[str, dict[str, str]]:
    """By title, the keys as they are shown and what they do."""
    groups: dict[str, dict[str, list[str]]] = {"Here": {}, "Everywhere": {}, "Lists": {}}
    bindings = view.active_bindings.values()
    texts = {each.binding.action: _text(each.binding) for each in bindings if each.binding.id}
    for active in bindings:
        if (text := texts.get(active.binding.action)) is not None:
            keys = groups[_group(active, view)].setdefault(text, [])
            keys.append(app.get_key_display(active.binding))
    return {title: {" ".join(keys): text for text, keys in group.items()} for title, group in groups.items()}


def command_words(commands: Mapping[str, str]) -> dict[str, str]:
    """By the first word of all that do the same, the others; names of themes are left to their prompt."""
    groups: dict[str, list[str]] = {}
    for word, action in commands.items():
        if " " not in word:
            groups.setdefault(action, []).append(word)
    return {first: ", ".join(others) for first, *others in groups.values()}


def _text(binding: Binding) -> str:
    return binding.tooltip or binding.description


def _group(active: ActiveBinding, view: "View") -> str:
    if isinstance(active.node, Table):
        return "Lists"
    is_own = any(active.binding.id == bound.id for bound in type(view).__dict__.get("BINDINGS", ()))
    return "Here" if is_own else "Everywhere"


def _entries(entries: Mapping[str, str]) -> Iterable[Content]:
    return (
        Content.assemble((f"  {name:<{KEY_CELLS}}", "bold $text-accent"), text)
        for name, text in entries.items()
    )
