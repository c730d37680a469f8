"""Each feed: its state, rate and freshness, what it lost and how often it had to try again.

A feed opens to its subscriptions, because a live socket is not a live feed; a book opens to its levels.
"""

from typing import ClassVar

from tui.figures import UNKNOWN, age_text, count_text, rate_text, span_text
from tui.model import Call, Model, Part
from tui.reports import BookReport, FeedReport, FeedSubscriptionReport
from tui.screens.book import OTHER, STATUSES, BookView
from tui.screens.view import View
from tui.table import Cell, Column, Row, Table, Tone

BOOKS = Call("ops.books", {"sort": "trouble", "descending": True})
"""Those in trouble first."""
_STATES = {
    "live": ("●", Tone.GOOD),
    "fresh": ("●", Tone.GOOD),
    "quiet": ("○", Tone.PLAIN),
    "connecting": ("◌", Tone.WARNING),
    "waiting": ("◌", Tone.WARNING),
    "retrying": ("✖", Tone.BAD),
    "stale": ("▲", Tone.WARNING),
    "stopped": ("✖", Tone.BAD),
}


class FeedsTable(Table):
    TITLE = "Feeds"
    SHOWS = frozenset({Part.FEEDS})
    EMPTY = "no feeds"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("sign", "", 1),
        Column("name", "feed", 24),
        Column("state", "state", 10),
        Column("rate", "rate/s", 7, is_number=True),
        Column("age", "age", 6, is_number=True),
        Column("messages", "messages", 11, is_number=True, from_width=104),
        Column("gaps", "gaps", 5, is_number=True),
        Column("retries", "retries", 7, is_number=True),
        Column("garbage", "garbage", 7, is_number=True, from_width=112),
        Column("error", "where, or what is wrong", 0),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        rows = []
        for feed in model.feeds:
            is_open = feed["name"] in model.expanded_feeds
            rows.append(feed_row(feed, is_open))
            if is_open:
                rows += [subscription_row(feed["name"], entry) for entry in feed["subscriptions"]]
        return rows


def feed_row(feed: FeedReport, is_open: bool) -> Row:
    """One line for the whole feed; its key is the feed's name."""
    sign, tone = _sign(feed)
    arrow = "▾" if is_open else "▸"
    return Row(
        feed["name"],
        (
            Cell(sign, tone, feed["state"]),
            Cell(f"{arrow} {feed['name']}", value=feed["name"]),
            Cell(feed["state"], tone),
            Cell(rate_text(feed["rate"]), value=feed["rate"]),
            Cell(age_text(feed["age_ms"]), value=feed["age_ms"]),
            Cell(count_text(feed["messages"]), value=feed["messages"]),
            _trouble(feed["gaps"]),
            _trouble(feed["retries"]),
            _trouble(feed["garbage"]),
            Cell(feed["error"], Tone.BAD) if feed["error"] else Cell(feed["url"], Tone.DIM),
        ),
    )


def _sign(feed: FeedReport) -> tuple[str, Tone]:
    """Dialling again after an error is as bad as waiting for it: the alert lasts over both."""
    state = "retrying" if feed["state"] == "connecting" and feed["error"] else feed["state"]
    return _STATES.get(state, OTHER)


def subscription_row(feed_name: str, entry: FeedSubscriptionReport) -> Row:
    """One line below its feed; its key starts with the feed's name and a line feed."""
    sign, tone = _STATES.get(entry["state"], OTHER)
    nothing = Cell("")
    return Row(
        f"{feed_name}\n{entry['name']}",
        (
            Cell(sign, tone, entry["state"]),
            Cell(f"    {entry['name']}", Tone.DIM, entry["name"]),
            Cell(entry["state"], tone),
            nothing,
            Cell(age_text(entry["age_ms"]), value=entry["age_ms"]),
            Cell(count_text(entry["messages"]), Tone.DIM, entry["messages"]),
            nothing,
            nothing,
            nothing,
            nothing,
        ),
        parent=feed_name,
    )


class BooksTable(Table):
    TITLE = "Books"
    SHOWS = frozenset({Part.BOOKS, Part.LINK})
    EMPTY = "no book yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("sign", "", 1),
        Column("market", "book", 0, most=48),
        Column("status", "state", 7),
        Column("since", "for", 7, is_number=True),
        Column("time", "changed", 8, is_number=True),
        Column("bids", "bids", 7, is_number=True),
        Column("asks", "asks", 7, is_number=True),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        return [book_row(book, now) for book in model.books["rows"]] if model.books else []

    def title(self, model: Model) -> str:
        if (refusal := model.refusals.get(BOOKS.method)) is not None:
            return f"{self.TITLE} · {refusal}"
        report = model.books
        if report is None or report["total"] == len(report["rows"]):
            return self.TITLE
        return f"{self.TITLE} · {len(report['rows']):,} of {report['total']:,}, those in trouble first"


def book_row(book: BookReport, now: float) -> Row:
    """One line of the table; its key is the market."""
    sign, tone = STATUSES.get(book["status"], OTHER)
    calm = tone if tone is Tone.BAD else Tone.DIM
    changed = age_text(max(0.0, now * 1_000 - book["time"])) if book["time"] else UNKNOWN
    return Row(
        book["market"],
        (
            Cell(sign, tone, book["status"]),
            Cell(book["market"]),
            Cell(book["status"], tone),
            Cell(span_text(now - book["since"] / 1_000), calm, book["since"]),
            Cell(changed, Tone.DIM, book["time"]),
            Cell(count_text(book["bids"]), Tone.DIM, book["bids"]),
            Cell(count_text(book["asks"]), Tone.DIM, book["asks"]),
        ),
    )


def _trouble(count: int) -> Cell:
    return Cell(count_text(count), Tone.WARNING if count else Tone.DIM, count)


def feed_of(key: str) -> str:
    """The feed that a row of either sort belongs to."""
    return key.partition("\n")[0]


def unfold(view: View, key: str) -> None:
    """Show a feed's subscriptions below it, or hide them again."""
    view.console.model.toggle_feed(feed_of(key))
    view.show({Part.FEEDS})


class FeedsView(View):
    NAME = "feeds"
    ALIASES = ("fd",)
    PANELS = (FeedsTable, BooksTable)

    def calls(self, model: Model) -> tuple[Call, ...]:
        """The books, those in trouble first."""
        return (BOOKS,)

    def open_row(self, table: Table, key: str) -> bool:
        """Look into the book; unfold the feed, or fold it."""
        if not isinstance(table, FeedsTable):
            self.app.push_screen(BookView(key))
            return True
        unfold(self, key)
        return True
