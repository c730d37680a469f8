"""What the themes of our own promise, and that the one that was chosen comes back."""

import math
from itertools import combinations
from pathlib import Path

import pytest
from textual.color import Color
from textual.command import CommandPalette
from textual.theme import Theme

from tests.tui.screen import Screen, run
from tui.themes import THEMES, read_theme

VISIONS = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "no green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "no blue": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""What of linear red, green and blue is seen, as Machado, Oliveira and Fernandes (2009) have it."""
STATES = ("text-success", "text-warning", "text-error")
DISTINCT = 20
"""CIE76; from about 2 on a difference is noticed side by side."""


def linear(color: Color) -> list[float]:
    parts = (part / 255 for part in color.rgb)
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(color: Color) -> float:
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def lab(rgb: list[float]) -> tuple[float, float, float]:
    red, green, blue = (min(1.0, max(0.0, part)) for part in rgb)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    f, g, h = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * g - 16, 500 * (f - g), 200 * (g - h)


def seen(color: Color, vision: str) -> tuple[float, float, float]:
    parts = linear(color)
    return lab(
        [sum(weight * part for weight, part in zip(row, parts, strict=True)) for row in VISIONS[vision]]
    )


def colours(theme: Theme) -> dict[str, Color]:
    generated = theme.to_color_system().generate() | theme.variables
    return {name: Color.parse(generated[name]) for name in (*STATES, "background", "panel", "foreground")}


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_good_warning_and_bad_differ_for_every_vision(theme: Theme, vision: str) -> None:
    states = [seen(colours(theme)[name], vision) for name in STATES]
    assert min(math.dist(one, other) for one, other in combinations(states, 2)) >= DISTINCT


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_what_is_written_can_be_read(theme: Theme) -> None:
    found = colours(theme)
    for name in (*STATES, "foreground"):
        assert contrast(found[name], found["background"]) >= 4.5
        assert contrast(found[name], found["panel"]) >= 4.5


def test_theme_is_chosen_by_name_and_comes_back_with_the_next_console(tmp_path: Path) -> None:
    file = tmp_path / "state" / "theme"

    async def choose(screen: Screen) -> None:
        assert screen.app.theme == "textual-dark"
        await screen.press("colon", *"theme colour-blind-dark", "enter")
        assert screen.app.theme == "colour-blind-dark"

    async def see(screen: Screen) -> None:
        assert screen.app.theme == "colour-blind-dark"

    run(choose, theme_file=file)
    run(see, theme_file=file)


def test_key_and_command_offer_the_themes() -> None:
    async def story(screen: Screen) -> None:
        for keys in (["T"], ["colon", *"theme", "enter"]):
            await screen.press(*keys)
            assert isinstance(screen.app.screen, CommandPalette)
            await screen.press("escape")
        assert {"nord", "gruvbox", "textual-light", "colour-blind-light"} <= set(screen.app.available_themes)

    run(story)


def test_theme_that_is_gone_or_a_file_that_is_none_changes_nothing(tmp_path: Path) -> None:
    async def story(screen: Screen) -> None:
        assert screen.app.theme == "textual-dark"

    file = tmp_path / "theme"
    file.write_text("from-another-version\n")
    run(story, theme_file=file)
    file.write_bytes(b"\xff\xfe")
    run(story, theme_file=file)
    assert read_theme(tmp_path) == ""


def test_theme_that_can_not_be_kept_is_worn_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")

    async def story(screen: Screen) -> None:
        await screen.press("colon", *"theme nord", "enter")
        assert screen.app.theme == "nord"
        assert "can't be written" in next(iter(screen.app._notifications)).message

    run(story, theme_file=tmp_path / "state" / "theme")
