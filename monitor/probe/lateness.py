"""Why kinds are late: the stage that takes their time, and the setting behind it.

Only what is late on the mean has a cause that a setting mends; what the figures do not show, no
rule says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from monitor.probe.documents import ChannelRow, Kind, LaneName, Stage
from monitor.probe.finding import Finding
from monitor.probe.observation import Observation

WARNING_SHARE = 0.8
"""Of a threshold."""
MEAN_SHARE = 0.4
"""Of a threshold, for the mean: below it the late ones are outliers, and no setting is their cause."""
COUNT_MIN = 5
"""Publications in the last 10 s, below which their latency says nothing."""
JOURNAL_SHARE = 0.5
"""Of a mean latency, for the commit to be its cause."""
GATHERED = ("normal", "low")
"""Lanes whose publications may wait for a tick."""


@dataclass(frozen=True, slots=True)
class Late:
    """A kind that is late, with the figures that say so."""

    kind: str
    lane: LaneName | None
    threshold_ms: float
    p99_ms: float
    count: int
    stages: dict[Stage, float]

    @property
    def mean_ms(self) -> float:
        return sum(self.stages.values())

    @property
    def weight(self) -> float:
        return self.p99_ms / self.threshold_ms

    @property
    def figures(self) -> str:
        parts = ", ".join(f"{name.removesuffix('_ms')} {ms:.1f}" for name, ms in self.stages.items())
        return (
            f"{self.kind}: p99 {self.p99_ms:.1f} ms of {self.threshold_ms:g} ms promised,"
            f" {self.count} in 10 s; mean by stage in ms: {parts}"
        )


def find_late_kinds(seen: Observation) -> Iterator[Finding]:
    """The stage that makes kinds late; what they share is told once, by the worst of them."""
    worst: dict[str, Finding] = {}
    late = [one for kind in seen.health[-1]["kinds"] if (one := _late(kind)) is not None]
    for one in sorted(late, key=lambda one: (-one.weight, one.kind)):
        if (finding := _explain(seen, one)) is not None:
            worst.setdefault(finding.cause, finding)
    yield from worst.values()


def _late(kind: Kind) -> Late | None:
    window, threshold_ms = kind["last_10s"], kind["threshold_ms"]
    p99_ms, stages, count = window["p99_ms"], window["stages"], window["count"]
    if threshold_ms is None or p99_ms is None or stages is None or count < COUNT_MIN:
        return None
    late = Late(kind["kind"], kind["lane"], threshold_ms, p99_ms, count, stages)
    is_late = p99_ms > WARNING_SHARE * threshold_ms and late.mean_ms > MEAN_SHARE * threshold_ms
    return late if is_late else None


def _explain(seen: Observation, late: Late) -> Finding | None:
    match max(late.stages, key=late.stages.__getitem__):
        case "encode_ms":
            return _heavy_compressor(seen, late)
        case "write_ms":
            return _wide_channel(seen, late)
        case "wait_ms":
            return _slow_journal(seen, late) or _long_tick(seen, late) or _wide_channel(seen, late)
        case _:
            return None


def _long_tick(seen: Observation, late: Late) -> Finding | None:
    if late.lane not in GATHERED:
        return None
    tick_ms = seen.health[-1]["tuning"]["cadence"]["tick_ms"]
    wait_ms = late.stages["wait_ms"]
    if tick_ms < MEAN_SHARE * late.threshold_ms or not tick_ms / 4 <= wait_ms <= 1.5 * tick_ms:
        return None
    wanted = max(1, round(late.threshold_ms / 5))
    return Finding(
        "tick",
        f"{late.kind} waits for its tick: {tick_ms} ms is long beside {late.threshold_ms:g} ms",
        [
            late.figures,
            f"tick_ms is {tick_ms}: a publication waits {tick_ms / 2:g} ms for it on average",
        ],
        f"tick_ms = {wanted} (or preset = realtime)",
        f"a wait of about {wanted / 2:g} ms in place of {wait_ms:.1f} ms, in more and smaller frames",
        late.weight,
    )


def _heavy_compressor(seen: Observation, late: Late) -> Finding | None:
    last = seen.health[-1]
    deflate = next((one for one in last["encodings"] if one["encoding"] == "deflate"), None)
    cadence = last["tuning"]["cadence"]
    if deflate is None or not deflate["clients"] or not cadence["compression_level"]:
        return None
    encode_ms = late.stages["encode_ms"]
    is_hard = cadence["compression_level"] > 1
    return Finding(
        "compressor",
        f"making the frames of {late.kind} takes {encode_ms:.1f} ms of its {late.mean_ms:.1f} ms",
        [
            late.figures,
            f"compression_level is {cadence['compression_level']}, from"
            f" {cadence['compression_from_bytes']} bytes; {deflate['clients']} clients read deflate,"
            f" which made {deflate['payload_bytes']} bytes {deflate['frame_bytes']}",
        ],
        "compression_level = 1" if is_hard else "compression_level = 0",
        f"most of the {encode_ms:.1f} ms a publication goes, for "
        + ("somewhat longer frames" if is_hard else f"{deflate['ratio'] or 1:g} times the bytes"),
        late.weight,
    )


def _wide_channel(seen: Observation, late: Late) -> Finding | None:
    """The channel of the kind's lane with the most deliveries, if it makes up most of them."""
    rows = [row for row in seen.channels if row["lane"] == late.lane and deliveries(row)]
    if not rows:
        return None
    widest = max(rows, key=lambda row: (deliveries(row), row["channel"]))
    total = sum(deliveries(row) for row in seen.channels)
    if deliveries(widest) < total / 2:
        return None
    mean_ms = late.mean_ms
    fitting = max(1, int(widest["subscribers"] * late.threshold_ms / 2 / mean_ms))
    namespace = widest["channel"].removeprefix("$").partition(":")[0]
    return Finding(
        "channel",
        f"{widest['channel']} has more subscribers than one fan-out reaches in time",
        [
            late.figures,
            f"{widest['subscribers']} subscribers at {widest['rate']:g} publications/s are"
            f" {deliveries(widest):.0f} of the {total:.0f} deliveries/s;"
            f" {mean_ms * 1000 / widest['subscribers']:.0f} µs a subscriber",
        ],
        f"namespaces.{namespace}.subscriber_limit = {fitting} and another server for the others,"
        f" or a longer kinds.{late.kind}.threshold_ms",
        f"a mean of about {late.threshold_ms / 2:g} ms in place of {mean_ms:.1f} ms",
        late.weight,
    )


def deliveries(row: ChannelRow) -> float:
    """A second."""
    return float((row["rate"] or 0) * row["subscribers"])


def _slow_journal(seen: Observation, late: Late) -> Finding | None:
    journal = seen.health[-1]["journal"]
    commit_ms = journal["commit_p50_ms"]
    p99_ms = journal["commit_p99_ms"]
    if (
        late.lane != "immediate"
        or commit_ms is None
        or p99_ms is None
        or commit_ms < JOURNAL_SHARE * late.mean_ms
    ):
        return None
    return Finding(
        "journal",
        f"{late.kind} waits for the journal's disk",
        [late.figures, f"a commit takes {commit_ms:.1f} ms, {p99_ms:.1f} ms at p99"],
        'journal.synchronous = "normal", and data_dir on a faster disk',
        f"up to {commit_ms:.1f} ms less for each order and bot event",
        late.weight,
    )
