"""What the console knows: the last reports, what the operator asked for, and what changed since drawn.

The link writes, the screen reads at its own pace; so a burst from the server costs one redraw,
and nothing queues between them.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from monitor.client import LinkState, Status
from tui.refresh import REFRESH_SECONDS
from tui.reports import (
    AccountsReport,
    AlertReport,
    BookPageReport,
    BooksReport,
    ChannelsReport,
    CloseReport,
    ConnectionPageReport,
    ConnectionReport,
    ConnectionsReport,
    FeedReport,
    FillReport,
    HealthReport,
    LedgerReport,
    LineReport,
    LogsReport,
)

FILLS_KEPT = 200
GAPS_KEPT = 20
LINES_KEPT = 1_000
GAP_SHOWN_SECONDS = 60.0
"""Above all views; among the fills it stays."""
NOTICES_KEPT = 10
ROWS_ASKED = 200
HEALTH_LATE_SECONDS = 3.0
"""A dozen reports missed: the server hangs although its socket is open."""


class Part(StrEnum):
    """What a screen may have to draw again."""

    LINK = "link"
    HEALTH = "health"
    ALERTS = "alerts"
    FEEDS = "feeds"
    FILLS = "fills"
    CONNECTIONS = "connections"
    CONNECTION = "connection"
    CHANNELS = "channels"
    BOOKS = "books"
    BOOK = "book"
    ACCOUNTS = "accounts"
    MAPS = "maps"
    LOGS = "logs"
    TIME = "time"
    """A second has gone by: what ages is older."""


SOURCES = {
    Part.HEALTH: "ops:health",
    Part.ALERTS: "ops:alerts",
    Part.FEEDS: "ops:feeds",
    Part.CONNECTIONS: "ops.connections",
    Part.CHANNELS: "ops.channels",
    Part.BOOKS: "ops.books",
    Part.LOGS: "ops.logs",
    Part.ACCOUNTS: "ops.accounts",
    Part.MAPS: "ops.accounts",
}
"""What is asked for each part."""


class Call(NamedTuple):
    """A remote call, in the server's words."""

    method: str
    params: Mapping[str, Any]


class Notice(NamedTuple):
    text: str
    is_bad: bool


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows are asked for, in the server's words."""

    sort: str
    descending: bool = True
    filter: str = ""
    limit: int = ROWS_ASKED

    def by(self, column: str) -> "Query":
        """Sorted by another column, or the other way round when it is the same one."""
        if column == self.sort:
            return replace(self, descending=not self.descending)
        return replace(self, sort=column, descending=column not in TEXT_COLUMNS)


TEXT_COLUMNS = frozenset(
    {"id", "user", "name", "address", "state", "encoding", "channel", "lane", "delivery"}
)
"""Sorted from A on at first; numbers from the largest."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a channel was not heard, and what it said then can't be had any more."""

    channel: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class ConnectionPage:
    """What is known of one client; once it is gone, what was known last."""

    client: str
    row: ConnectionReport | None = None
    ledgers: Mapping[str, LedgerReport] = field(default_factory=dict)
    closes: Sequence[CloseReport] = ()
    is_gone: bool = False


