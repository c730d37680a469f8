"""Each kind of event: how many, and how late at p50 and p99 against what was promised.

The state is told by a sign and a word as well as by colour.
"""

from typing import ClassVar, Literal

from tui.figures import UNKNOWN, count_text, ms_text, rate_text
from tui.graph import gauge
from tui.model import Model, Part
from tui.reports import EndToEndReport, KindReport, StagesReport, WorstClientReport
from tui.table import Cell, Column, Row, Table, Tone

GAUGE_CELLS = 8
ID_CELLS = 8
"""Of a client's id; enough to tell it from others, the whole one is on its page."""
LOW_BUDGET = 0.5
STAGES: tuple[Literal["wait_ms", "encode_ms", "write_ms"], ...] = ("wait_ms", "encode_ms", "write_ms")

_STATES = {
    "ok": ("●", "ok", Tone.GOOD),
    "warning": ("▲", "near", Tone.WARNING),
    "over": ("✖", "OVER", Tone.BAD),
    "none": ("·", "", Tone.DIM),
}
_URGENCY = {"over": 0, "warning": 1}


class KindsTable(Table):
    TITLE = "Kinds"
    SHOWS = frozenset({Part.HEALTH})
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("sign", "", 1),
        Column("kind", "kind", 0, most=40),
        Column("lane", "lane", 9, from_width=96),
        Column("count", "count", 9, is_number=True, from_width=112),
        Column("rate", "rate/s", 6, is_number=True),
        Column("p50", "p50 ms", 6, is_number=True),
        Column("p99", "p99 ms", 6, is_number=True),
        Column("worst", "worst", 6, is_number=True),
        Column("limit", "limit", 5, is_number=True),
        Column("used", "of limit", GAUGE_CELLS, from_width=104),
        Column("late", "late", 6, is_number=True, from_width=86),
        Column("budget", "budget", 6, is_number=True),
        Column("e2e", "to client", 13, is_number=True, from_width=136),
        Column("stages", "wait/encode/write", 17, is_number=True, from_width=150),
        Column("worst_client", "worst client", ID_CELLS + 8),
        Column("state", "state", 5, from_width=86),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        """Those in trouble first, then those that have been seen; the order is the server's otherwise."""
        return [kind_row(kind) for kind in sorted(model.health["kinds"], key=_rank)] if model.health else []


def _rank(kind: KindReport) -> tuple[int, bool]:
    return _URGENCY.get(kind["state"], len(_URGENCY)), not kind["count"]


def kind_row(kind: KindReport) -> Row:
    """One line of the table."""
    sign, word, tone = _STATES.get(kind["state"], ("?", kind["state"], Tone.PLAIN))
    seen = Tone.PLAIN if kind["count"] else Tone.DIM
    limit, p99 = kind["threshold_ms"], kind["p99_ms"]
    return Row(
        kind["kind"],
        (
            Cell(sign, tone, kind["state"]),
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
            _budget(kind["budget_left"]),
            _end_to_end(kind["end_to_end"]),
            _stages(kind["stages"]),
            _worst_client(kind["worst_client"]),
            Cell(word, tone),
        ),
    )


def _budget(left: float | None) -> Cell:
    """How much is left of what may be late within an hour."""
    if left is None:
        return Cell("")
    tone = Tone.BAD if left <= 0 else Tone.WARNING if left < LOW_BUDGET else Tone.DIM
    return Cell(f"{max(0.0, left):.0%}", tone, left)


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


def _worst_client(worst: WorstClientReport | None) -> Cell:
    """Who waited longest, and for what."""
    if worst is None:
        return Cell("")
    return Cell(f"{worst['client'][:ID_CELLS]} {worst['stage']}", Tone.DIM, worst["client"])


def _gauge(limit_ms: float | None, p99_ms: float | None, tone: Tone) -> Cell:
    if limit_ms is None or p99_ms is None:
        return Cell("", tone)
    used = p99_ms / limit_ms
    return Cell(gauge(used, GAUGE_CELLS), tone, round(used, 3))
