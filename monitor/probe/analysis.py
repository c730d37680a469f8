"""What limits a server, ranked, judged from an observation and nothing else.

A rule that can't show its figures says nothing; one late publication, a busy second or a client
that is behind for a moment limit nobody, so each rule asks for what lasts. Pure, so a report is
judged as a live server is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from monitor.config import Lane
from monitor.probe.observation import Observation, Row
from monitor.probe.report import Limit, Load, Report

DEPTH_LIMIT = 100
"""Messages that wait in a lane, as for the alert."""
WARNING_SHARE = 0.8
"""Of a threshold."""
MEAN_SHARE = 0.4
"""Of a threshold, for the mean: below it the late ones are outliers, and no setting is their cause."""
COUNT_MIN = 5
"""Publications in the last 10 s, below which their latency says nothing."""
CPU_LIMIT_PERCENT = 85.0
"""Of a core, in every second: one event loop has no more than a core."""
STARVED_SECONDS = 1.0
"""Until what waits in a lane would have left, while the lanes before it take more than it does."""
FEED_WEIGHT = 1_000.0
"""What is not there limits more than what is late."""
JOURNAL_SHARE = 0.5
"""Of a mean latency, for the commit to be its cause."""
SLOW_NAMED = 3
GATHERED = ("normal", "low")
"""Lanes whose publications may wait for a tick."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that limits a server."""

    cause: str
    sentence: str
    evidence: list[str]
    """Figures, as observed."""
    setting: str
    """What to change."""
    effect: str
    weight: float
    """How many times over its limit it is; what ranks the findings."""


def analyze(observation: Observation) -> list[Finding]:
    """What limits the server, the worst first; empty if nothing can be shown to."""
    found = [finding for rule in RULES for finding in rule(observation)]
    return sorted(found, key=lambda finding: finding.weight, reverse=True)


def analyze_report(report: Report) -> list[Finding]:
    """What limits the server of a report: at rest, and then under the load of a long test.

    What broke by the probe's own doing says nothing about the server.
    """
    found = analyze(report.observation)
    if (load := report.load) is None or load.knee.limit not in (Limit.THRESHOLD, Limit.CONNECTIONS):
        return found
    known = {finding.cause for finding in found}
    more = [*find_closed_door(load), *analyze(load.observation)]
    where = f"with {load.knee.broken_at} clients: "
    return found + [
        replace(finding, sentence=where + finding.sentence) for finding in more if finding.cause not in known
    ]


def find_closed_door(load: Load) -> Iterator[Finding]:
    """Clients that a bound of the server kept out."""
    if load.knee.limit is not Limit.CONNECTIONS:
        return
    step = max(load.ramp, key=lambda step: sum(step.failures.values()) + sum(step.cut.values()))
    lost = sum(step.failures.values()) + sum(step.cut.values())
    yield Finding(
        "connections",
        "a bound on clients was reached before any promise broke",
        [
            load.knee.reason,
            *(f"{cause}: {count} clients" for cause, count in (step.failures | step.cut).items()),
        ],
        "limits.connections, limits.connections_per_address, limits.handshakes_per_second,"
        " or the descriptors that the server's process may have",
        f"room for the {lost} clients that were turned away",
        lost / max(1, step.clients),
    )


def find_broken_feeds(seen: Observation) -> Iterator[Finding]:
    """Feeds that are stale, or have lost their venue."""
    for feed in seen.feeds:
        is_lost = feed["state"] in ("connecting", "retrying") and feed["error"] is not None
        if feed["state"] != "stale" and not is_lost:
            continue
        stale = [one["name"] for one in feed["subscriptions"] if one["state"] == "stale"]
        age = "nothing was ever heard" if feed["age_ms"] is None else f"last heard {feed['age_ms']} ms ago"
        yield Finding(
            "feed",
            f"feed {feed['name']} is {feed['state']}: what it should bring is missing or old",
            [
                f"{age}; {feed['rate']:g} messages/s, {feed['reconnects']} reconnects, {feed['gaps']} gaps",
                *([f"{len(stale)} stale subscriptions: {', '.join(stale[:3])}"] if stale else []),
                *([f"its last error: {feed['error']}"] if feed["error"] else []),
            ],
            f"feeds.{feed['name']}.url ({feed['url']}): the address, the network, or the venue",
            "its channels are fresh again as soon as it is live",
            FEED_WEIGHT,
        )


