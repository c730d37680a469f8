"""Each screen as a whole: nobody changes how it looks without seeing it in a diff."""

from functools import cache

import pytest

from tests.tui.snapshots import FILES, SCREENS, SIZES, file_of, render_screens

screens = cache(render_screens)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_screen_looks_as_it_was_agreed(name: str, size: tuple[int, int]) -> None:
    shown = screens(size)[name]
    assert shown == file_of(name, size).read_text(), "if it is meant: python -m tests.tui.snapshots"
    assert all(len(line) <= size[0] for line in shown.splitlines())


def test_no_file_is_left_of_a_screen_that_has_gone() -> None:
    assert set(FILES.iterdir()) == {file_of(name, size) for name in SCREENS for size in SIZES}
