"""Named figures in columns, as many side by side as the width has room for."""

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.widgets import Static

from tui.figures import printable
from tui.model import Model
from tui.panels.panel import Panel
from tui.table import Tone

COLUMN_CELLS = 38
"""Of one fact; more are side by side where the panel is wide enough."""
NAME_CELLS = 11
_STYLES = {
    Tone.DIM: "$text-muted",
    Tone.STRONG: "bold",
    Tone.GOOD: "$text-success",
    Tone.WARNING: "bold $text-warning",
    Tone.BAD: "bold $text-error",
}


class Fact(NamedTuple):
    name: str
    text: str
    tone: Tone = Tone.PLAIN


class Facts(Static, Panel):
    TITLE = ""

    def __init__(self) -> None:
        super().__init__()
        self.border_title = f" {self.TITLE} "

    def facts(self, model: Model, now: float) -> Sequence[Fact]:
        """In reading order: down the first column first."""
        raise NotImplementedError

    def notes(self, model: Model, now: float) -> Sequence[Fact]:
        """What takes a line of its own, below the others."""
        return ()

    def show(self, model: Model, now: float) -> None:
        """Write what changed."""
        width = self.size.width or self.app.size.width
        content = arrange(self.facts(model, now), self.notes(model, now), width)
        if self.content != content:
            self.update(content, layout=content.plain.count("\n") + 1 != self.content_size.height)


def arrange(facts: Sequence[Fact], notes: Sequence[Fact], width: int) -> Content:
    """In as many columns as fit, then the notes."""
    columns = max(1, min(width // COLUMN_CELLS, len(facts)))
    height = -(-len(facts) // columns)
    cells = (width - 1) // columns
    lines = [
        Content("").join(_fact(fact, cells) for fact in facts[line::height])
        for line in range(height if facts else 0)
    ]
    return Content("\n").join(lines + [_fact(note, width - 1) for note in notes])


def _fact(fact: Fact, cells: int) -> Content:
    name = Content.styled(f" {fact.name:<{NAME_CELLS}}", "$text-muted")
    text = Content.styled(printable(fact.text), _STYLES.get(fact.tone, ""))
    return (name + text).truncate(cells, ellipsis=True, pad=True)
