"""The documents of the operator interface, as ARCHITECTURE.md promises them.

Only their types: what a field means is said there. Times are ms since 1970, None is unknown.
"""

from typing import Literal, TypedDict

Lane = Literal["immediate", "high", "normal", "low"]


class RatesReport(TypedDict):
    published: float
    sent: float
    merged: float
    dropped: float
    bytes: float


class TotalsReport(TypedDict):
    published: int
    sent: int
    merged: int
    dropped: int
    late: int
    bytes: int
    connections: int
    failed: int


class LaneReport(TypedDict):
    lane: Lane
    depth: int
    bytes: int
    peak: int
    history: list[int]
    rate: float


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
    state: Literal["ok", "warning", "over", "none"]


class LoopReport(TypedDict):
    lag_p99_ms: float | None
    lag_max_ms: float | None


class ProcessReport(TypedDict):
    memory_bytes: int
    cpu_percent: float


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
    loop: LoopReport
    process: ProcessReport


class AlertReport(TypedDict):
    id: int
    name: str
    severity: Literal["warning", "critical"]
    message: str
    value: float
    limit: float
    raised: int
    cleared: int | None


class FeedSubscriptionReport(TypedDict):
    name: str
    state: Literal["waiting", "fresh", "quiet", "stale"]
    age_ms: int | None
    messages: int


class FeedReport(TypedDict):
    name: str
    venue: str
    state: Literal["connecting", "live", "stale", "retrying", "stopped"]
    url: str
    rate: float
    messages: int
    age_ms: int | None
    gaps: int
    reconnects: int
    garbage: int
    error: str | None
    subscriptions: list[FeedSubscriptionReport]


class ConnectionReport(TypedDict):
    id: str
    user: str
    name: str
    address: str
    state: Literal["ok", "behind", "connecting"]
    channels: list[str]
    lanes: list[int]
    outbox_bytes: int
    sent: int
    sent_bytes: int
    merged: int
    dropped: int
    rtt_ms: float | None
    encoding: str
    connected: int


class ConnectionsReport(TypedDict):
    total: int
    rows: list[ConnectionReport]


class FillReport(TypedDict):
    """An `order_fill` of `orders:{account}`; prices and sizes are decimal texts."""

    market: str
    order: str
    fill: str
    side: Literal["buy", "sell"]
    price: str
    size: str
    filled: str
    order_size: str
    status: str
    bot: str
    role: str | None
    delay_ms: int | None
    time: int
