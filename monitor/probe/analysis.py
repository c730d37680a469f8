"""What limits a server, ranked, judged from an observation and nothing else.

A rule that can't show its figures says nothing; one late publication, a busy second or a client
that is behind for a moment limit nobody, so each rule asks for what lasts. Pure, so a report is
judged as a live server is.
"""

from collections.abc import Callable, Iterator
from math import inf

from monitor.config import Lane
from monitor.probe.documents import ConnectionRow
from monitor.probe.finding import Finding
from monitor.probe.lateness import CPU_LIMIT_PERCENT, busy_machine, deliveries, find_late_kinds
from monitor.probe.observation import Observation

DEPTH_LIMIT = 100
"""Messages that wait in a lane, as for the alert."""
STARVED_SECONDS = 1.0
"""Until what waits in a lane would have left, while the lanes before it take more than it does."""
FEED_WEIGHT = 1_000.0
"""What is not there limits more than what is late."""
SLOW_NAMED = 3


def analyze(observation: Observation) -> list[Finding]:
    """What limits the server, the worst first; empty if nothing can be shown to."""
    found = {finding.sentence: finding for rule in RULES for finding in rule(observation)}
    return sorted(found.values(), key=lambda finding: (-finding.weight, finding.cause, finding.sentence))


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
                f"{age}; {feed['rate']:g} messages/s, {feed['retries']} retries, {feed['gaps']} gaps",
                *([f"{len(stale)} stale subscriptions: {', '.join(stale[:3])}"] if stale else []),
                *([f"its last error: {feed['error']}"] if feed["error"] else []),
            ],
            f"feeds.{feed['name']}.url ({feed['url']}) if it is wrong; else it is the network, or the venue",
            "its channels are fresh again as soon as it is live",
            FEED_WEIGHT,
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
    """Clients that stay behind by their line or their program, and not by us or by a budget."""
    lasting = _lasting(seen)
    slow = [row for before, row in lasting if not _is_paced(seen, before, row) and _is_slow(before, row)]
    if not slow:
        return
    slow.sort(key=lambda row: (-row["outbox_bytes"], row["id"]))
    worst = slow[0]
    waiting = sum(row["outbox_bytes"] for row in seen.connections)
    named = "client " + worst["id"] + (f" and {len(slow) - 1} more" if len(slow) > 1 else "")
    yield Finding(
        "slow client",
        f"{named} reads too slowly: {_depth(worst)} messages wait for it",
        [_client(row) for row in slow[:SLOW_NAMED]]
        + [f"{worst['outbox_bytes']} of all {waiting} waiting bytes are this client's"],
        "its line or its program; else its budget, or cut it (console: Enter on it, then b or x);"
        " for all: limits.write_seconds and limits.outbox_bytes",
        f"{worst['outbox_bytes']} bytes less to hold; the other clients lose nothing to it",
        max(1.0, _depth(worst) / DEPTH_LIMIT),
    )


def _lasting(seen: Observation) -> Iterator[tuple[ConnectionRow, ConnectionRow]]:
    """Connections that had something waiting at both looks, as then and as now."""
    before = {row["id"]: row for row in seen.connections_before}
    for row in seen.connections:
        then = before.get(row["id"])
        if then is not None and _depth(then) and _depth(row):
            yield then, row


def _is_slow(before: ConnectionRow, row: ConnectionRow) -> bool:
    return row["ladder"]["step"] > 0 or _depth(row) > DEPTH_LIMIT or row["sent"] == before["sent"]


def _is_paced(seen: Observation, before: ConnectionRow, row: ConnectionRow) -> bool:
    """Whether a budget explains what waits: some of it was sent, or not two messages were due."""
    messages, in_bytes = row["budget"]["messages_per_second"], row["budget"]["bytes_per_second"]
    if not (messages or in_bytes):
        return False
    due = seen.seconds * min(messages or inf, (in_bytes or inf) * _depth(row) / max(1, row["outbox_bytes"]))
    return row["sent"] != before["sent"] or due < 2


def _depth(row: ConnectionRow) -> int:
    return sum(row["lanes"])


def _client(row: ConnectionRow) -> str:
    user = f" of {row['user']}" if row["user"] else ""
    return (
        f"{row['id']}{user} at {row['address']}: {_depth(row)} messages and {row['outbox_bytes']} bytes wait,"
        f" step {row['ladder']['name']} of the ladder, {row['dropped']} dropped, encoding {row['encoding']}"
    )


def find_starved_lanes(seen: Observation) -> Iterator[Finding]:
    """Lanes of a client with a budget which those before them leave nothing."""
    for before, row in _lasting(seen):
        if _is_paced(seen, before, row):
            yield from _starved(seen, before, row)


def _starved(seen: Observation, before: ConnectionRow, row: ConnectionRow) -> Iterator[Finding]:
    rates: dict[str, float] = dict.fromkeys((lane.name.lower() for lane in Lane), 0.0)
    rates.update({lane["lane"]: lane["rate"] for lane in seen.health[-1]["lanes"]})
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
                f" {budget['bytes_per_second']:g} bytes/s (0: no limit)",
            ],
            f"a larger budget for the client (console: Enter on it, then b), or a lower lane"
            f" (namespaces.….lane) for what floods {ahead[-1]}",
            f"the {depth} messages leave as soon as {' and '.join(ahead)} take less than the budget",
            depth / DEPTH_LIMIT,
        )


def find_full_core(seen: Observation) -> Iterator[Finding]:
    """A process that has used its core up in every second."""
    percents = [document["process"]["cpu_percent"] for document in seen.health[1:]]
    if not percents or None in percents or min(percents) < CPU_LIMIT_PERCENT:
        return
    last = seen.health[-1]
    rows = sorted(seen.channels, key=lambda row: (-deliveries(row), row["channel"]))[:SLOW_NAMED]
    yield Finding(
        "core",
        f"the server uses up its core: at least {min(percents):.0f} % in each of {seen.seconds:g} s",
        [
            f"the event loop is {last['loop']['lag_p99_ms']} ms late at p99;"
            f" {last['rates']['sent']:g} messages/s to {last['clients']} clients",
            *(
                f"{row['channel']}: {deliveries(row):.0f} deliveries/s to {row['subscribers']} subscribers"
                for row in rows
                if deliveries(row)
            ),
        ],
        "preset = throughput (longer ticks, fewer frames), fewer subscribers, or a second server",
        "each frame that is not made or written gives the core back what it cost",
        min(percents) / CPU_LIMIT_PERCENT,
    )


def find_late_loop(seen: Observation) -> Iterator[Finding]:
    """A machine that leaves the server too little of itself, whether anything is late by it yet or not."""
    if (finding := busy_machine(seen)) is not None:
        yield finding


RULES: tuple[Callable[[Observation], Iterator[Finding]], ...] = (
    find_broken_feeds,
    find_lost_journal,
    find_late_kinds,
    find_starved_lanes,
    find_slow_clients,
    find_full_core,
    find_late_loop,
)
