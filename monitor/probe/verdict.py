"""Whether a server is healthy, and if not why: a report's figures against what is promised."""

from collections.abc import Iterator

from monitor.probe.analysis import DEPTH_LIMIT, FEED_WEIGHT, analyze
from monitor.probe.report import Delivered, Report

FAILED_LIMIT = 0.05
"""Share of the connections, as for the alert."""
MOST = 0.5
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
        yield from _kind_troubles(kind)
    yield from _deep_lanes(report)
    yield from (one.sentence for one in analyze(report.observation) if one.weight >= FEED_WEIGHT)


def _kind_troubles(kind: Delivered) -> Iterator[str]:
    if kind.refused or not kind.published:
        yield f"{kind.kind}: {kind.refused} of {kind.published + kind.refused} publications were refused"
    if kind.lost:
        yield f"{kind.kind}: {kind.lost} of {kind.published} did not arrive"
    if kind.repeated:
        yield f"{kind.channel}: {kind.repeated} arrived twice"
    if _is_late(kind):
        yield (
            f"{kind.kind}: {kind.late} of {kind.published} took longer than {kind.threshold_ms:g} ms,"
            f" the worst {kind.worst_ms:.1f} ms"
        )


def _is_late(kind: Delivered) -> bool:
    """The subscriber and the server's own clock say so, or most came late: our own machine may be slow."""
    if kind.threshold_ms is None or not kind.late:
        return False
    server_agrees = kind.server_p99_ms is not None and kind.server_p99_ms > kind.threshold_ms
    return kind.late > (LATE_LIMIT if server_agrees else MOST) * kind.published


def _deep_lanes(report: Report) -> Iterator[str]:
    """Lanes that were too deep at every look."""
    documents = report.observation.health
    for lanes in zip(*(document["lanes"] for document in documents), strict=True):
        if (least := min(lane["depth"] for lane in lanes)) > DEPTH_LIMIT:
            yield f"{lanes[0]['lane']} lane: {least} messages and more waited, the limit is {DEPTH_LIMIT}"
