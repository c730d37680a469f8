"""What is read of a server's own documents, member by member, with the bounds that the rules rely on.

A live server's answers and a report's are checked against this once, where they come in: no rule has to
doubt its figures, and a report that was cut or made up is refused in a sentence.
"""

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**53)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]
Promise = Annotated[float, Meta(gt=0, le=1e9)]
"""A threshold in milliseconds."""
LaneName = Literal["immediate", "high", "normal", "low"]
Depths = Annotated[list[Count], Meta(min_length=4, max_length=4)]
"""By lane, the highest first."""
Stage = Literal["receive_ms", "wait_ms", "encode_ms", "write_ms"]
Stages = Annotated[dict[Stage, Amount], Meta(min_length=4)]
"""All of them, in milliseconds of the mean latency."""


class Window(TypedDict):
    count: Count
    p99_ms: Amount | None
    stages: Stages | None


class Kind(TypedDict):
    kind: str
    lane: LaneName | None
    threshold_ms: Promise | None
    last_10s: Window


class Lane(TypedDict):
    lane: LaneName
    depth: Count
    rate: Amount


class Rates(TypedDict):
    sent: Amount


class Encoding(TypedDict):
    encoding: str
    clients: Count
    payload_bytes: Count
    frame_bytes: Count
    ratio: Amount | None


class Journal(TypedDict):
    trouble: str | None
    not_kept: Count
    commit_p50_ms: Amount | None
    commit_p99_ms: Amount | None


class Cadence(TypedDict):
    tick_ms: Count
    compression_level: Count
    compression_from_bytes: Count


class Tuning(TypedDict):
    cadence: Cadence


class Loop(TypedDict):
    lag_p99_ms: Amount | None


class Process(TypedDict):
    memory_bytes: Count
    cpu_percent: Amount


class Health(TypedDict):
    """`ops:health`."""

    version: str
    clients: Count
    rates: Rates
    lanes: Annotated[list[Lane], Meta(min_length=4, max_length=4)]
    kinds: list[Kind]
    encodings: list[Encoding]
    journal: Journal
    tuning: Tuning
    loop: Loop
    process: Process


class FeedSubscription(TypedDict):
    name: str
    state: str


class Feed(TypedDict):
    """A row of `ops:feeds`."""

    name: str
    state: str
    url: str
    error: str | None
    age_ms: Count | None
    rate: Amount
    retries: Count
    gaps: Count
    subscriptions: list[FeedSubscription]


class Ladder(TypedDict):
    step: Count
    name: str


class Budget(TypedDict):
    messages_per_second: Amount
    bytes_per_second: Amount


class ConnectionRow(TypedDict):
    """Of `ops.connections`."""

    id: str
    user: str
    address: str
    encoding: str
    lanes: Depths
    outbox_bytes: Count
    sent: Count
    dropped: Count
    ladder: Ladder
    budget: Budget


class ChannelRow(TypedDict):
    """Of `ops.channels`."""

    channel: str
    lane: LaneName
    subscribers: Count
    rate: Amount | None
