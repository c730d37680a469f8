"""A panel as plain text: every column, as wide as what is in it, without colour; made for a pipe."""

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from tui.figures import printable
from tui.model import Model
from tui.panels.facts import Facts
from tui.row import Cell, Row
from tui.table import Table

GRAPH_CELLS = 30
"""A minute, two seconds a cell."""
GAP = "  "


def panel_lines(panel: Table | Facts, model: Model, now: float) -> Iterator[str]:
    """Its title, and what it shows of the model."""
    if isinstance(panel, Table):
        yield f"# {panel.title(model)}"
        rows = panel.rows(model, now)
        yield from _table_lines(panel, rows) if rows else [panel.empty_text(model)]
    else:
        yield f"# {panel.TITLE}"
        facts = [*panel.facts(model, now), *panel.notes(model, now)]
        if not facts and (refusal := model.refusal_of(panel.SHOWS)):
            yield f"refused: {refusal}"
        names = _column([fact.name for fact in facts], is_number=False)
        yield from (f"{name}{GAP}{printable(fact.text)}" for name, fact in zip(names, facts, strict=True))


def _table_lines(table: Table, rows: Sequence[Row]) -> Iterable[str]:
    columns = [
        _column([column.title, *(_text(row.cells[index]) for row in rows)], is_number=column.is_number)
        for index, column in enumerate(table.COLUMNS)
    ]
    return (GAP.join(line).rstrip() for line in zip(*columns, strict=True))


def _text(cell: Cell) -> str:
    content = cell.content
    return printable(content) if isinstance(content, str) else content.draw(GRAPH_CELLS)


def _column(texts: Sequence[str], *, is_number: bool) -> list[str]:
    """All of one width."""
    width = max(map(cell_len, texts), default=0)
    if is_number:
        return [" " * (width - cell_len(text)) + text for text in texts]
    return [set_cell_size(text, width) for text in texts]
