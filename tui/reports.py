"""The documents that the console is shown, as ARCHITECTURE.md promises them.

The server makes the `ops:` ones, so their types are enough. Orders can come from any publisher:
a fill is shown only when it is one, for a console must not fall over a stranger's JSON.
Times are ms since 1970, None is unknown.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypedDict, cast

Lane = Literal["immediate", "high", "normal", "low"]


class RatesReport(TypedDict):
    published: float
    sent: float
    merged: float
    dropped: float
    bytes: float


class TotalsReport(TypedDict):
    published: int
    offered: int
    sent: int
    merged: int
    dropped: int
    pending: int
    resent: int
    late: int
    drops: dict[str, int]
    """Of those dropped, how many for each reason."""
    refused: dict[str, int]
    """By the limit's name, or by the status of what was answered."""
    refused_at: dict[str, int]
    """When each of these was refused last."""
    bytes: int
    connections: int
    failed: int


class LaneReport(TypedDict):
    lane: Lane
    depth: int
    bytes: int
    age_ms: float | None
    """Of the oldest message that waits."""
    peak: int
    history: list[int]
    rate: float


class EndToEndReport(TypedDict):
    p99_ms: float | None
    error_ms: float | None


class StagesReport(TypedDict):
    """Of the mean latency."""

    wait_ms: float
    encode_ms: float
    write_ms: float


class WorstClientReport(TypedDict):
    """Who waited longest within the last minute, and the stage that cost most of it."""

    client: str
    ms: float
    stage: str


class KindReport(TypedDict):
    kind: str
    lane: Lane | None
    threshold_ms: float | None
    count: int
    rate: float
    p50_ms: float | None
    p99_ms: float | None
    worst_ms: float | None
    late: int
    budget_left: float | None
    """Of what may be late within an hour; 1 is all of it, below 0 it is overdrawn."""
    stages: StagesReport | None
    worst_client: WorstClientReport | None
    end_to_end: EndToEndReport | None
    state: Literal["ok", "warning", "over", "none"]


class EncodingReport(TypedDict):
    encoding: Literal["plain", "deflate", "zstd"]
    clients: int
    payload_bytes: int
    frame_bytes: int
    ratio: float | None


class LoopReport(TypedDict):
    lag_p99_ms: float | None
    lag_max_ms: float | None


class ProcessReport(TypedDict):
    memory_bytes: int
    cpu_percent: float


class JournalReport(TypedDict):
    state: str
    commit_p99_ms: float | None


class CadenceReport(TypedDict):
    tick_ms: float


class TuningStepReport(TypedDict):
    knob: str
    before: int
    after: int
    outcome: str


class TuningReport(TypedDict):
    on: bool
    cadence: CadenceReport
    steps: list[TuningStepReport]
    """The newest first."""


class HealthReport(TypedDict):
    time: int
    uptime_seconds: float
    version: str
    address: str
    pid: int
    clients: int
    subscriptions: int
    channels: int
    rates: RatesReport
    totals: TotalsReport
    lanes: list[LaneReport]
    kinds: list[KindReport]
    encodings: list[EncodingReport]
    journal: JournalReport
    tuning: TuningReport
    loop: LoopReport
    process: ProcessReport


class AlertReport(TypedDict):
    id: int
    name: str
    severity: Literal["warning", "critical"]
    message: str
    value: float | None
    limit: float | None
    since: int
    raised: int
    cleared: int | None
    acknowledged: bool
    silenced_until: int | None


class FeedSubscriptionReport(TypedDict):
    name: str
    state: Literal["waiting", "fresh", "quiet", "stale"]
    age_ms: int | None
    messages: int


class FeedReport(TypedDict):
    name: str
    venue: str
    account: str | None
    state: Literal["connecting", "live", "stale", "retrying", "stopped"]
    url: str
    rate: float
    messages: int
    age_ms: int | None
    gaps: int
    retries: int
    garbage: int
    error: str | None
    subscriptions: list[FeedSubscriptionReport]


class LadderReport(TypedDict):
    step: int
    name: str
    backlog_bytes: int
    since: int | None
    pinned: bool


class BudgetReport(TypedDict):
    """The most a second; 0 is any number."""

    messages_per_second: float
    bytes_per_second: float


