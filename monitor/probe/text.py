"""Findings and verdicts as a person reads them in a terminal or a pipe: plain text, no colours needed."""

from collections.abc import Iterator, Sequence

from monitor.probe.diagnosis import analyze_report
from monitor.probe.finding import Finding
from monitor.probe.lateness import COUNT_MIN
from monitor.probe.report import Delivered, Knee, Limit, Load, Report
from monitor.probe.steps import BRIEF, step_rows
from monitor.probe.verdict import fault_of, is_far


def analysis_text(findings: Sequence[Finding], troubles: Sequence[str] = ()) -> str:
    """The findings, ranked, each with what it rests on and what to do; else what a report found wrong."""
    if not findings:
        reasons = (f"\n- {trouble}" for trouble in troubles)
        return "nothing that was observed limits this server" + "".join(
            ["; it is not healthy for another reason:", *reasons] if troubles else ()
        )
    return "\n\n".join("\n".join(_finding(rank, one)) for rank, one in enumerate(findings, 1))


def _finding(rank: int, finding: Finding) -> Iterator[str]:
    yield f"{rank}. {finding.sentence}"
    for figure in finding.evidence:
        yield f"   seen    {figure}"
    yield f"   change  {finding.setting}"
    yield f"   effect  {finding.effect}"


def report_text(report: Report) -> str:
    """The table and the verdict."""
    connected = report.connected
    return "\n".join(
        [
            _table([COLUMNS, *map(cells, report.kinds)], _WORDS),
            "",
            f"{connected.attempts - connected.failed} of {connected.attempts} clients connected,"
            f" round trip {connected.round_trip_ms:.1f} ms, at most {_deepest(report)} waited in a lane.",
            *rest_notes(report),
            *(_load_lines(report, report.load) if report.load else ()),
            *(f"- {trouble}" for trouble in report.troubles),
            verdict(report),
        ]
    )


def _deepest(report: Report) -> int:
    return max(lane["depth"] for document in report.observation.health for lane in document["lanes"])


def rest_notes(report: Report) -> Iterator[str]:
    """What the figures of the short test are of, and which of them are too few to say anything."""
    yield (
        "Latencies are from the publisher's call to the subscriber; server p99/10s is the server's own figure"
        " to the socket, of all it had of the kind in its last 10 s, whoever published it."
    )
    if far := _far(report):
        yield (
            f"The line here takes {report.connected.line_ms:.1f} ms, more than is promised of {far} of the"
            " kinds: whether they are in time is for the server's own figure to say."
        )
    if few := _few(report):
        yield f"Fewer than {COUNT_MIN} events say nothing of how late a kind is; kinds with so few: {few}."


def _few(report: Report) -> int:
    """Kinds to which something is promised, and of which there were too few events to judge that."""
    return sum(kind.threshold_ms is not None and kind.published < COUNT_MIN for kind in report.kinds)


def _far(report: Report) -> int:
    return sum(is_far(kind, report.connected.line_ms) for kind in report.kinds)


def _load_lines(report: Report, load: Load) -> Iterator[str]:
    yield ""
    yield _table([BRIEF, *step_rows([*load.ramp, *load.villains, load.wave.step], BRIEF)], 1)
    yield ""
    wave = load.wave
    yield f"{wave.back} of {wave.clients} clients cut at once were back within {wave.seconds:.1f} s."
    yield from calm_notes(load)
    yield knee_text(load.knee)
    yield from (f"What limits it: {finding.sentence}." for finding in analyze_report(report))
    yield from (f"The server's alert {alert}." for alert in load.observation.alerts)


def calm_notes(load: Load) -> Iterator[str]:
    """That harm can't be told where there was some with nobody to do it."""
    if (fault := fault_of(load.villains[0])) is not None:
        yield (
            "What those who do harm and the reconnect wave did to others can't be told,"
            f" for with nobody to do harm {fault[1]}."
        )


def knee_text(knee: Knee) -> str:
    """How many clients the server bears, and what says so, in a sentence."""
    match knee.limit:
        case Limit.THRESHOLD | Limit.CONNECTIONS:
            return f"The server bears {knee.clients} clients, not {knee.broken_at}: {knee.reason}."
        case Limit.PROBE:
            return (
                f"The server bears {knee.clients} clients; more can't be said from here:"
                f" at {knee.broken_at} {knee.reason}."
            )
        case _:
            return f"The server bears {knee.clients} clients and maybe more: {knee.reason}."


def _table(rows: Sequence[Sequence[str]], words: int) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, widths, words) for row in rows)


def _line(cells: Sequence[str], widths: Sequence[int], words: int) -> str:
    """Words to the left, figures to the right."""
    padded = [
        cell.ljust(width) if at < words else cell.rjust(width)
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
        f" and nobody else, {_timely(report)}, over {report.seconds} s"
    )


def _timely(report: Report) -> str:
    if _few(report):
        return "too few of some kinds to say whether in time"
    if far := _far(report):
        return f"in time, {far} of the kinds by its own clock"
    late = [f"{kind.late} of {kind.published} {kind.kind}" for kind in report.kinds if kind.late]
    return f"in time but for {', '.join(late)}, which is too few to judge by" if late else "in time"


COLUMNS = ["kind", "lane", "sent", "lost", "late", "p50 ms", "worst ms", "server p99/10s", "promised"]
_WORDS = 2


def cells(kind: Delivered) -> list[str]:
    """A row of the table of kinds."""
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
