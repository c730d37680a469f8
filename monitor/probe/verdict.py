"""Whether a server is healthy, and if not why: a report's figures against what is promised."""

from collections.abc import Iterator

from monitor.probe.analysis import DEPTH_LIMIT, FEED_WEIGHT, analyze
from monitor.probe.lateness import COUNT_MIN as EVENTS_MIN
from monitor.probe.lateness import CPU_LIMIT_PERCENT
from monitor.probe.report import Delivered, Heard, Limit, Load, Report, Step

FAILED_LIMIT = 0.05
"""Share of the connections, as for the alert."""
MOST = 0.5
COUNT_MIN = 20
"""Deliveries of a kind in a step, below which they say nothing."""
MACHINE_LIMIT_PERCENT = 95.0
"""Of all cores: beyond it nobody can tell who was late by whose doing."""
IDLE_PERCENT = 25.0
"""Of a core: a server that uses less is kept late by something else, and not by the clients it has."""
LATE_LIMIT = 0.1
"""Share of a kind's events: a test of seconds has too few of them to judge a hundredth."""


def troubles_of(report: Report) -> Iterator[str]:
    """Each thing that is wrong, as a sentence with its numbers."""
    connected = report.connected
    if connected.failed > FAILED_LIMIT * connected.attempts:
        yield f"{connected.failed} of {connected.attempts} connections failed, more than {FAILED_LIMIT:.0%}"
    if connected.missed:
        yield f"{connected.missed} publications missed one of the {connected.attempts} clients of a channel"
    yield from report.leaks
    for kind in report.kinds:
        yield from _kind_troubles(kind, connected.line_ms)
    repeated = {kind.channel: kind.repeated for kind in report.kinds if kind.repeated}
    yield from (f"{channel}: {count} arrived twice" for channel, count in repeated.items())
    yield from _deep_lanes(report)
    yield from (one.sentence for one in analyze(report.observation) if one.weight >= FEED_WEIGHT)


def _kind_troubles(kind: Delivered, line_ms: float) -> Iterator[str]:
    if kind.refused or not kind.published:
        yield f"{kind.kind}: {kind.refused} of {kind.published + kind.refused} publications were refused"
    if kind.lost:
        yield f"{kind.kind}: {kind.lost} of {kind.published} did not arrive"
    if is_late(kind, line_ms):
        yield late_words(kind)


def late_words(kind: Delivered) -> str:
    """Of a kind to which something is promised: how many were late, and how late."""
    return (
        f"{kind.kind}: {kind.late} of {kind.published} took longer than {kind.threshold_ms or 0:g} ms,"
        f" the worst {kind.worst_ms or 0:.1f} ms"
    )


def is_late(kind: Delivered, line_ms: float) -> bool:
    """The subscriber and the server's own clock say so, or most came late: our own machine may be slow.

    What the line alone takes longer for is for the server's clock to say.
    """
    if kind.threshold_ms is None or not kind.late or kind.published < EVENTS_MIN:
        return False
    if kind.server_p99_ms is not None and kind.server_p99_ms > kind.threshold_ms:
        return kind.late > LATE_LIMIT * kind.published
    return not is_far(kind, line_ms) and kind.late > MOST * kind.published


def is_far(kind: Delivered, line_ms: float) -> bool:
    """Whether the way here takes longer than is promised of a kind, so that no server could be in time."""
    return kind.threshold_ms is not None and line_ms > kind.threshold_ms


def _deep_lanes(report: Report) -> Iterator[str]:
    """Lanes that were too deep at every look."""
    documents = report.observation.health
    for lanes in zip(*(document["lanes"] for document in documents), strict=True):
        if (least := min(lane["depth"] for lane in lanes)) > DEPTH_LIMIT:
            yield f"{lanes[0]['lane']} lane: {least} messages and more waited, the limit is {DEPTH_LIMIT}"


