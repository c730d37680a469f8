"""How much memory this process has in use, and giving back what it has not.

What a process holds is not what it uses: Python and the C library keep what was freed, in pieces between what
was not. So it grows with the greatest crowd so far, and hides a leak for as long as the pieces are enough.
"""

import ctypes
import os
import re
import sys
import tempfile
import tracemalloc

_LIBC = ctypes.CDLL(None)
_PYTHON_BYTES = re.compile(rb"# bytes in allocated blocks\s*=\s*([\d,]+)")


class _Mallinfo(ctypes.Structure):
    """Glibc's `struct mallinfo2`, of all its arenas together."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


_LIBC.mallinfo2.restype = _Mallinfo


def used_bytes() -> int:
    """What is allocated and not freed: small objects by Python, the rest by the C library.

    While Python traces its memory, what was allocated since: it has no other figure then.
    """
    if tracemalloc.is_tracing():
        return tracemalloc.get_traced_memory()[0]
    large = _LIBC.mallinfo2()
    return int(large.uordblks + large.hblkhd) + _small_bytes()


def give_back_free() -> None:
    """Return to the system what the C library keeps free, as far as it is whole pages."""
    _LIBC.malloc_trim(0)


def _small_bytes() -> int:
    """Python tells only its standard error."""
    with tempfile.TemporaryFile() as told:
        standard_error = os.dup(2)
        os.dup2(told.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
        told.seek(0)
        found = _PYTHON_BYTES.search(told.read())
    assert found is not None, "Python has its own allocator for small objects"
    return int(found[1].replace(b",", b""))