@dataclass(slots=True)
class Model:
    """Times of this console's own clock are seconds since 1970."""

    url: str
    link: Status = field(default_factory=lambda: Status(LinkState.CONNECTING))
    link_since: float = 0.0
    lost_at: float = 0.0
    """When it was connected last; 0 before it was."""
    health: HealthReport | None = None
    health_at: float = 0.0
    server_ahead: float = 0.0
    """Of this console's clock, in seconds: what the server dates is as old as its own clock has it."""
    alerts: list[AlertReport] = field(default_factory=list)
    feeds: list[FeedReport] = field(default_factory=list)
    expanded_feeds: set[str] = field(default_factory=set)
    connections: ConnectionsReport | None = None
    connection: ConnectionPage | None = None
    """The one that is open."""
    channels: ChannelsReport | None = None
    books: BooksReport | None = None
    open_market: str = ""
    """Whose book is looked into."""
    book: BookPageReport | None = None
    """That one."""
    accounts: AccountsReport | None = None
    """The one that was told of last is the first."""
    account: str = ""
    """Whose fills and bots are shown; empty as long as there is none, and where all are."""
    maps: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By namespace, the state by account and key."""
    logs: deque[LineReport] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))
    """Oldest first."""
    places: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By method, where the next call of it goes on."""
    refresh_seconds: float = REFRESH_SECONDS[0]
    """How often the operator wants to see what is new."""
    queries: dict[str, Query] = field(default_factory=dict)
    """By list, what the operator wants of those that the server sorts."""
    fills: dict[tuple[str, str, str], FillReport] = field(default_factory=dict)
    """By account, market and the venue's fill id, in the order in which they came."""
    gaps: deque[Gap] = field(default_factory=lambda: deque(maxlen=GAPS_KEPT))
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=NOTICES_KEPT))
    """Not yet shown."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Why a channel or method is not shown, by its name."""
    changed: set[Part] = field(default_factory=set)
    _told: set[Part] = field(default_factory=set)
    """What has changed at least once."""

    def take_changes(self) -> set[Part]:
        """What changed since the last call."""
        changes, self.changed = self.changed, set()
        self._told |= changes
        return changes

    def refusal_of(self, parts: Iterable[Part]) -> str:
        """Why the server doesn't tell of these, empty if it does."""
        return next(
            (self.refusals[name] for part in parts if (name := SOURCES.get(part)) in self.refusals), ""
        )

    def is_told(self, parts: Set[Part]) -> bool:
        """Whether the server has said anything of these."""
        return bool((parts - {Part.LINK, Part.TIME}) & (self._told | self.changed))

    def set_link(self, status: Status, now: float) -> None:
        if not self.link_since or (status.state is LinkState.CONNECTED) != self.is_connected:
            self.link_since = now
        if self.is_connected:
            self.lost_at = now
        if status.state is LinkState.CONNECTED:
            self.health_at = now
            self.refusals.clear()
        self.link = status
        self.changed.add(Part.LINK)

    def set_health(self, report: HealthReport, now: float) -> None:
        self.health, self.health_at = report, now
        self.server_ahead = report["time"] / 1_000 - now
        self.changed.add(Part.HEALTH)

    def set_alerts(self, alerts: list[AlertReport]) -> None:
        """In the server's order."""
        self.alerts = alerts
        self.changed.add(Part.ALERTS)

    def set_feeds(self, feeds: list[FeedReport]) -> None:
        self.feeds = feeds
        self.changed.add(Part.FEEDS)

    def set_connections(self, report: ConnectionsReport) -> None:
        self.connections = report
        self.changed.add(Part.CONNECTIONS)

    def open_connection(self, client_id: str) -> None:
        """From now on this client's page is asked for."""
        if self.connection is None or self.connection.client != client_id:
            self.connection = ConnectionPage(client_id)

    def set_connection(self, report: ConnectionPageReport) -> None:
        """Take in a page; that of another client than the open one came too late."""
        page = self.connection
        if page is None or page.client != report["client"]:
            return
        if report["row"] is None:
            self.connection = replace(page, closes=report["closes"], is_gone=True)
        else:
            self.connection = ConnectionPage(page.client, report["row"], report["ledgers"], report["closes"])
        self.changed.add(Part.CONNECTION)

    def set_channels(self, report: ChannelsReport) -> None:
        self.channels = report
        self.changed.add(Part.CHANNELS)

    def set_books(self, report: BooksReport) -> None:
        self.books = report
        self.changed.add(Part.BOOKS)

    def open_book(self, market: str) -> None:
        """From now on this market's book is asked for."""
        if market != self.open_market:
            self.open_market, self.book = market, None

    def set_book(self, report: BookPageReport) -> None:
        """Take in a book; that of another market than the open one came too late."""
        if report["market"] == self.open_market:
            self.book = report
            self.changed.add(Part.BOOK)

    def set_accounts(self, report: AccountsReport) -> None:
        self.accounts = report
        self.changed.add(Part.ACCOUNTS)

    @property
    def account_names(self) -> list[str]:
        """Of those that the server told of, in its order."""
        return [row["account"] for row in self.accounts["rows"]] if self.accounts else []

    def find_account(self, text: str) -> str | None:
        """The account of that name, else the first that begins so; any, where not all are listed."""
        names = self.account_names
        begun = (name for name in names if name.casefold().startswith(text.casefold()))
        is_whole = self.accounts is not None and self.accounts["total"] == len(names)
        return text if text in names else next(begun, None if is_whole else text)

    def show_account(self, account: str) -> None:
        """From now on this one's fills and bots are shown, and no other's."""
        self.account = account
        self.fills.clear()
        self.maps.clear()
        self.gaps.clear()
        self.changed |= {Part.ACCOUNTS, Part.FILLS, Part.MAPS, Part.LINK}

    def set_map(self, namespace: str, account: str, entries: Mapping[str, Any]) -> None:
        """All that a map of an account holds; what is no object in it isn't shown."""
        others = {key: state for key, state in self.maps[namespace].items() if key[0] != account}
        own = {(account, key): state for key, state in entries.items() if isinstance(state, Mapping)}
        self.maps[namespace] = others | own
        self.changed.add(Part.MAPS)

    def add_logs(self, report: LogsReport) -> None:
        """What was logged since, by a restarted server too."""
        if lines := report["lines"]:
            self.logs.extend(lines)
            self.places["ops.logs"] = {"after": lines[-1]["id"]}
            self.changed.add(Part.LOGS)

    def tell(self, notice: str, *, is_bad: bool = False) -> None:
        """Leave the operator a word about what he had done."""
        self.notices.append(Notice(notice, is_bad))
        self.changed.add(Part.LINK)

    def set_fills(self, account: str, fills: Iterable[FillReport]) -> None:
        """All that the server has of an account, oldest first."""
        self.fills = {key: fill for key, fill in self.fills.items() if key[0] != account}
        for fill in fills:
            self.add_fill(account, fill)
        self.changed.add(Part.FILLS)

    def add_fill(self, account: str, fill: FillReport) -> None:
        """Keep it, once; what came first goes when there are too many."""
        self.fills.setdefault((account, fill["market"], fill["fill"]), fill)
        if len(self.fills) > FILLS_KEPT:
            del self.fills[next(iter(self.fills))]
        self.changed.add(Part.FILLS)

    def note_gap(self, channel: str, since: float, now: float) -> None:
        """A channel is heard again, but not told what it said meanwhile."""
        self.gaps.append(Gap(channel, since, now))
        self.changed |= {Part.FILLS, Part.LINK}

    def gap_to_show(self, now: float) -> Gap | None:
        """The newest, while it is news."""
        newest = self.gaps[-1] if self.gaps else None
        return newest if newest and now - newest.until < GAP_SHOWN_SECONDS else None

    def refuse(self, name: str, reason: str) -> None:
        self.refusals[name] = reason
        self.changed.add(Part.LINK)

    def allow(self, name: str) -> None:
        """It is answered now, whatever was said of it before."""
        if self.refusals.pop(name, None) is not None:
            self.changed.add(Part.LINK)

    def toggle_feed(self, name: str) -> None:
        self.expanded_feeds ^= {name}
        self.changed.add(Part.FEEDS)

    @property
    def is_connected(self) -> bool:
        return self.link.state is LinkState.CONNECTED

    @property
    def active_alerts(self) -> list[AlertReport]:
        return [alert for alert in self.alerts if alert["cleared"] is None]

    def is_stale(self, now: float) -> bool:
        """Whether what is shown is older than it looks."""
        return not self.is_connected or self.health_is_late(now)

    def health_is_late(self, now: float) -> bool:
        return self.is_connected and now - self.health_at > HEALTH_LATE_SECONDS
