"""The line at the foot in which the operator types a `:` command or a `/` filter; ↑ and ↓ recall what was."""

from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input

PAST_MAX = 50


def no_past() -> deque[str]:
    """What was typed at prompts of one kind, the last at the end; nothing yet."""
    return deque(maxlen=PAST_MAX)


class Prompt(Input):
    """Hidden until it is opened; what it was opened from gets the keys back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("tab", "complete", "Complete the word", show=False),
        Binding("up", "recall(1)", "Typed before", show=False),
        Binding("down", "recall(-1)", "Typed after that", show=False),
    ]

    def __init__(self, hint: str, past: deque[str], *, id: str) -> None:
        """What is typed joins the `past` of all prompts of a kind."""
        super().__init__(placeholder=hint, compact=True, id=id)
        self._words: tuple[str, ...] = ()
        self._opened_from: Widget | None = None
        self._past = past
        self._steps_back = 0

    def offer(self, words: Iterable[str]) -> None:
        """Have these offered as one types."""
        self._words = tuple(words)
        self.suggester = SuggestFromList(self._words, case_sensitive=False)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Textual doesn't know of a slash what it types, and would show its key in the foot."""
        return key == "slash" or super().check_consume_key(key, character)

    def open(self) -> None:
        if not self.has_focus:
            self._opened_from = self.screen.focused
        self._steps_back = 0
        self.display = True
        self.focus()

    async def action_submit(self) -> None:
        """Have it done, and remember it as the last."""
        if self.value:
            if self.value in self._past:
                self._past.remove(self.value)
            self._past.append(self.value)
        await super().action_submit()

    def action_recall(self, steps: int) -> None:
        """What was typed before what stands there, or after it; after the last comes an empty line."""
        self._steps_back = max(0, min(self._steps_back + steps, len(self._past)))
        self.value = self._past[-self._steps_back] if self._steps_back else ""
        self.cursor_position = len(self.value)

    def action_complete(self) -> None:
        """Take the first word that begins so: the one that Enter would take."""
        begun = self.value.casefold()
        fitting = (word for word in self._words if begun and word.casefold().startswith(begun))
        self.value = next(fitting, self.value)
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        self.value = ""
        self.close()

    def close(self) -> None:
        """Give the keys back; what was typed stays on show."""
        self.display = bool(self.value)
        self.screen.set_focus(self._opened_from)
