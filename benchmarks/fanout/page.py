"""The last full run, kept in `benchmarks/README.md` between two marks."""

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fanout.machine import describe_machine
from benchmarks.fanout.table import Table

PAGE = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- fanout: begin -->", "<!-- fanout: end -->"


def write_page(tables: Sequence[Table], plot: Path, minutes: float, loads: str) -> None:
    """Replace what stands between the marks."""
    page = PAGE.read_text() if PAGE.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{_text(tables, plot, minutes, loads)}\n{END}{after}")


def _text(tables: Sequence[Table], plot: Path, minutes: float, loads: str) -> str:
    when = time.strftime("%Y-%m-%d", time.gmtime())
    about = [f"{when}, {minutes:.0f} minutes; {loads}.", *describe_machine()]
    lines = [f"- {line}" for line in about]
    if plot.exists():
        lines += ["", f"![cost of a message and lateness of the immediate lane]({plot.name})"]
    for table in tables:
        lines += ["", table.markdown()]
    return "\n".join(lines)
