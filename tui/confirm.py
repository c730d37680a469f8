"""What is asked before something is done to a client: yes or no."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.figures import printable


class ConfirmScreen(ModalScreen[bool]):
    """Dismissed with True if it is to be done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "dismiss(True)", "Yes"),
        ("n,escape", "dismiss(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """One box."""
        box = Static(Content(printable(self._question)), classes="dialog")
        box.border_title = "Sure?"
        box.border_subtitle = "y does it · n, Esc don't"
        yield box
