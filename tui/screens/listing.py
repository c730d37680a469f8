"""A view of a list that the server sorts and filters: it knows all of it, the console some hundred rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from tui.model import Call, Model, Query
from tui.reports import ChannelsReport, ConnectionsReport
from tui.screens.view import View
from tui.sift import Filter
from tui.table import Table


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for, and how it can be sorted."""

    key: str
    """Under which the model has what the operator wants of it."""
    method: str
    """The remote call that answers with the rows."""
    sort_columns: tuple[str, ...]
    """In the order in which a key goes through them, the first one at first; the server's names."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Of the call, besides."""

    def query(self, model: Model) -> Query:
        """What is asked for now."""
        return model.queries.get(self.key) or Query(self.sort_columns[0])

    def call(self, model: Model) -> Call:
        """Asks for it."""
        return Call(self.method, {**asdict(self.query(model)), **self.params})

    def title(self, text: str, model: Model, report: ConnectionsReport | ChannelsReport | None) -> str:
        """A table's title, with how many rows there are, or why there are none."""
        if (refusal := model.refusals.get(self.method)) is not None:
            return f"{text} · {refusal}"
        wanted = self.query(model).filter
        shown = f" · {len(report['rows']):,} of {report['total']:,}" if report else ""
        return text + shown + (f" · matching {wanted!r}" if wanted else "")


class ListingView(View):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort by the next column, or that of ← →", show=False, id="sort"),
        Binding("S", "reverse", "Sort the other way", show=False, id="reverse"),
    ]

    @property
    def listing(self) -> Listing:
        """The one on the screen."""
        raise NotImplementedError

    @property
    def wanted(self) -> Query:
        """What is asked for now."""
        return self.listing.query(self.console.model)

    def calls(self, model: Model) -> tuple[Call, ...]:
        """The rows."""
        return (self.listing.call(model),)

    def ask(self) -> None:
        """Ask, and show by what the rows will be sorted."""
        self.table.mark_sorted(self.wanted.sort, self.wanted.descending)
        super().ask()

    def want(self, query: Query) -> None:
        """Ask for other rows, or in another order."""
        self.console.model.queries[self.listing.key] = query
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
        """Sort by the chosen cell's column if the server can, without one by the next."""
        chosen = self.table.chosen_column
        if chosen is not None and chosen.is_sortable:
            self.want(self.wanted.by(chosen.key))
            return
        columns, sort = self.listing.sort_columns, self.wanted.sort
        place = columns.index(sort) if sort in columns else -1
        self.want(self.wanted.by(columns[(place + 1) % len(columns)]))

    def action_reverse(self) -> None:
        self.want(self.wanted.by(self.wanted.sort))

    def on_table_head_clicked(self, event: Table.HeadClicked) -> None:
        self.want(self.wanted.by(event.column))
