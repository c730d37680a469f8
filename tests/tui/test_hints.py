"""The line at the foot: what it tells, and what a click on it does."""

from tests.tui.screen import Screen, run
from tui.help import HelpScreen
from tui.panels.hints import Hints
from tui.screens.connection import ConnectionView


def foot(screen: Screen) -> str:
    return screen.text().splitlines()[-1]


def test_click_on_a_hint_is_its_key() -> None:
    async def story(screen: Screen) -> None:
        await screen.pilot.click(Hints, offset=(foot(screen).index("? Help"), 0))
        await screen.draw()
        assert isinstance(screen.app.screen, HelpScreen)

    run(story)


def test_hints_are_those_of_the_view_and_of_what_has_the_keys() -> None:
    async def story(screen: Screen) -> None:
        assert foot(screen).startswith(" ⏎ Open  : Go to  / Filter  a Account  ? Help")
        await screen.press("6")
        assert "a Acknowledge  z Silence" in foot(screen)
        await screen.press("slash")
        assert "⏎ Open" not in foot(screen)

    run(story)


def test_hint_that_does_not_fit_whole_is_left_out() -> None:
    async def story(screen: Screen) -> None:
        await screen.press("2", "enter")
        assert isinstance(screen.app.screen, ConnectionView)
        assert foot(screen).endswith("m Ladder  b Budget")

    run(story, (64, 24))
