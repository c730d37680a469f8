"""The line at the foot in which the operator types a `:` command or a `/` filter."""

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input


class Prompt(Input):
    """Hidden until it is opened; what it was opened from gets the keys back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("tab", "complete", "Complete the word", show=False),
    ]

    def __init__(self, hint: str, words: Iterable[str] = (), *, id: str) -> None:
        """`words` are offered as one types."""
        self._words = tuple(words)
        suggester = SuggestFromList(self._words, case_sensitive=False)
        super().__init__(placeholder=hint, suggester=suggester, compact=True, id=id)
        self._opened_from: Widget | None = None

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Textual doesn't know of a slash what it types, and would show its key in the foot."""
        return key == "slash" or super().check_consume_key(key, character)

    def open(self) -> None:
        if not self.has_focus:
            self._opened_from = self.screen.focused
        self.display = True
        self.focus()

    def action_complete(self) -> None:
        """Take the first word that begins so: the one that Enter would take."""
        begun = self.value.casefold()
        self.value = next((word for word in self._words if begun and word.startswith(begun)), self.value)
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        self.value = ""
        self.close()

    def close(self) -> None:
        """Give the keys back; what was typed stays on show."""
        self.display = bool(self.value)
        self.screen.set_focus(self._opened_from)
