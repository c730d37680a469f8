import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from monitor.control import Control
from monitor.errors import ConfigError
from monitor.reload import LOOK_SECONDS, Reloads


class Recipe:
    """Something read from a file; a file that says `bad` can't be used."""

    name = "recipe"

    def __init__(self, path: Path) -> None:
        self.files: Sequence[Path] = (path,)
        self.text = ""
        self.loads = 0

    def load(self) -> None:
        self.loads += 1
        text = self.files[0].read_text()
        if text == "bad":
            raise ConfigError(f"{self.files[0]} is bad")
        self.text = text


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "recipe").write_text("first")
    return Recipe(tmp_path / "recipe")


@pytest.mark.trio
async def test_file_is_read_again_once_for_each_change_and_when_that_is_wanted(
    recipe: Recipe, autojump_clock: MockClock
) -> None:
    reloads = Reloads({}, [recipe])
    async with trio.open_nursery() as nursery:
        control = Control()
        nursery.start_soon(reloads.run, control)
        await trio.sleep(5 * LOOK_SECONDS)
        assert recipe.loads == 0
        recipe.files[0].write_text("second")
        await trio.sleep(5 * LOOK_SECONDS)
        assert (recipe.text, recipe.loads) == ("second", 1)
        os.utime(recipe.files[0], ns=(0, 0))
        await trio.sleep(5 * LOOK_SECONDS)
        assert recipe.loads == 2
        control.reload()
        await trio.testing.wait_all_tasks_blocked()
        assert recipe.loads == 3
        nursery.cancel_scope.cancel()


def test_bad_file_changes_nothing_and_is_a_trouble_until_it_is_mended(recipe: Recipe) -> None:
    troubles: dict[str, str] = {}
    reloads = Reloads(troubles, [recipe])
    reloads.load_all()
    recipe.files[0].write_text("bad")
    reloads.load_all()
    assert recipe.text == "first"
    assert troubles == {"recipe": f"{recipe.files[0]} is bad; going on with the recipe from before"}
    recipe.files[0].write_text("good")
    reloads.load_all()
    assert (recipe.text, troubles) == ("good", {})
