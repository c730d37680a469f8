"""Wakes a Trio task at a time as a message does: by a descriptor that turns readable.

Trio's own sleep wakes up to a millisecond late, since `epoll_wait` counts whole ones; no event of a
venue or a backend waits for that.
"""

import ctypes
import os
import time

import trio

_NS_PER_SECOND = 1_000_000_000
_ABSOLUTE = 1
"""`TFD_TIMER_ABSTIME` of timerfd_settime(2)."""


class _Setting(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("due_seconds", ctypes.c_long),
        ("due_ns", ctypes.c_long),
    )


class Alarm:
    """A timer of the kernel's (timerfd, Linux), for one task."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._library.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    async def wait_until(self, due: float) -> None:
        """Until the monotonic clock says `due`, in seconds; a checkpoint even if that is over."""
        setting = _Setting(0, 0, *divmod(round(due * _NS_PER_SECOND), _NS_PER_SECOND))
        if self._library.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(setting), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        await trio.lowlevel.wait_readable(self._descriptor)
        os.read(self._descriptor, 8)
