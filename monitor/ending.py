"""How a command ends: an exit status, and one sentence for what went wrong.

Exit 2 is the user's to mend (a flag, a setting, a file, a port that is taken), exit 1 is the
world's (no server answers). A reader who leaves, as `head` does, is no error of anybody's.
"""

import errno
import os
import select
import sys
from collections.abc import Iterator

import click

from monitor.errors import ConfigError, LanecastError

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
UNREAD = 141
"""Exit status of what prints to a reader who has left, as `head` does; as shells have it, too."""

_EXPECTED = (LanecastError, click.ClickException, click.Abort, KeyboardInterrupt)
"""Everything else is a mistake of ours and keeps its traceback."""

_UNPRINTED = (BrokenPipeError, SystemExit)
"""What printing to nobody raises, and what click makes of it."""


def run_to_the_end(command: click.Command) -> int:
    """Run what was typed and return the exit status; what goes wrong is said on standard error."""
    try:
        status = command.main(prog_name="lanecast", standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
    except BaseException as error:
        leaves = list(_leaves(error))
        if all(isinstance(leaf, _UNPRINTED) for leaf in leaves) and _reader_has_left():
            _print_no_more()
            return UNREAD
        if not all(_is_expected(leaf) for leaf in leaves):
            raise
        return max(_complain(leaf) for leaf in leaves)
    return status if isinstance(status, int) else 0


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Take Trio's exception groups apart: one wrong setting is one sentence however deep it was found."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _reader_has_left() -> bool:
    """Whether it was standard output that broke, and not the socket of a server."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _print_no_more() -> None:
    """What is still to be written would fail once more as Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _is_expected(error: BaseException) -> bool:
    return isinstance(error, _EXPECTED) or _is_full(error)


def _is_full(error: BaseException) -> bool:
    """Whether a disk is, and so most likely that of the file into which we print."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _complain(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        # The help of a group of commands, none of which was named.
        click.echo(error.format_message(), err=True)
        return 2
    for line in _sentences(error).splitlines():
        click.echo(f"lanecast: {line}", err=True)
    return 2 if isinstance(error, ConfigError | click.ClickException) else 1


def _sentences(error: BaseException) -> str:
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        _print_no_more()
        return f"{error.filename or 'the output'} can't be written: {error.strerror}"
    return str(error)


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lanecast"
    return f"{message[:1].lower()}{message[1:].rstrip('.')}; see {command} --help"
