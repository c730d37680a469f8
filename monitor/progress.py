"""How far a command is that takes more than a moment: on standard error, and only if that is a terminal.

Standard output is the result alone, so that a pipe or a file never has a bar in it; and what is printed
line by line on the same terminal is its own progress.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat

import click


@contextmanager
def progress(
    label: str, length: int | None = None, *, prints_lines: bool = False
) -> Iterator[Callable[[], None]]:
    """A bar of so many steps, or one that only shows that it goes on; what it yields is called for each."""
    hidden = not sys.stderr.isatty() or (prints_lines and sys.stdout.isatty())
    steps = range(length) if length else repeat(None)
    with click.progressbar(steps, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield lambda: bar.update(1)
