"""Why kinds are late: the setting that accounts for most of their time, by the stages that are stamped.

A busy machine makes every stage longer and no setting, so a setting is blamed for as much as it takes
by itself and no more. What is late by more than the settings explain is said to be just that.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from monitor.probe.documents import ChannelRow, Kind, LaneName, Stage
from monitor.probe.finding import Finding
from monitor.probe.observation import Observation

WARNING_SHARE = 0.8
"""Of a threshold."""
MEAN_SHARE = 0.4
"""Of a threshold, for the mean."""
COUNT_MIN = 5
"""Publications in the last 10 s, below which their latency says nothing."""
EXPLAINED_SHARE = 0.5
"""Of a mean latency, beyond which what explains so much of it is its cause."""
SUBSCRIBER_MS = 0.1
"""Of a fan-out, for one of them: several times what it takes. Where it is more, it is not their number."""
CPU_LIMIT_PERCENT = 85.0
"""Of a core, in every second: one event loop has no more than a core."""
UNEXPLAINED_WEIGHT = 0.5
"""What no setting mends comes last."""
GATHERED = ("normal", "low")
"""Lanes whose publications may wait for a tick."""
STAGES: dict[Stage, str] = {
    "receive_ms": "from the venue's socket to publish",
    "wait_ms": "waiting for its turn",
    "encode_ms": "making its frames",
    "write_ms": "writing to its subscribers",
}


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
    def is_lasting(self) -> bool:
        """Late on the mean: else a few outliers are, which no setting causes."""
        return self.mean_ms > MEAN_SHARE * self.threshold_ms

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


@dataclass(frozen=True, slots=True)
class Cause:
    explained_ms: float
    """Of the mean latency."""
    finding: Finding


def find_late_kinds(seen: Observation) -> Iterator[Finding]:
    """Why kinds are late; what they share is told once, by the worst of them."""
    late = [one for kind in seen.health[-1]["kinds"] if (one := measured(kind)) and _is_late(one)]
    worst: dict[str, Finding] = {}
    for one in sorted(late, key=lambda one: (-one.weight, one.kind)):
        finding = explain(seen, one)
        worst.setdefault(finding.cause, finding)
    yield from worst.values()


def measured(kind: Kind, least: int = COUNT_MIN) -> Late | None:
    """What a server measured of a kind; None if it is of fewer publications, or nothing is promised."""
    window, threshold_ms = kind["last_10s"], kind["threshold_ms"]
    p99_ms, stages, count = window["p99_ms"], window["stages"], window["count"]
    if threshold_ms is None or p99_ms is None or stages is None or count < least:
        return None
    return Late(kind["kind"], kind["lane"], threshold_ms, p99_ms, count, stages)


def _is_late(one: Late) -> bool:
    return one.p99_ms > WARNING_SHARE * one.threshold_ms and one.is_lasting


def explain(seen: Observation, late: Late) -> Finding:
    """What accounts for most of a kind's lateness, else the largest of the causes that do together."""
    found = (rule(seen, late) for rule in RULES) if late.is_lasting else ()
    causes = [cause for cause in found if cause is not None]
    best = max(causes, key=lambda cause: cause.explained_ms, default=None)
    most_ms = EXPLAINED_SHARE * late.mean_ms
    if best is not None and best.explained_ms > most_ms:
        return best.finding
    if _lag_ms(seen) > most_ms and (machine := busy_machine(seen)) is not None:
        return machine
    if best is not None and sum(cause.explained_ms for cause in causes) > most_ms:
        return best.finding
    return _unexplained(late)


def _long_tick(seen: Observation, late: Late) -> Cause | None:
    """A publication waits a tick at most, one that is alone all of it; what is beyond has other causes."""
    if late.lane not in GATHERED:
        return None
    tick_ms = seen.health[-1]["tuning"]["cadence"]["tick_ms"]
    explained_ms = min(late.stages["wait_ms"], tick_ms)
    wanted = max(1, round(late.threshold_ms / 5))
    if wanted >= tick_ms:
        return None
    finding = Finding(
        "tick",
        f"{late.kind} waits for its tick: {tick_ms} ms is long beside {late.threshold_ms:g} ms",
        [
            late.figures,
            f"tick_ms is {tick_ms}, and up to so long a publication waits for its tick",
        ],
        f"tick_ms = {wanted} (or preset = realtime)",
        f"{wanted} ms of waiting at most in place of {tick_ms} ms, in more and smaller frames",
        late.weight,
    )
    return Cause(explained_ms, finding)


