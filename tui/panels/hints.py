"""The line at the foot: keys that do something here, which can be clicked as well.

Textual's own footer has a widget for each key, and makes all of them anew several times while a view
changes: three quarters of what that took of the processor.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.widgets import Static


class Hint(NamedTuple):
    key: str
    """As it is bound."""
    shown: str
    """As it is written."""
    text: str

    @property
    def cells(self) -> int:
        return cell_len(f" {self.shown} {self.text} ")


class Hints(Static):
    def __init__(self) -> None:
        super().__init__()
        self._hints: Sequence[Hint] = ()

    def on_mount(self) -> None:
        """Follow what is bound."""
        self.screen.bindings_updated_signal.subscribe(self, self._take)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _take(self, screen: Screen[object]) -> None:
        """Of several keys that do the same the first is shown."""
        if not screen.app.app_focus:
            return  # another window has the keys for a while, and no list is to lose its hint for that
        shown = [each.binding for each in screen.active_bindings.values() if each.binding.show]
        first = {binding.action: binding for binding in reversed(shown)}
        found = tuple(
            Hint(binding.key, self.app.get_key_display(binding), binding.description)
            for binding in shown
            if binding is first[binding.action]
        )
        if found != self._hints:
            self._hints = found
            self.refresh()

    def render(self) -> Content:
        """Those that fit whole, from the first on."""
        key, text = "bold $footer-key-foreground", "$footer-description-foreground"
        parts = [((f" {hint.shown} ", key), (f"{hint.text} ", text)) for _, hint in self._placed()]
        return Content.assemble(*(part for both in parts for part in both))

    def on_click(self, event: Click) -> None:
        """As if its key had been pressed."""
        for left, hint in self._placed():
            if left <= event.x < left + hint.cells:
                self.app.simulate_key(hint.key)

    def _placed(self) -> Iterator[tuple[int, Hint]]:
        """Each with where it begins."""
        left = 0
        for hint in self._hints:
            if left + hint.cells > self.size.width:
                return
            yield left, hint
            left += hint.cells
