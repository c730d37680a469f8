"""Textual's terminal driver, made to outlive its terminal.

When a terminal closes, the kernel sends SIGHUP and SIGCONT, and each write fails from then on.
Textual takes the SIGCONT for a resume, and its writer dies of the first failure; then the
program waits for that writer for ever, as a process nobody sees. Stopped (SIGTSTP) amid a write, it
waits for itself.
"""

import os
from contextlib import suppress
from threading import Thread
from typing import IO, Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

LOOK_SECONDS = 1.0


class Terminal(LinuxDriver):
    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self._file: Any = _Forgiving(self._file)

    def _sigtstp_application(self, *signal: Any) -> None:
        # Not here, in the midst of whatever runs: to hand over the screen takes the lock of what is
        # written, and where that is being written now its holder would wait for itself for ever.
        self._loop.call_soon_threadsafe(super()._sigtstp_application)

    def _sigcont_application(self, *signal: Any) -> None:
        if self._must_signal_resume:
            super()._sigcont_application(*signal)

    def run_input_thread(self) -> None:
        """Read keys until told to stop, or until the terminal is gone."""
        Thread(target=self._watch, name="terminal-watch", daemon=True).start()
        try:
            super().run_input_thread()
        except OSError:
            self._app.call_later(self._app.exit)

    def _watch(self) -> None:
        """Leave a terminal that is gone: who was only lent it gets no SIGHUP, and reads nothing for ever."""
        while not self.exit_event.wait(LOOK_SECONDS):
            if not os.isatty(self.fileno):
                self._app.call_later(self._app.exit)
                self.exit_event.set()


class _Forgiving:
    """A file that lets go in silence what can no longer be written."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()