class LedgerReport(TypedDict):
    """In messages; offered = sent + merged + dropped + pending."""

    offered: int
    sent: int
    sent_bytes: int
    merged: int
    dropped: int
    late: int
    pending: int
    resent: int


class ConnectionReport(LedgerReport):
    id: str
    user: str
    name: str
    address: str
    state: Literal["ok", "behind", "connecting"]
    channels: list[str]
    lanes: list[int]
    outbox_bytes: int
    rtt_ms: float | None
    e2e_ms: float | None
    e2e_error_ms: float | None
    encoding: str
    connected: int
    ladder: LadderReport
    budget: BudgetReport


class CloseReport(TypedDict):
    client: str
    address: str
    connected: int
    closed: int
    code: int
    reason: str


class ConnectionPageReport(TypedDict):
    client: str
    row: ConnectionReport | None
    ledgers: dict[str, LedgerReport]
    closes: list[CloseReport]


class ChannelReport(TypedDict):
    channel: str
    lane: Lane
    delivery: str
    subscribers: int
    published: int
    kept: int
    kept_bytes: int
    queued_bytes: int
    offset: int | None
    epoch: str | None
    rate: float | None
    ledger: LedgerReport | None


class ConnectionsReport(TypedDict):
    total: int
    rows: list[ConnectionReport]


class ChannelsReport(TypedDict):
    total: int
    rows: list[ChannelReport]


class AccountReport(TypedDict):
    account: str
    active: int | None
    """When it was told of last; None before that."""


class AccountsReport(TypedDict):
    total: int
    rows: list[AccountReport]


class BookReport(TypedDict):
    market: str
    status: Literal["SYNCED", "GAP", "RESYNC", "STALE"]
    since: int
    time: int
    """Of the last change, by the venue's clock; 0 before the first."""
    bids: int
    asks: int


class BooksReport(TypedDict):
    total: int
    rows: list[BookReport]


class BookPageReport(TypedDict):
    """The best levels of one book, best first: sizes by price, both decimal texts."""

    market: str
    status: Literal["SYNCED", "GAP", "RESYNC", "STALE"]
    since: int
    time: int
    bids: dict[str, str]
    asks: dict[str, str]


class LineReport(TypedDict):
    """A line of the server's log."""

    id: int
    time: int
    level: Literal["debug", "info", "warning", "error", "critical"]
    logger: str
    message: str


class LogsReport(TypedDict):
    lines: list[LineReport]


class FillReport(TypedDict):
    """An `order_fill` of `orders:{account}`; prices and sizes are decimal texts."""

    market: str
    fill: str
    side: Literal["buy", "sell"]
    price: str
    size: str
    filled: str
    order_size: str
    bot: str
    role: str
    time: int
    backfilled: bool
    """It was looked up afterwards."""


_FILL_TEXTS = frozenset(FillReport.__annotations__) - {"time", "backfilled"}


def fill_of(event: Any) -> FillReport | None:
    """The fill that a publication of an orders channel holds, if it does; what is left out is empty."""
    if not isinstance(event, dict) or event.get("type") != "order_fill":
        return None
    fill: dict[str, Any] = {name: event.get(name) or "" for name in _FILL_TEXTS}
    fill |= {"time": event.get("time", 0), "backfilled": event.get("backfilled") is True}
    is_sound = fill["side"] in {"buy", "sell"} and isinstance(fill["time"], int)
    if not is_sound or not all(isinstance(fill[name], str) for name in _FILL_TEXTS):
        return None
    return cast(FillReport, fill)


def fills_of(whole: Any) -> Iterable[FillReport]:
    """Those in the state of an orders channel, oldest first."""
    events = whole.get("fills", ()) if isinstance(whole, dict) else ()
    return (fill for event in events if (fill := fill_of(event)) is not None)


def open_orders_of(whole: Any) -> Mapping[str, Mapping[str, Any]]:
    """Those in the state of an orders channel by market and order, as `open_orders:` has them."""
    updates = whole.get("orders", ()) if isinstance(whole, dict) else ()
    return {
        f"{update['market']}/{update['order']}": {
            name: value for name, value in update.items() if name != "type"
        }
        for update in updates
    }


def bots_of(whole: Any) -> Mapping[str, Mapping[str, Any]]:
    """Those in the state of a bots channel by bot id, as `botstate:` has them."""
    return whole.get("bots", {}) if isinstance(whole, dict) else {}
