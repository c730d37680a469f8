"""What a running server can be told from outside: to read its files again, and to end.

It is made before the server, so that a signal that comes early is not lost.
"""

import logging
import signal
import sys

import trio

_log = logging.getLogger("lanecast")


class Control:
    """Two wishes, and who wants to know of them."""

    def __init__(self) -> None:
        self.ending = trio.Event()
        """Set once the server is to end, with time for its clients."""
        self._reload = trio.Event()

    def reload(self) -> None:
        """Have every file read again."""
        self._reload.set()

    async def reload_wanted(self) -> None:
        """Wait until it is; a wish that came before counts."""
        await self._reload.wait()
        self._reload = trio.Event()


async def heed_signals(control: Control, scope: trio.CancelScope) -> None:
    """Tell the server what signals mean, until cancelled.

    SIGTERM ends it with time for its clients, a second one and SIGINT at once, by the scope. SIGHUP
    has the files read again, unless it tells that the terminal is gone: nobody is left to end it then.
    """
    had_terminal = sys.stdin.isatty()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for number in signals:
            name = signal.Signals(number).name
            if number == signal.SIGHUP and had_terminal == sys.stdin.isatty():
                _log.info("%s: reading the files again", name)
                control.reload()
            elif number == signal.SIGTERM and not control.ending.is_set():
                _log.info("%s: ending", name)
                control.ending.set()
            else:
                _log.info("%s: ending at once", name)
                scope.cancel()
