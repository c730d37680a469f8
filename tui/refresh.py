"""How often the screen is drawn: steps between four times a second and once in ten seconds.

The server's reports come four times a second, so more would show nothing new.
"""

REFRESH_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


def faster(seconds: float) -> float:
    """The next shorter time between two looks; the shortest stays."""
    return max((step for step in REFRESH_SECONDS if step < seconds), default=REFRESH_SECONDS[0])


def slower(seconds: float) -> float:
    """The next longer time between two looks; the longest stays."""
    return min((step for step in REFRESH_SECONDS if step > seconds), default=REFRESH_SECONDS[-1])


def refresh_text(seconds: float) -> str:
    """`4/s`, from two seconds on `2s`."""
    return f"{1 / seconds:.0f}/s" if seconds <= 1 else f"{seconds:.0f}s"
