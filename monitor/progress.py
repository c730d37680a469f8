"""How far a command is that takes more than a moment: on standard error, and only if that is a terminal.

Standard output is the result alone, so that a pipe or a file never has a bar in it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat

import click


@contextmanager
def progress(label: str, length: int | None = None) -> Iterator[Callable[[], None]]:
    """A bar of so many steps, or one that only shows that it goes on; what it yields is called for each."""
    hidden = not sys.stderr.isatty()
    steps = range(length) if length else repeat(None)
    with click.progressbar(steps, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield lambda: bar.update(1)
