"""A view of one list that the server sorts and filters: it knows all of them, the console some hundreds."""

from dataclasses import asdict, replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.model import Call, Model, Query
from tui.screens.view import View
from tui.sift import Filter
from tui.table import Table


class ListingView(View):
    METHOD: ClassVar[str]
    """The remote call that answers with the rows."""
    SORT_COLUMNS: ClassVar[tuple[str, ...]]
    """In the order in which a key goes through them; the server's names."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", show=False, id="sort"),
        Binding("S", "reverse", "Sort the other way", show=False, id="reverse"),
    ]

    def compose_table(self) -> Table:
        """The list."""
        raise NotImplementedError

    def compose_panels(self) -> ComposeResult:
        """The list."""
        yield self.compose_table()

    @property
    def wanted(self) -> Query:
        """What is asked for now."""
        return self.console.model.queries[self.METHOD]

    def calls(self, model: Model) -> tuple[Call, ...]:
        """The rows."""
        return (Call(self.METHOD, asdict(model.queries[self.METHOD])),)

    def ask(self) -> None:
        """Ask, and show by what the rows will be sorted."""
        self.query_one(Table).mark_sorted(self.wanted.sort, self.wanted.descending)
        super().ask()

    def want(self, query: Query) -> None:
        """Ask for other rows, or in another order."""
        self.console.model.queries[self.METHOD] = query
        self.ask()

    @property
    def filter_text(self) -> str:
        return self.wanted.filter or super().filter_text

    def filter(self, text: str) -> None:
        """The server looks for a text in all rows; what else a filter can say is asked of those it gave."""
        is_plain = Filter(text).is_plain
        self.want(replace(self.wanted, filter=text if is_plain else ""))
        super().filter("" if is_plain else text)

    def action_sort(self) -> None:
        """Sort by the next column."""
        columns, sort = self.SORT_COLUMNS, self.wanted.sort
        place = columns.index(sort) if sort in columns else -1
        self.want(self.wanted.by(columns[(place + 1) % len(columns)]))

    def action_reverse(self) -> None:
        self.want(self.wanted.by(self.wanted.sort))

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        self.want(self.wanted.by(event.column))
