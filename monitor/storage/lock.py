"""One server a journal: who holds the lock file may write, everybody else is told who does.

The kernel lets go of it when the process ends, however it ends; so a file that was left behind
by a crash locks nobody out.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from monitor.errors import ConfigError


class JournalInUse(ConfigError):
    """Another server writes this journal."""


class Lock:
    """Taken with `take`, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        return self._descriptor is not None

    def take(self) -> None:
        """Take it, unless it is held already.

        Raises:
            JournalInUse: another process has it. OSError: the file can't be made.
        """
        if self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise JournalInUse(
                f"the journal in {self._path.parent} is written by another server (process {holder or '?'}):"
                " end that one, or give this one a --data-dir of its own"
            ) from None
        self._descriptor = descriptor
        # On a full disk it is held without a name in it.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
