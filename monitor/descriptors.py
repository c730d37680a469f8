"""For how many sockets this process has room, and that the room is there before they come.

A shell often allows 1,024. And the kernel doubles a process's table of descriptors whenever it is
full; where there are threads it waits for all processors first. So the loop stood still for 10 to
17 ms at the 256th connection, at the 512th, and so on, each time in the midst of a wave of them.
"""

import fcntl
import os
import resource
import sys
from contextlib import suppress

OTHERS = 128
"""Files, pipes and sockets beside those that are counted."""


def allow_sockets(count: int) -> int:
    """Let this process have so many, if the system does; returns how many it may have of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = min(count + OTHERS, _finite(hard))
    if allowed > _finite(soft):
        # The hard limit may promise what a limit of the kernel (on macOS) or a sandbox refuses.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return min(allowed, files_limit()) - OTHERS


def files_limit() -> int:
    """How many open files this process may have."""
    return _finite(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def make_room(count: int) -> int:
    """Have the kernel's table as long as it will get; returns how many sockets there may be."""
    allowed = allow_sockets(count)
    with open(os.devnull, "rb") as anything, suppress(OSError):
        os.close(fcntl.fcntl(anything, fcntl.F_DUPFD_CLOEXEC, allowed + OTHERS - 1))
    return allowed


def _finite(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
