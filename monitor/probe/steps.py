"""The steps of the long test as a table: one set of columns for the terminal and for the page."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from monitor.probe.report import Heard, Step


def share_percent(kind: Heard) -> float | None:
    """The slowest tenth, by which a step is judged, beside the threshold; None where nothing is promised."""
    return None if kind.threshold_ms is None else 100 * kind.p90_ms / kind.threshold_ms


def worst_kind(step: Step) -> Heard | None:
    """The kind that comes nearest to its threshold, or is furthest beyond it."""
    promised = [kind for kind in step.kinds if kind.threshold_ms is not None]
    return max(promised, key=lambda kind: share_percent(kind) or 0, default=None)


def _worst(read: Callable[[Heard], str]) -> Callable[[Step], str]:
    """A column about that kind."""
    return lambda step: "-" if (kind := worst_kind(step)) is None else read(kind)


_COLUMNS: dict[str, Callable[[Step], str]] = {
    "step": lambda step: step.name,
    "clients": lambda step: str(step.clients),
    "not in": lambda step: str(sum(step.failures.values())),
    "cut": lambda step: str(sum(step.cut.values())),
    "worst kind": _worst(lambda kind: kind.kind),
    "p90 ms": _worst(lambda kind: f"{kind.p90_ms:.1f}"),
    "p99 ms": _worst(lambda kind: f"{kind.p99_ms:.1f}"),
    "promised": _worst(lambda kind: f"{kind.threshold_ms:g}"),
    "server CPU %": lambda step: f"{step.server.cpu_percent:.0f}",
    "loop lag ms": lambda step: "-" if step.server.lag_p99_ms is None else f"{step.server.lag_p99_ms:.1f}",
    "waiting": lambda step: str(step.server.depth),
    "MB": lambda step: f"{step.server.memory_bytes / 1e6:.1f}",
    "probe CPU %": lambda step: f"{step.own.cpu_percent:.0f}",
    "probe lag ms": lambda step: f"{step.own.lag_ms:.1f}",
    "machine %": lambda step: f"{step.own.machine_percent:.0f}",
}
WIDE = tuple(_COLUMNS)
BRIEF = ("step", "clients", "worst kind", "p90 ms", "promised", "server CPU %", "probe CPU %", "probe lag ms")
"""Those for which a terminal has room."""


def step_rows(steps: Iterable[Step], names: Sequence[str]) -> Iterator[list[str]]:
    """These columns of each step."""
    for step in steps:
        yield [_COLUMNS[name](step) for name in names]
