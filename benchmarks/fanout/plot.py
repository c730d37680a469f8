"""The picture beside the table: what a message costs, and how late it is; matplotlib is optional."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fanout.cost import LANECAST, LARGE, SMALL, Costs
from benchmarks.fanout.lanes import LaneFigures
from benchmarks.fanout.peers.catalogue import BARE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _THEIRS = "#0f766e", "#94a3b8"
_OURS_LARGE, _THEIRS_LARGE = "#5eead4", "#cbd5e1"


def draw(costs: Costs, lanes: LaneFigures, target: Path) -> str:
    """Write the picture; returns why not, if not."""
    if importlib.util.find_spec("matplotlib") is None:
        return "no plot: pip install matplotlib"
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "lanecast", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10, 4.2), width_ratios=(3, 2), layout="constrained"
    )
    _draw_costs(left, costs)
    _draw_lateness(right, lanes)
    figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
    return ""


def _draw_costs(axes: "Axes", costs: Costs) -> None:
    names = [name for name in costs.contenders if SMALL in costs.contenders[name].us]
    names.sort(key=lambda name: costs.us(name, SMALL), reverse=True)
    places = range(len(names))
    sizes = ((SMALL, 0.2, _OURS, _THEIRS), (LARGE, -0.2, _OURS_LARGE, _THEIRS_LARGE))
    for size, shift, ours, theirs in sizes:
        ratios = [costs.ratio(name, BARE, size) or 0.0 for name in names]
        colors = [ours if name.startswith(LANECAST) else theirs for name in names]
        bars = axes.barh([place + shift for place in places], ratios, 0.38, color=colors)
        axes.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=2, fontsize=7)
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_yticks(places, names)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_title(
        f"server CPU of a delivered message, times the bare Python loop\n"
        f"{costs.clients:,} clients, {SMALL} bytes (dark) and {LARGE:,} (light)",
        fontsize=9,
    )


def _draw_lateness(axes: "Axes", lanes: LaneFigures) -> None:
    states = (
        ("bare Python loop", lanes.bare, _THEIRS_LARGE),
        ("alone", lanes.alone, _THEIRS),
        ("lower lanes flat out", lanes.flooded, _OURS),
    )
    for name, lateness, color in states:
        values = sorted(lateness.last_ms)
        shares = [(number + 1) / len(values) * 100 for number in range(len(values))]
        axes.step(values, shares, color=color, label=name)
    axes.axhline(99, color="black", linewidth=0.6, linestyle=":")
    axes.set_xlabel("ms from due to the last client")
    axes.set_ylabel("% of messages")
    axes.set_xlim(left=0)
    axes.legend(frameon=False, loc="lower right")
    axes.set_title("immediate lane", fontsize=9)
