"""A row of text that shows how a figure went over the last minute.

Zero is drawn as a base line, never as nothing: an idle lane must not look like a missing one.
"""

from dataclasses import dataclass

_BLOCKS = "▁▂▃▄▅▆▇█"
_BRAILLE_LEFT = (0x40, 0x44, 0x46, 0x47)
_BRAILLE_RIGHT = (0x80, 0xA0, 0xB0, 0xB8)
_BRAILLE = 0x2800


@dataclass(frozen=True, slots=True)
class Graph:
    """Values, oldest first, drawn against `top`."""

    values: tuple[int, ...]
    top: int

    def draw(self, width: int) -> str:
        """One value a cell where they fit, two in braille where they don't; the newest last."""
        if width >= len(self.values):
            return self._blocks().ljust(width)
        return self._braille()[-width:].ljust(width) if width > 0 else ""

    def _levels(self, steps: int) -> list[int]:
        """0 for nothing, then 1 to `steps - 1`."""
        top = max(self.top, 1)
        return [min(steps - 1, -(-value * (steps - 1) // top)) for value in self.values]

    def _blocks(self) -> str:
        return "".join(_BLOCKS[level] for level in self._levels(len(_BLOCKS)))

    def _braille(self) -> str:
        levels = self._levels(len(_BRAILLE_LEFT))
        if len(levels) % 2:
            levels.insert(0, 0)
        pairs = zip(levels[::2], levels[1::2], strict=True)
        return "".join(chr(_BRAILLE | _BRAILLE_LEFT[left] | _BRAILLE_RIGHT[right]) for left, right in pairs)


def gauge(fraction: float, width: int) -> str:
    """A bar of `width` cells, full at 1."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    bar = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
    return bar.ljust(width)
