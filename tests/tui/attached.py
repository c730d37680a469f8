"""The real console on a real terminal, attached to a real server."""

from collections.abc import Iterator
from contextlib import contextmanager

from monitor.serve.tokens import make_token
from tests.serve.running import KEYS
from tests.terminal import ON_TERMINAL, Terminal, terminal

CONNECTED = "● connected"
"""On every view, whatever else has come up on it."""
NOT_CONNECTED = "not connected since"
QUIET = "port = 0\nlog_level = 'error'\nsimulator.enabled = false"
"""A server that does nothing by itself."""

FIRST_LISTS = ("Lanes", "Connections", "Channels", "Feeds", "Bots", "Alerts", "Since the start", "Log")
"""Of the views, in the order of their keys."""


@contextmanager
def console(
    url: str,
    size: tuple[int, int] = (80, 24),
    *flags: str,
    user: str = "console",
    start: str = ON_TERMINAL,
    **environment: str,
) -> Iterator[Terminal]:
    """Run `lanecast console` on a terminal of this size, as an operator."""
    token = make_token(KEYS.operator, user)
    arguments = ["monitor", "console", url, *flags]
    with terminal(arguments, size, start=start, LANECAST_OPERATOR_TOKEN=token, **environment) as screen:
        yield screen
