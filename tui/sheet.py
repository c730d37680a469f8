"""A box of text that may be longer than the screen; it scrolls by the keys by which lists are walked."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


class Sheet(VerticalScroll):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False, id="up"),
        Binding("down,j", "scroll_down", "Down", show=False, id="down"),
        Binding("pageup", "page_up", "Page up", show=False, id="page_up"),
        Binding("pagedown", "page_down", "Page down", show=False, id="page_down"),
        Binding("home,g", "scroll_home", "First line", show=False, id="first"),
        Binding("end,G", "scroll_end", "Last line", show=False, id="last"),
    ]
