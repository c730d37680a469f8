"""A view of one list that the server sorts and filters: it knows all of them, the console some hundreds."""

from dataclasses import asdict, replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.model import Call, Model, Query
from tui.prompt import Prompt
from tui.screens.view import View
from tui.table import Table


class ListingView(View):
    METHOD: ClassVar[str]
    """The remote call that answers with the rows."""
    SORT_COLUMNS: ClassVar[tuple[str, ...]]
    """In the order in which a key goes through them; the server's names."""
    FILTER_HINT: ClassVar[str] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter"),
        Binding("s", "sort", "Sort"),
        Binding("S", "reverse", "Reverse", show=False),
    ]

    def compose_table(self) -> Table:
        """The list."""
        raise NotImplementedError

    def compose_panels(self) -> ComposeResult:
        """The list, and the line for its filter."""
        yield self.compose_table()
        yield Prompt(self.FILTER_HINT, id="filter")

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

    def action_filter(self) -> None:
        self.query_one("#filter", Prompt).open()

    @on(Prompt.Changed, "#filter")
    def filter_rows(self, event: Prompt.Changed) -> None:
        """Let the rows follow what is typed."""
        self.want(replace(self.wanted, filter=event.value))

    @on(Prompt.Submitted, "#filter")
    def keep_filter(self) -> None:
        """Back to the rows."""
        self.query_one("#filter", Prompt).close()

    def action_back(self) -> None:
        """Show all rows again; if they are, return to what this was opened from."""
        if self.wanted.filter:
            self.query_one("#filter", Prompt).action_leave()
        else:
            super().action_back()

    def action_sort(self) -> None:
        """Sort by the next column."""
        columns, sort = self.SORT_COLUMNS, self.wanted.sort
        place = columns.index(sort) if sort in columns else -1
        self.want(self.wanted.by(columns[(place + 1) % len(columns)]))

    def action_reverse(self) -> None:
        self.want(self.wanted.by(self.wanted.sort))

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        self.want(self.wanted.by(event.column))
