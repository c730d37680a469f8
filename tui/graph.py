"""A row of text that shows how a figure went over the last minute.

Zero is drawn as a base line, never as nothing: an idle lane must not look like a missing one.
"""

from dataclasses import dataclass

_LEFT = (0x40, 0x44, 0x46, 0x47)
_RIGHT = (0x80, 0xA0, 0xB0, 0xB8)
_BRAILLE = 0x2800


@dataclass(frozen=True, slots=True)
class Graph:
    """Values, oldest first, drawn against `top`."""

    values: tuple[int, ...]
    top: int

    def draw(self, width: int) -> str:
        """Two values a cell, in braille; the newest last, the oldest left out where there is no room."""
        levels = [self._level(value) for value in self.values]
        if len(levels) % 2:
            levels.insert(0, 0)
        pairs = zip(levels[::2], levels[1::2], strict=True)
        cells = "".join(chr(_BRAILLE | _LEFT[left] | _RIGHT[right]) for left, right in pairs)
        return cells[-width:].ljust(width) if width > 0 else ""

    def _level(self, value: int) -> int:
        """0 for nothing only; the top and more than that are the highest."""
        highest = len(_LEFT) - 1
        return min(highest, -(-value * highest // max(self.top, 1)))


def gauge(fraction: float, width: int) -> str:
    """A bar of `width` cells, full at 1."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    bar = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
    return bar.ljust(width)