def find_late_kinds(seen: Observation) -> Iterator[Finding]:
    """The stage that makes kinds late; what they share is told once, by the worst of them."""
    worst: dict[str, Finding] = {}
    for kind in seen.health[-1]["kinds"]:
        finding = _explain(seen, kind) if _is_late(kind) else None
        if finding is not None and finding.weight > worst.get(finding.cause, _NONE).weight:
            worst[finding.cause] = finding
    yield from worst.values()


def _is_late(kind: Row) -> bool:
    window, threshold = kind["last_10s"], kind["threshold_ms"]
    return (
        threshold is not None
        and window["count"] >= COUNT_MIN
        and window["p99_ms"] > WARNING_SHARE * threshold
        and _mean_ms(kind) > MEAN_SHARE * threshold
    )


def _mean_ms(kind: Row) -> float:
    return float(sum(kind["last_10s"]["stages"].values()))


def _explain(seen: Observation, kind: Row) -> Finding | None:
    stages = kind["last_10s"]["stages"]
    match max(stages, key=stages.__getitem__):
        case "encode_ms":
            return _heavy_compressor(seen, kind)
        case "write_ms":
            return _wide_channel(seen, kind)
        case "wait_ms":
            return _slow_journal(seen, kind) or _long_tick(seen, kind) or _wide_channel(seen, kind)
        case _:
            return None


def _latency(kind: Row) -> str:
    window = kind["last_10s"]
    parts = ", ".join(f"{name.removesuffix('_ms')} {ms:.1f}" for name, ms in window["stages"].items())
    return (
        f"{kind['kind']}: p99 {window['p99_ms']:.1f} ms of {kind['threshold_ms']:g} ms promised,"
        f" {window['count']} in 10 s; mean by stage in ms: {parts}"
    )


def _weight(kind: Row) -> float:
    return float(kind["last_10s"]["p99_ms"] / kind["threshold_ms"])


def _long_tick(seen: Observation, kind: Row) -> Finding | None:
    if kind["lane"] not in GATHERED:
        return None
    tick_ms: int = seen.health[-1]["tuning"]["cadence"]["tick_ms"]
    wait_ms = kind["last_10s"]["stages"]["wait_ms"]
    if tick_ms < MEAN_SHARE * kind["threshold_ms"] or not tick_ms / 4 <= wait_ms <= 1.5 * tick_ms:
        return None
    wanted = max(1, round(kind["threshold_ms"] / 5))
    return Finding(
        "tick",
        f"{kind['kind']} waits for its tick: {tick_ms} ms is long beside {kind['threshold_ms']:g} ms",
        [
            _latency(kind),
            f"tick_ms is {tick_ms}: a publication waits {tick_ms / 2:g} ms for it on average",
        ],
        f"tick_ms = {wanted} (or preset = realtime)",
        f"a wait of about {wanted / 2:g} ms in place of {wait_ms:.1f} ms, in more and smaller frames",
        _weight(kind),
    )


def _heavy_compressor(seen: Observation, kind: Row) -> Finding | None:
    last = seen.health[-1]
    deflate = next((one for one in last["encodings"] if one["encoding"] == "deflate"), None)
    cadence = last["tuning"]["cadence"]
    if deflate is None or not deflate["clients"] or not cadence["compression_level"]:
        return None
    encode_ms = kind["last_10s"]["stages"]["encode_ms"]
    is_hard = cadence["compression_level"] > 1
    return Finding(
        "compressor",
        f"making the frames of {kind['kind']} takes {encode_ms:.1f} ms of its {_mean_ms(kind):.1f} ms",
        [
            _latency(kind),
            f"compression_level is {cadence['compression_level']}, from"
            f" {cadence['compression_from_bytes']} bytes; {deflate['clients']} clients read deflate,"
            f" which made {deflate['payload_bytes']} bytes {deflate['frame_bytes']}",
        ],
        "compression_level = 1" if is_hard else "compression_level = 0",
        f"most of the {encode_ms:.1f} ms a publication goes, for "
        + ("somewhat longer frames" if is_hard else f"{deflate['ratio'] or 1:g} times the bytes"),
        _weight(kind),
    )