def _heavy_compressor(seen: Observation, late: Late) -> Cause | None:
    last = seen.health[-1]
    deflate = next((one for one in last["encodings"] if one["encoding"] == "deflate"), None)
    cadence = last["tuning"]["cadence"]
    if deflate is None or not deflate["clients"] or not cadence["compression_level"]:
        return None
    encode_ms = late.stages["encode_ms"]
    is_hard = cadence["compression_level"] > 1
    finding = Finding(
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
    return Cause(encode_ms, finding)


def _wide_channel(seen: Observation, late: Late) -> Cause | None:
    """The channel of the kind's lane with the most deliveries, by what it takes to reach all of them."""
    rows = [row for row in seen.channels if row["lane"] == late.lane and deliveries(row)]
    wanted_ms = MEAN_SHARE * late.threshold_ms
    if not rows or not late.mean_ms:
        return None
    widest = max(rows, key=lambda row: (deliveries(row), row["channel"]))
    subscribers, write_ms = widest["subscribers"], late.stages["write_ms"]
    fitting = max(1, int(subscribers * min(1.0, wanted_ms / late.mean_ms)))
    namespace = widest["channel"].removeprefix("$").partition(":")[0]
    finding = Finding(
        "channel",
        f"{widest['channel']} has more subscribers than one fan-out reaches in time",
        [
            late.figures,
            f"{subscribers} subscribers at {widest['rate']:g} publications/s are"
            f" {deliveries(widest):.0f} of {sum(map(deliveries, seen.channels)):.0f} deliveries/s;"
            f" writing takes {write_ms * 1000 / subscribers:.0f} µs a subscriber",
        ],
        f"namespaces.{namespace}.subscriber_limit = {fitting} and another server for the others,"
        f" or a longer kinds.{late.kind}.threshold_ms",
        f"a mean of about {wanted_ms:g} ms in place of {late.mean_ms:.1f} ms",
        late.weight,
    )
    return Cause(min(write_ms, subscribers * SUBSCRIBER_MS), finding)


def deliveries(row: ChannelRow) -> float:
    """A second."""
    return float((row["rate"] or 0) * row["subscribers"])


def _slow_journal(seen: Observation, late: Late) -> Cause | None:
    journal = seen.health[-1]["journal"]
    commit_ms, p99_ms = journal["commit_p50_ms"], journal["commit_p99_ms"]
    if late.lane != "immediate" or commit_ms is None or p99_ms is None:
        return None
    finding = Finding(
        "journal",
        f"{late.kind} waits for the journal's disk",
        [late.figures, f"a commit takes {commit_ms:.1f} ms, {p99_ms:.1f} ms at p99"],
        'journal.synchronous = "normal", and data_dir on a faster disk',
        f"up to {commit_ms:.1f} ms less for each order and bot event",
        late.weight,
    )
    return Cause(min(late.stages["wait_ms"], commit_ms), finding)


RULES: tuple[Callable[[Observation, Late], Cause | None], ...] = (
    _long_tick,
    _heavy_compressor,
    _wide_channel,
    _slow_journal,
)


def busy_machine(seen: Observation) -> Finding | None:
    """A loop that comes later to its turns than the shortest promise, with some of its core left."""
    promises = [kind["threshold_ms"] for kind in seen.health[-1]["kinds"] if kind["threshold_ms"] is not None]
    lag_ms, cpu_percent = _lag_ms(seen), seen.health[-1]["process"]["cpu_percent"]
    if not promises or lag_ms <= min(promises) or cpu_percent >= CPU_LIMIT_PERCENT:
        return None
    return Finding(
        "machine",
        f"the server's loop is up to {lag_ms:.1f} ms late, and takes {cpu_percent:.0f} % of a core",
        [f"the loop came {lag_ms:.1f} ms late at p99; the shortest promise is {min(promises):g} ms"],
        "the machine: end or move what else runs on it, give the server a core of its own, or a faster disk",
        f"up to {lag_ms:.1f} ms less for every publication",
        UNEXPLAINED_WEIGHT,
    )


def _lag_ms(seen: Observation) -> float:
    """At p99, in each of the seconds."""
    return min(document["loop"]["lag_p99_ms"] or 0.0 for document in seen.health)


def _unexplained(late: Late) -> Finding:
    stage = max(late.stages, key=late.stages.__getitem__)
    return Finding(
        "late",
        f"{late.kind} is late, most of it {STAGES[stage]}: {late.stages[stage]:.1f} of {late.mean_ms:.1f} ms",
        [late.figures],
        "nothing that these figures name; lanecast probe --full tells with how many clients it begins",
        "unknown until then",
        UNEXPLAINED_WEIGHT,
    )
