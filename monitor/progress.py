"""How far a command is that takes more than a moment: on standard error, and only if that is a terminal.

Standard output is the result alone, so that a pipe or a file never has a bar in it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[], None]]:
    """A bar of so many steps; each call of what it yields is one of them."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield lambda: bar.update(1)