def _wide_channel(seen: Observation, kind: Row) -> Finding | None:
    """The channel of the kind's lane with the most deliveries, if it makes up most of them."""
    rows = [row for row in seen.channels if row["lane"] == kind["lane"] and _deliveries(row)]
    if not rows:
        return None
    widest = max(rows, key=_deliveries)
    total = sum(_deliveries(row) for row in seen.channels)
    if _deliveries(widest) < total / 2:
        return None
    mean_ms = _mean_ms(kind)
    fitting = max(1, int(widest["subscribers"] * kind["threshold_ms"] / 2 / mean_ms))
    namespace = widest["channel"].removeprefix("$").partition(":")[0]
    return Finding(
        "channel",
        f"{widest['channel']} has more subscribers than one fan-out reaches in time",
        [
            _latency(kind),
            f"{widest['subscribers']} subscribers at {widest['rate']:g} publications/s are"
            f" {_deliveries(widest):.0f} of the {total:.0f} deliveries/s;"
            f" {mean_ms * 1000 / widest['subscribers']:.0f} µs a subscriber",
        ],
        f"namespaces.{namespace}.subscriber_limit = {fitting} and another server for the others,"
        f" or a longer kinds.{kind['kind']}.threshold_ms",
        f"a mean of about {kind['threshold_ms'] / 2:g} ms in place of {mean_ms:.1f} ms",
        _weight(kind),
    )


def _deliveries(row: Row) -> float:
    """A second."""
    return float((row["rate"] or 0) * row["subscribers"])


def _slow_journal(seen: Observation, kind: Row) -> Finding | None:
    journal = seen.health[-1]["journal"]
    commit_ms = journal["commit_p50_ms"]
    if kind["lane"] != "immediate" or commit_ms is None or commit_ms < JOURNAL_SHARE * _mean_ms(kind):
        return None
    return Finding(
        "journal",
        f"{kind['kind']} waits for the journal's disk",
        [_latency(kind), f"a commit takes {commit_ms:.1f} ms, {journal['commit_p99_ms']:.1f} ms at p99"],
        'journal.synchronous = "normal", and data_dir on a faster disk',
        f"up to {commit_ms:.1f} ms less for each order and bot event",
        _weight(kind),
    )


def find_lost_journal(seen: Observation) -> Iterator[Finding]:
    """A journal that keeps nothing."""
    journal = seen.health[-1]["journal"]
    if journal["trouble"]:
        yield Finding(
            "journal",
            "the journal fails: orders and bots would not survive this server",
            [f"{journal['trouble']}; {journal['not_kept']} publications were not kept"],
            "data_dir: room and the right to write there",
            "the journal keeps again within 5 s of the disk's return",
            FEED_WEIGHT,
        )


def find_slow_clients(seen: Observation) -> Iterator[Finding]:
    """Clients without a budget that stay behind: by their line or their program, not by us."""
    slow = [row for before, row in _lasting(seen) if not _has_budget(row) and _is_slow(before, row)]
    if not slow:
        return
    slow.sort(key=lambda row: int(row["outbox_bytes"]), reverse=True)
    worst = slow[0]
    waiting = sum(row["outbox_bytes"] for row in seen.connections)
    named = "client " + worst["id"] + (f" and {len(slow) - 1} more" if len(slow) > 1 else "")
    yield Finding(
        "slow client",
        f"{named} reads too slowly: {_depth(worst)} messages wait for it",
        [_client(row) for row in slow[:SLOW_NAMED]]
        + [f"{worst['outbox_bytes']} of all {waiting} waiting bytes are this client's"],
        "its line or its program; else `ops.limit` or `ops.disconnect` for it,"
        " limits.write_seconds and limits.outbox_bytes for all",
        f"{worst['outbox_bytes']} bytes less to hold; the other clients lose nothing to it",
        max(1.0, _depth(worst) / DEPTH_LIMIT),
    )


