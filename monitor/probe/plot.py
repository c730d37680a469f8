"""Figures as SVG within a page: no script, nothing loaded, and every colour a class that the page decides.

Each series has a colour, a dash and its name in a legend, so that a printed or colour-blind reading works.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 168, 12, 44
SERIES = 8
"""Lines that a figure has at most: as many as there are colours."""
_BAR, _GAP, _LABEL = 18, 8, 150
_TICKS = (1, 2, 5)

Point = tuple[float, float]


class Scale:
    """From values to pixels, by powers of ten if they span many."""

    def __init__(self, values: Iterable[float], pixels: tuple[float, float], *, from_zero: bool) -> None:
        known = [value for value in values if value > 0] or [1.0]
        self.is_log = not from_zero
        low, high = (0.0, max(known)) if from_zero else (min(known), max(known))
        self._low = self._bend(low)
        self._span = self._bend(high) - self._low or 1.0
        self._pixels = pixels
        self.low, self.high = low, high

    def _bend(self, value: float) -> float:
        return math.log10(max(value, 1e-3)) if self.is_log else value

    def at(self, value: float) -> float:
        first, last = self._pixels
        share = (self._bend(value) - self._low) / self._span
        return round(first + (last - first) * min(1.0, max(0.0, share)), 1)

    def ticks(self) -> list[float]:
        if not self.is_log:
            step = round_step(self.high / 5)
            return [step * number for number in range(int(self.high / step + 1e-9) + 1)]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        ticks = [digit * 10.0**power for power in powers for digit in _TICKS]
        return [tick for tick in ticks if self.low <= tick <= self.high] or [self.low, self.high]


def round_step(least: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (*_TICKS, 10) if digit * power >= least * (1 - 1e-9))


def lines(
    title: str,
    series: Mapping[str, Sequence[Point]],
    *,
    across: str,
    limit: float | None = None,
    knee: float | None = None,
    is_log: bool = False,
) -> str:
    """Lines over a number of clients; `limit` is drawn across, `knee` upright. Points are sorted by x."""
    shown = dict(list(series.items())[:SERIES])
    points = [point for line in shown.values() for point in line]
    if not points:
        return ""
    x = Scale([at for at, _ in points], (LEFT, WIDTH - RIGHT), from_zero=False)
    heights = [value for _, value in points] + ([limit] if limit else [])
    y = Scale(heights, (HEIGHT - BOTTOM, TOP), from_zero=not is_log)
    body = [*_grid(x, y, across)]
    if limit is not None:
        body.append(f'<path class="limit" d="M{LEFT} {y.at(limit)}H{WIDTH - RIGHT}"/>')
    if knee is not None and x.low <= knee <= x.high:
        body.append(f'<path class="knee" d="M{x.at(knee)} {TOP}V{HEIGHT - BOTTOM}"/>')
        body.append(f'<text x="{x.at(knee) + 5}" y="{HEIGHT - BOTTOM - 6}">knee</text>')
    for number, (name, line) in enumerate(shown.items()):
        body += _line(number, name, [(x.at(at), y.at(value)) for at, value in line])
    return _svg(title, WIDTH, HEIGHT, body)


def _line(number: int, name: str, pixels: Sequence[Point]) -> Iterable[str]:
    yield f'<polyline class="s{number}" points="{" ".join(f"{x},{y}" for x, y in pixels)}"/>'
    yield from (f'<circle class="s{number}" cx="{x}" cy="{y}" r="2.5"/>' for x, y in pixels)
    at, left = TOP + 8 + 18 * number, WIDTH - RIGHT + 14
    yield f'<path class="s{number}" d="M{left} {at}h22"/>'
    yield f'<text x="{left + 28}" y="{at + 4}">{escape(name)}</text>'


def _grid(x: Scale, y: Scale, across: str) -> Iterable[str]:
    for tick in y.ticks():
        yield f'<path class="grid" d="M{LEFT} {y.at(tick)}H{WIDTH - RIGHT}"/>'
        yield f'<text class="y" x="{LEFT - 6}" y="{y.at(tick) + 4}">{short(tick)}</text>'
    for tick in x.ticks():
        yield f'<text class="x" x="{x.at(tick)}" y="{HEIGHT - BOTTOM + 18}">{short(tick)}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text class="x" x="{middle}" y="{HEIGHT - 8}">{escape(across)}</text>'


def bars(title: str, rows: Sequence[tuple[str, float]], *, limit: float) -> str:
    """One bar a row, with its value behind it; `limit` is drawn upright."""
    height = TOP + len(rows) * (_BAR + _GAP) + TOP
    x = Scale([*(value for _, value in rows), limit], (_LABEL, WIDTH - 90), from_zero=True)
    body = []
    for number, (name, value) in enumerate(rows):
        at = TOP + number * (_BAR + _GAP)
        look, width = "over" if value > limit else "bar", round(x.at(value) - _LABEL, 1)
        body += [
            f'<text class="y" x="{_LABEL - 8}" y="{at + 13}">{escape(name)}</text>',
            f'<rect class="{look}" x="{_LABEL}" y="{at}" width="{width}" height="{_BAR}"/>',
            f'<text x="{x.at(value) + 6}" y="{at + 13}">{short(value)}</text>',
        ]
    body.append(f'<path class="limit" d="M{x.at(limit)} {TOP / 2}V{height - TOP / 2}"/>')
    return _svg(title, WIDTH, height, body)


def _svg(title: str, width: int, height: int, body: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def short(value: float) -> str:
    """Three digits at most: 12.5, 850, 12k."""
    if value >= 10_000:
        return f"{value / 1_000:.3g}k" if value < 1e6 else f"{value / 1e6:.3g}M"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
