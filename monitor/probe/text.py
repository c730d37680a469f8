"""Findings and verdicts as a person reads them in a terminal or a pipe: plain text, no colours needed."""

from collections.abc import Iterator, Sequence

from monitor.probe.analysis import Finding
from monitor.probe.report import Delivered, Report


def analysis_text(findings: Sequence[Finding]) -> str:
    """The findings, ranked, each with what it rests on and what to do about it."""
    if not findings:
        return "nothing that was observed limits this server"
    return "\n\n".join("\n".join(_finding(rank, one)) for rank, one in enumerate(findings, 1))


def _finding(rank: int, finding: Finding) -> Iterator[str]:
    yield f"{rank}. {finding.sentence}"
    for figure in finding.evidence:
        yield f"   seen    {figure}"
    yield f"   change  {finding.setting}"
    yield f"   effect  {finding.effect}"


def report_text(report: Report) -> str:
    """The table and the verdict."""
    rows = [_TITLES, *map(_cells, report.kinds)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = "\n".join(_line(row, widths) for row in rows)
    connected = report.connected
    return "\n".join(
        [
            table,
            "",
            f"{connected.attempts - connected.failed} of {connected.attempts} clients connected,"
            f" round trip {connected.round_trip_ms:.1f} ms. Latencies are from the publisher's call to the"
            " subscriber, server p99 to its socket.",
            *(f"- {trouble}" for trouble in report.troubles),
            verdict(report),
        ]
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, figures to the right."""
    padded = [
        cell.ljust(width) if at < _WORDS else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded)


def verdict(report: Report) -> str:
    """In one sentence."""
    count = sum(kind.published for kind in report.kinds)
    if report.troubles:
        return f"NOT HEALTHY: {report.url}, {len(report.troubles)} of its promises do not hold"
    return (
        f"healthy: {report.url} brought {count} events of {len(report.kinds)} kinds to their subscribers"
        f" and nobody else, in time, over {report.seconds} s"
    )


_TITLES = ["kind", "lane", "sent", "lost", "late", "p50 ms", "worst ms", "server p99", "promised"]


_WORDS = 2


def _cells(kind: Delivered) -> list[str]:
    return [
        kind.kind,
        kind.lane,
        str(kind.published),
        str(kind.lost),
        str(kind.late),
        *map(_figure, (kind.p50_ms, kind.worst_ms, kind.server_p99_ms, kind.threshold_ms)),
    ]


def _figure(ms: float | None) -> str:
    return "-" if ms is None else f"{ms:.1f}"