def _lasting(seen: Observation) -> Iterator[tuple[Row, Row]]:
    """Connections that had something waiting at both looks, as then and as now."""
    before = {row["id"]: row for row in seen.connections_before}
    for row in seen.connections:
        then = before.get(row["id"])
        if then is not None and _depth(then) and _depth(row):
            yield then, row


def _is_slow(before: Row, row: Row) -> bool:
    return row["ladder"]["step"] > 0 or _depth(row) > DEPTH_LIMIT or row["sent"] == before["sent"]


def _has_budget(row: Row) -> bool:
    return any(row["budget"].values())


def _depth(row: Row) -> int:
    return sum(row["lanes"])


def _client(row: Row) -> str:
    user = f" of {row['user']}" if row["user"] else ""
    return (
        f"{row['id']}{user} at {row['address']}: {_depth(row)} messages and {row['outbox_bytes']} bytes wait,"
        f" step {row['ladder']['name']} of the ladder, {row['dropped']} dropped, encoding {row['encoding']}"
    )


def find_starved_lanes(seen: Observation) -> Iterator[Finding]:
    """Lanes of a client with a budget which those before them leave nothing."""
    for before, row in _lasting(seen):
        if _has_budget(row) and row["sent"] != before["sent"]:
            yield from _starved(seen, before, row)


def _starved(seen: Observation, before: Row, row: Row) -> Iterator[Finding]:
    rates = {lane["lane"]: lane["rate"] for lane in seen.health[-1]["lanes"]}
    for lane in list(Lane)[1:]:
        depth, name = row["lanes"][lane], lane.name.lower()
        ahead = [one.name.lower() for one in Lane if one < lane and row["lanes"][one]]
        faster = sum(rates[one] for one in ahead)
        if depth <= max(DEPTH_LIMIT, STARVED_SECONDS * rates[name]) or faster <= rates[name]:
            continue
        budget = row["budget"]
        yield Finding(
            "lane",
            f"the {name} lane of client {row['id']} starves behind {' and '.join(ahead)}",
            [
                f"{depth} messages wait in {name} ({before['lanes'][lane]} {seen.seconds:g} s before),"
                f" which sends {rates[name]:g}/s; {' and '.join(ahead)} before it {faster:g}/s",
                f"its budget is {budget['messages_per_second']:g} messages/s and"
                f" {budget['bytes_per_second']:g} bytes/s (0: no limit), all of it in use",
            ],
            f"a larger budget for the client (`ops.limit`), or a lower lane (namespaces.….lane) for what"
            f" floods {ahead[-1]}",
            f"the {depth} messages leave as soon as {' and '.join(ahead)} take less than the budget",
            depth / DEPTH_LIMIT,
        )


def find_full_core(seen: Observation) -> Iterator[Finding]:
    """A process that has used its core up in every second."""
    percents = [document["process"]["cpu_percent"] for document in seen.health[1:]]
    if not percents or None in percents or min(percents) < CPU_LIMIT_PERCENT:
        return
    last = seen.health[-1]
    rows = sorted(seen.channels, key=_deliveries, reverse=True)[:SLOW_NAMED]
    yield Finding(
        "core",
        f"the server uses up its core: at least {min(percents):.0f} % in each of {seen.seconds:g} s",
        [
            f"the event loop is {last['loop']['lag_p99_ms']} ms late at p99;"
            f" {last['rates']['sent']:g} messages/s to {last['clients']} clients",
            *(
                f"{row['channel']}: {_deliveries(row):.0f} deliveries/s to {row['subscribers']} subscribers"
                for row in rows
                if _deliveries(row)
            ),
        ],
        "preset = throughput (longer ticks, fewer frames), fewer subscribers, or a second server",
        "each frame that is not made or written gives the core back what it cost",
        min(percents) / CPU_LIMIT_PERCENT,
    )


RULES: tuple[Callable[[Observation], Iterator[Finding]], ...] = (
    find_broken_feeds,
    find_lost_journal,
    find_late_kinds,
    find_starved_lanes,
    find_slow_clients,
    find_full_core,
)
_NONE = Finding("", "", [], "", "", 0.0)
