"""Each kind of event: how many, and how late at p50 and p99 against what was promised.

The state is told by a sign and a word as well as by colour.
"""

from typing import ClassVar, Literal

from tui.figures import UNKNOWN, count_text, ms_text, rate_text
from tui.graph import gauge
from tui.model import Model, Part
from tui.reports import EndToEndReport, KindReport, StagesReport
from tui.table import Cell, Column, Row, Table, Tone

GAUGE_CELLS = 8
LATE_SHARE = 0.01
STAGES: tuple[Literal["wait_ms", "encode_ms", "write_ms"], ...] = ("wait_ms", "encode_ms", "write_ms")

_STATES = {
    "ok": ("●", "ok", Tone.GOOD),
    "warning": ("▲", "near", Tone.WARNING),
    "over": ("✖", "OVER", Tone.BAD),
    "none": ("·", "", Tone.DIM),
}


class KindsTable(Table):
    TITLE = "Kinds"
    SHOWS = frozenset({Part.HEALTH})
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("sign", "", 1),
        Column("kind", "kind", 0),
        Column("lane", "lane", 9, from_width=84),
        Column("count", "count", 9, is_number=True),
        Column("rate", "rate/s", 7, is_number=True),
        Column("p50", "p50 ms", 7, is_number=True),
        Column("p99", "p99 ms", 7, is_number=True),
        Column("worst", "worst", 7, is_number=True, from_width=104),
        Column("limit", "limit", 5, is_number=True),
        Column("used", "of limit", GAUGE_CELLS, from_width=92),
        Column("late", "late", 6, is_number=True),
        Column("budget", "left", 5, is_number=True),
        Column("e2e", "to client", 13, is_number=True, from_width=124),
        Column("stages", "wait/encode/write", 17, is_number=True, from_width=140),
        Column("state", "state", 5),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        """Those that have been seen first; the order is the server's otherwise."""
        if model.health is None:
            return []
        return [kind_row(kind) for kind in sorted(model.health["kinds"], key=lambda kind: not kind["count"])]


def kind_row(kind: KindReport) -> Row:
    """One line of the table."""
    sign, word, tone = _STATES.get(kind["state"], ("?", kind["state"], Tone.PLAIN))
    seen = Tone.PLAIN if kind["count"] else Tone.DIM
    limit, p99 = kind["threshold_ms"], kind["p99_ms"]
    return Row(
        kind["kind"],
        (
            Cell(sign, tone),
            Cell(kind["kind"], seen),
            Cell(kind["lane"] or "", Tone.DIM),
            Cell(count_text(kind["count"]), seen, kind["count"]),
            Cell(rate_text(kind["rate"]), seen, kind["rate"]),
            Cell(ms_text(kind["p50_ms"]), seen, kind["p50_ms"]),
            Cell(ms_text(p99), Tone.PLAIN if tone is Tone.DIM else tone, p99),
            Cell(ms_text(kind["worst_ms"]), Tone.DIM, kind["worst_ms"]),
            Cell(UNKNOWN if limit is None else f"{limit:g}", Tone.DIM, limit),
            _gauge(limit, p99, tone),
            Cell(count_text(kind["late"]), Tone.WARNING if kind["late"] else Tone.DIM, kind["late"]),
            _budget(kind),
            _end_to_end(kind["end_to_end"]),
            _stages(kind["stages"]),
            Cell(word, tone),
        ),
    )


def _budget(kind: KindReport) -> Cell:
    """How much is left of what may be late: the promise is a p99, so one in a hundred."""
    if kind["threshold_ms"] is None or not kind["count"]:
        return Cell("")
    left = 1 - kind["late"] / kind["count"] / LATE_SHARE
    return Cell(
        f"{max(0, left):.0%}", Tone.BAD if left <= 0 else Tone.WARNING if left < 0.5 else Tone.DIM, left
    )


def _end_to_end(report: EndToEndReport | None) -> Cell:
    """To the clients' hands, with its error."""
    if report is None or report["p99_ms"] is None:
        return Cell("")
    return Cell(f"{ms_text(report['p99_ms'])} ± {ms_text(report['error_ms'])}", Tone.PLAIN, report["p99_ms"])


def _stages(report: StagesReport | None) -> Cell:
    """Where the mean latency went."""
    if report is None:
        return Cell("")
    return Cell("/".join(ms_text(report[stage]) for stage in STAGES), Tone.DIM)


def _gauge(limit_ms: float | None, p99_ms: float | None, tone: Tone) -> Cell:
    if limit_ms is None or p99_ms is None:
        return Cell("", tone)
    used = p99_ms / limit_ms
    return Cell(gauge(used, GAUGE_CELLS), tone, round(used, 3))
