"""What limits the server of a report: what an observation shows, and what the probe felt from outside.

A report that failed for lateness is never told that nothing limits its server: where the server's own
figures do not show the time, it went beside them, or is not known, and that is said.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from monitor.probe.analysis import analyze
from monitor.probe.documents import Kind
from monitor.probe.finding import Finding
from monitor.probe.lateness import UNEXPLAINED_WEIGHT, explain, measured
from monitor.probe.report import Delivered, Limit, Load, Report
from monitor.probe.verdict import fault_of, is_late, late_kinds, late_words


def analyze_report(report: Report) -> list[Finding]:
    """What limits the server of a report: at rest, and then under the load of a long test."""
    found = analyze(report.observation)
    found += _others(find_late_deliveries(report), found)
    if (load := report.load) is not None:
        where = f"with {load.knee.broken_at} clients: "
        found += [
            replace(finding, sentence=where + finding.sentence)
            for finding in _others(find_strain(load), found)
        ]
    return found


def _others(more: Iterable[Finding], found: Iterable[Finding]) -> list[Finding]:
    """Of the causes that are not found yet, each one's first."""
    known = {finding.cause for finding in found}
    first: dict[str, Finding] = {}
    for finding in more:
        first.setdefault(finding.cause, finding)
    return [finding for cause, finding in first.items() if cause not in known]


def find_late_deliveries(report: Report) -> Iterator[Finding]:
    """Why kinds came late to the probe's subscribers."""
    kinds = {kind["kind"]: kind for kind in report.observation.health[-1]["kinds"]}
    for delivered in report.kinds:
        if is_late(delivered, report.connected.line_ms):
            yield _explain_in(report, kinds.get(delivered.kind)) or _elsewhere(delivered)


def _explain_in(report: Report, kind: Kind | None) -> Finding | None:
    """By the server's own figures, if it is late by them as well."""
    late = measured(kind, least=1) if kind else None
    return explain(report.observation, late) if late is not None and late.weight > 1 else None


def _elsewhere(delivered: Delivered) -> Finding:
    if delivered.server_p99_ms is None or delivered.server_p99_ms > (delivered.threshold_ms or 0):
        return _unknown(delivered.kind, late_words(delivered))
    return Finding(
        "way",
        f"{delivered.kind} is late on its way to the server, or from it",
        [
            late_words(delivered),
            f"from publish to the last socket the server took {delivered.server_p99_ms:.1f} ms at p99",
        ],
        "the line between, or the machine of the probe: lanecast probe --full tells how busy that is",
        f"what is beyond the server's {delivered.server_p99_ms:.1f} ms goes",
        UNEXPLAINED_WEIGHT,
    )


def _unknown(kind: str, seen: str) -> Finding:
    return Finding(
        "late",
        f"{kind} is late, and this report can't say where",
        [seen],
        "nothing yet: lanecast analyze URL while it is late, or lanecast probe --full, shows more",
        "unknown until then",
        UNEXPLAINED_WEIGHT,
    )


def find_strain(load: Load) -> Iterator[Finding]:
    """What broke under load; by the probe's own doing it says nothing about the server."""
    if load.knee.limit not in (Limit.THRESHOLD, Limit.CONNECTIONS):
        return
    yield from find_closed_door(load)
    yield from analyze(load.observation)
    fault = load.knee.limit, load.knee.reason
    broken = next((step for step in reversed(load.ramp) if fault_of(step) == fault), None)
    kinds = {kind["kind"]: kind for kind in load.observation.health[-1]["kinds"]}
    for heard in late_kinds(broken) if broken else ():
        late = measured(kinds[heard.kind]) if heard.kind in kinds else None
        yield explain(load.observation, late) if late else _unknown(heard.kind, load.knee.reason)


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
