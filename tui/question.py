"""A small box with one line to fill in: where a file goes, for how long an alert is silent."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import Input


class Question(ModalScreen[str | None]):
    """Dismissed with what was typed, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Cancel")]

    def __init__(self, question: str, answer: str) -> None:
        """`answer` stands there already."""
        super().__init__()
        self._question, self._answer = question, answer

    def compose(self) -> ComposeResult:
        """One box."""
        box = Input(self._answer, compact=True, select_on_focus=False, id="question")
        box.border_title = self._question
        box.border_subtitle = "Enter does it · Esc cancels"
        yield box

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)
