"""A small box with one line to fill in: where a file goes, for how long an alert is silent.

What makes no sense is said in the box, which stays: elsewhere it would be read when the answer is gone.
"""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.figures import printable

Trouble = Callable[[str], str | None]
"""Why an answer can't be taken; None if it can."""


class Question(ModalScreen[str | None]):
    """Dismissed with what was typed, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss", "Cancel")]

    def __init__(
        self, question: str, answer: str = "", *, hint: str = "", trouble: Trouble = lambda _: None
    ) -> None:
        """`answer` stands there already, and gives way to what is typed."""
        super().__init__()
        self._question, self._answer, self._hint, self._trouble = question, answer, hint, trouble

    def compose(self) -> ComposeResult:
        """One box."""
        box = Input(self._answer, compact=True, id="question")
        box.border_title = Content(printable(self._question))
        box.border_subtitle = " · ".join(filter(None, (self._hint, "Enter does it", "Esc cancels")))
        yield box

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if text and (trouble := self._trouble(text)) is not None:
            event.input.border_subtitle = Content.styled(printable(trouble), "bold $text-error")
        else:
            self.dismiss(text or None)
