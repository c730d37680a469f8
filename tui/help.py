"""The `?` screen: every key and sign on one page."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_KEYS = (
    ("1 … 8", "the views in the line at the top"),
    (":", "a view by its name, as :conn; :q quits"),
    ("Tab, ⇧Tab", "next, previous list"),
    ("↑ ↓ j k g G", "move; Page Up, Page Down, Home, End too"),
    ("Enter, Esc", "open a connection, unfold a feed; go back"),
    ("x, m, b", "of a connection: disconnect, ladder, budget"),
    ("t", "ledger: by channel, by client"),
    ("a, z", "of an alert: acknowledge, silence for a time"),
    ("v", "log: from which level on"),
    ("/", "filter: a text, ~regular expression, !all others; Esc clears"),
    ("s, S", "sort the list: next column, other way"),
    ("p, Space, f", "troubles only; pause; follow the row"),
    ("← →, c, C, e", "choose a cell; copy it, the row; export as CSV"),
    ("r", "reconnect now"),
    ("Ctrl-P", "command palette"),
    ("q, Ctrl-C", "quit"),
)
_SIGNS = (
    ("● ▲ ✖", "well; near its limit or in trouble; over it or down"),
    ("○ ◌", "a quiet feed; one that waits or connects"),
    ("lanes", "depth waits now, peak was the most in a minute"),
    ("dim", "old; the line at the top says since when"),
)


class HelpScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [("escape,question_mark,q,enter", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """One box."""
        box = Static(Content("\n").join([*_lines(_KEYS), Content(""), *_lines(_SIGNS)]), id="help")
        box.border_title = "Keys and signs"
        box.border_subtitle = "Esc closes"
        yield box


def _lines(entries: tuple[tuple[str, str], ...]) -> list[Content]:
    return [Content.assemble((f"{name:<14}", "bold $text-accent"), text) for name, text in entries]
