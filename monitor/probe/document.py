"""A long test's report as one HTML file: it loads nothing, runs nothing, and reads on paper as in the dark.

Every plot stands beside the table with its figures, so nothing is known by colour alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from monitor.probe.finding import Finding
from monitor.probe.plot import Point, bars, lines
from monitor.probe.report import Load, Report, Step
from monitor.probe.steps import WIDE, share_percent, step_rows, worst_kind
from monitor.probe.text import COLUMNS, calm_notes, cells, knee_text, rest_notes, verdict

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>
<p class="soft">{when}, server version {version}. Latencies are from the publisher's call to the reader's
hand, on the probe's own clock.</p>
{sections}</main></body></html>
"""
_HOW = (
    '<p class="soft">Every client subscribes to a channel of each kind, and each kind is published four times'
    " a second. Clients are too many once more than a tenth of a kind's events come late, twice.</p>"
)
_STYLE = Path(__file__).with_name("document.css")


def document(report: Report, load: Load, findings: Sequence[Finding]) -> str:
    """The whole file."""
    when = datetime.fromtimestamp(report.time_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    sections = [
        _section("What it found", _verdict(report), f"<p>{escape(knee_text(load.knee))}</p>"),
        _section("What limits it", _findings(findings)),
        _section("More and more clients", _HOW, _promises(load), _server(load), _steps(_ramp(load))),
        _section(
            "Beside those who do harm",
            _notes(calm_notes(load)),
            _villains(load),
            _steps([*load.villains, load.wave.step]),
        ),
        _section("All at once", _wave(load)),
        _section(
            "Every kind, at rest", _notes(rest_notes(report)), _table(COLUMNS, map(cells, report.kinds))
        ),
    ]
    return _PAGE.format(
        title=escape(f"Lanecast probe of {report.url}"),
        style=_STYLE.read_text(encoding="utf-8"),
        when=when,
        version=escape(report.version),
        sections="".join(sections),
    )


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _notes(sentences: Iterable[str]) -> str:
    return "".join(f'<p class="soft">{escape(sentence)}</p>' for sentence in sentences)


def _verdict(report: Report) -> str:
    troubles = "".join(f'<li class="bad">{escape(trouble)}</li>' for trouble in report.troubles)
    return f"<p><strong>{escape(verdict(report))}</strong></p>" + (f"<ul>{troubles}</ul>" if troubles else "")


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>Nothing that was observed limits this server.</p>"
    return f"<ol>{''.join(map(_finding, findings))}</ol>"


def _finding(finding: Finding) -> str:
    seen = "".join(f"<li>{escape(line)}</li>" for line in finding.evidence)
    return (
        f"<li><strong>{escape(finding.sentence)}</strong><ul>{seen}</ul>"
        f"<p>Change: {escape(finding.setting)}<br>Effect: {escape(finding.effect)}</p></li>"
    )


def _ramp(load: Load) -> list[Step]:
    """By clients; of a number that was measured twice the second."""
    return [step for _, step in sorted({step.clients: step for step in load.ramp}.items())]


def _promises(load: Load) -> str:
    """What the slowest tenth of each kind took, as a share of what was promised."""
    series: dict[str, list[Point]] = {}
    for step in _ramp(load):
        for kind in step.kinds:
            if (share := share_percent(kind)) is not None:
                series.setdefault(kind.kind, []).append((step.clients, share))
    worst = dict(sorted(series.items(), key=lambda item: -max(share for _, share in item[1])))
    title = "p90 of the threshold, in percent, over the number of clients"
    knee = load.knee.clients or None
    return _figure(title, lines(title, worst, across="clients", limit=100, knee=knee, is_log=True))


def _server(load: Load) -> str:
    figures: dict[str, Callable[[Step], float]] = {
        "server": lambda step: step.server.cpu_percent,
        "probe": lambda step: step.own.cpu_percent,
        "probe's machine": lambda step: step.own.machine_percent,
    }
    ramp = _ramp(load)
    cpu = {name: [(step.clients, read(step)) for step in ramp] for name, read in figures.items()}
    sent = {"sent": [(step.clients, step.server.sent_rate) for step in ramp]}
    return "".join(
        _figure(title, lines(title, series, across="clients"))
        for title, series in (
            ("CPU, percent of a core (of the machine: of all)", cpu),
            ("messages sent a second", sent),
        )
    )


def _villains(load: Load) -> str:
    worst = [(step.name, worst_kind(step)) for step in (*load.villains, load.wave.step)]
    shares = [(name, (share_percent(kind) if kind else None) or 0.0) for name, kind in worst]
    title = "p90 of the worst kind, in percent of its threshold"
    return _figure(title, bars(title, shares, limit=100))


def _wave(load: Load) -> str:
    wave = load.wave
    return (
        f"<p>{wave.back} of {wave.clients} clients that were cut at the same moment were back within"
        f" {wave.seconds:.2f} s; one took {wave.p50_ms:.0f} ms (median) from dialling to its last"
        " subscription.</p>"
    )


def _steps(steps: Iterable[Step]) -> str:
    return _table(WIDE, step_rows(steps, WIDE))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="table" tabindex="0">{table}</div>'


def _cells(row: Sequence[str]) -> Iterator[str]:
    first, *others = row
    yield f'<th scope="row">{escape(first)}</th>'
    yield from (f"<td>{escape(cell)}</td>" for cell in others)


def _figure(title: str, svg: str) -> str:
    return f"<h3>{escape(title)}</h3>{svg}" if svg else ""
