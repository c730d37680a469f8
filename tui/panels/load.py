"""What goes through the server and what that costs it."""

from collections.abc import Sequence

from tui.figures import UNKNOWN, bytes_text, count_text, ms_text, rate_text
from tui.model import Model, Part
from tui.panels.facts import Fact, Facts
from tui.reports import HealthReport, JournalReport
from tui.table import Tone

_KNOBS = {
    "tick_ms": "tick",
    "tick_messages": "batch",
    "compression_from_bytes": "deflate ≥",
    "compression_level": "level",
}
"""What tuning moves, in words for which there is room."""


class LoadFacts(Facts):
    TITLE = "Load"
    SHOWS = frozenset({Part.HEALTH})

    def facts(self, model: Model, now: float) -> Sequence[Fact]:
        return load_facts(model.health) if model.health else ()


def load_facts(health: HealthReport) -> list[Fact]:
    """Throughput, then what it costs."""
    rates, totals, loop, process = health["rates"], health["totals"], health["loop"], health["process"]

    def loss(rate: float, total: int, tone: Tone) -> tuple[str, Tone]:
        return f"{rate_text(rate)}/s, {count_text(total)} in all", tone if rate else Tone.DIM

    return [
        Fact("in, out", f"{rate_text(rates['published'])}/s, {rate_text(rates['sent'])}/s", Tone.STRONG),
        Fact("bytes", f"{bytes_text(rates['bytes'])}/s"),
        Fact("merged", *loss(rates["merged"], totals["merged"], Tone.PLAIN)),
        Fact("dropped", *loss(rates["dropped"], totals["dropped"], Tone.WARNING)),
        Fact("failed", f"{count_text(totals['failed'])} of {count_text(totals['connections'])} connects"),
        Fact("loop lag", f"{ms_text(loop['lag_p99_ms'])} ms, at most {ms_text(loop['lag_max_ms'])}"),
        Fact("process", f"{process['cpu_percent']:.0f} % cpu, {bytes_text(process['memory_bytes'])}"),
        Fact("compressed", _ratios(health)),
        _journal(health["journal"]),
        Fact("tuning", _tuning_text(health)),
    ]


def _ratios(health: HealthReport) -> str:
    """How many times shorter each encoding in use makes what it carries."""
    used = [
        f"{entry['encoding']} {entry['ratio']:.1f}x"
        for entry in health["encodings"]
        if entry["ratio"] and entry["encoding"] != "plain"
    ]
    return ", ".join(used) or UNKNOWN


def _journal(journal: JournalReport) -> Fact:
    """With how long it takes at p99 to keep what it is given."""
    if journal["state"] == "not_durable":
        return Fact("journal", "keeps nothing: see alerts", Tone.BAD)
    commit_ms = journal["commit_p99_ms"]
    return Fact("journal", journal["state"] + (f", commit {ms_text(commit_ms)} ms" if commit_ms else ""))


def _tuning_text(health: HealthReport) -> str:
    """With the last step that it took; why it did is in the log."""
    tuning = health["tuning"]
    state = "on" if tuning["on"] else "off"
    if not tuning["steps"]:
        return f"{state}, tick {tuning['cadence']['tick_ms']:g} ms"
    step = tuning["steps"][0]
    return f"{state}, {_KNOBS.get(step['knob'], '?')} {step['before']} → {step['after']} {step['outcome']}"