def fault_of(step: Step) -> tuple[Limit, str] | None:
    """What broke in a step of the long test, in words, and whose doing it is; None if nothing did."""
    wanted = step.clients + sum(step.failures.values())
    if (failed := sum(step.failures.values())) > FAILED_LIMIT * wanted:
        return Limit.CONNECTIONS, f"{failed} of {wanted} clients did not get in: {_causes(step.failures)}"
    if (gone := sum(step.cut.values())) > FAILED_LIMIT * wanted:
        return Limit.CONNECTIONS, f"{gone} of {wanted} clients were cut: {_causes(step.cut)}"
    late = late_kinds(step)
    if not late:
        return None
    worst = max(late, key=lambda kind: _late(kind) / kind.count)
    words = (
        f"{worst.kind}: {_late(worst)} of {worst.count} took longer than {worst.threshold_ms:g} ms,"
        f" p99 {worst.p99_ms:.1f} ms"
    )
    excuse = _excuse(step, late)
    return (
        (Limit.PROBE, f"{words}, but {excuse}")
        if excuse
        else (Limit.THRESHOLD, f"{words} ({_circumstances(step)})")
    )


def late_kinds(step: Step) -> list[Heard]:
    """Those that came later than promised too often."""
    return [kind for kind in step.kinds if kind.count >= COUNT_MIN and _late(kind) > LATE_LIMIT * kind.count]


def _late(kind: Heard) -> int:
    return kind.late + kind.doubtful


def _excuse(step: Step, late: list[Heard]) -> str | None:
    """Why a step says nothing about the server, if it does not."""
    own, server = step.own, step.server
    if all(kind.late <= LATE_LIMIT * kind.count for kind in late):
        return f"the probe itself was up to {own.lag_ms:.1f} ms late"
    lag_ms = server.lag_p99_ms or 0.0
    if server.cpu_percent < IDLE_PERCENT and all(lag_ms > (kind.threshold_ms or 0) for kind in late):
        return f"the server's loop was up to {lag_ms:.1f} ms late at {server.cpu_percent:.0f} % of a core"
    if own.cpu_percent > CPU_LIMIT_PERCENT:
        return f"the probe itself used {own.cpu_percent:.0f} % of a core"
    if own.machine_percent > MACHINE_LIMIT_PERCENT and server.cpu_percent < CPU_LIMIT_PERCENT:
        return (
            f"the probe's machine was in use by {own.machine_percent:.0f} %, of which the server"
            f" had {server.cpu_percent:.0f} % of a core"
        )
    return None


def _circumstances(step: Step) -> str:
    """What else there was to it than the clients, for who reads that there are too many."""
    lag_ms = step.server.lag_p99_ms or 0.0
    return (
        f"the server had {step.server.cpu_percent:.0f} % of a core and a loop up to {lag_ms:.1f} ms late,"
        f" the probe's machine was in use by {step.own.machine_percent:.0f} %"
    )


def _causes(causes: dict[str, int]) -> str:
    return ", ".join(f"{cause} ({count})" for cause, count in sorted(causes.items()))


def load_troubles_of(load: Load) -> Iterator[str]:
    """What a server owes under load: the first clients, and that those who do harm move nobody else."""
    if load.knee.clients == 0 and load.knee.limit is not Limit.PROBE:
        at = load.knee.broken_at
        yield f"not even {at} clients: {load.knee.reason}" if at else f"nothing held: {load.knee.reason}"
    calm, *villains = load.villains
    if fault_of(calm) is None:
        harmed = {f"beside {step.name}": step for step in villains}
        harmed["during the reconnect wave"] = load.wave.step
        yield from (f"{when}: {words}" for when, step in harmed.items() if (words := harm_in(step)))
    if missing := load.wave.clients - load.wave.back:
        yield (
            f"{missing} of {load.wave.clients} clients that were cut at once did not come back:"
            f" {_causes(load.wave.failures)}"
        )


def harm_in(step: Step) -> str | None:
    """What clients felt that is the server's to answer for."""
    match fault_of(step):
        case (Limit.THRESHOLD | Limit.CONNECTIONS, words):
            return words
    return None
