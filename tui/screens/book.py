"""One order book looked into: its best levels, and whether they can be trusted."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import ClassVar

from tui.figures import UNKNOWN, count_text, moment_text, span_text
from tui.model import Call, Model, Part
from tui.panels.facts import Fact, Facts
from tui.reports import BookPageReport
from tui.row import Cell, Column, Row, Tone
from tui.screens.view import View
from tui.table import Table

STATUSES = {
    "SYNCED": ("●", Tone.GOOD),
    "RESYNC": ("◌", Tone.WARNING),
    "GAP": ("✖", Tone.BAD),
    "STALE": ("✖", Tone.BAD),
}
OTHER = ("?", Tone.PLAIN)


class BookFacts(Facts):
    TITLE = "Book"
    SHOWS = frozenset({Part.BOOK, Part.TIME})

    def facts(self, model: Model, now: float) -> Sequence[Fact]:
        return book_facts(model.book, now) if model.book else ()


def book_facts(book: BookPageReport, now: float) -> list[Fact]:
    """Its state, and what stands between its sides."""
    sign, tone = STATUSES.get(book["status"], OTHER)
    age = span_text(now - book["since"] / 1_000)
    bid, ask = next(iter(book["bids"]), None), next(iter(book["asks"]), None)
    spread = UNKNOWN if bid is None or ask is None else f"{Decimal(ask) - Decimal(bid):f}"
    return [
        Fact("market", book["market"], Tone.STRONG),
        Fact("state", f"{sign} {book['status']}, for {age}", tone),
        Fact("changed", moment_text(book["time"], now) if book["time"] else UNKNOWN),
        Fact("spread", spread),
    ]


class LevelsTable(Table):
    TITLE = "Best levels"
    SHOWS = frozenset({Part.BOOK, Part.LINK})
    EMPTY = "no level"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("level", "", 3, is_number=True),
        Column("bid_size", "bid size", 16, is_number=True),
        Column("bid", "bid", 14, is_number=True),
        Column("ask", "ask", 14, is_number=True),
        Column("ask_size", "ask size", 16, is_number=True),
        Column("rest", "", 0),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        if model.book is None:
            return []
        levels = zip_longest(model.book["bids"].items(), model.book["asks"].items(), fillvalue=("", ""))
        return [level_row(number, *level) for number, level in enumerate(levels, 1)]

    def title(self, model: Model) -> str:
        refusal = model.refusals.get("ops.book")
        return f"{self.TITLE} · {refusal}" if refusal else self.TITLE


def level_row(number: int, bid: tuple[str, str], ask: tuple[str, str]) -> Row:
    """One line of the table: a price and its size on either side."""
    return Row(
        str(number),
        (
            Cell(count_text(number), Tone.DIM, number),
            Cell(bid[1]),
            Cell(bid[0], Tone.BUY),
            Cell(ask[0], Tone.SELL),
            Cell(ask[1]),
            Cell(""),
        ),
    )


class BookView(View):
    """Opened from the list of books."""

    PANELS = (BookFacts, LevelsTable)

    def __init__(self, market: str) -> None:
        super().__init__()
        self._market = market

    @property
    def crumb(self) -> str:
        return self._market

    def calls(self, model: Model) -> tuple[Call, ...]:
        """The one book."""
        return (Call("ops.book", {"market": self._market}),)

    def on_screen_resume(self) -> None:
        """What is known of another book is not shown for this one."""
        self.console.model.open_book(self._market)
        super().on_screen_resume()
