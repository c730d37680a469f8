"""How long a test waits for what must happen: one bound, well above what a busy machine takes."""

from collections.abc import Callable

import trio

PATIENCE_SECONDS = 30
"""More than the time between two pings, which a jumping clock skips."""
_LOOK_SECONDS = 0.005


async def until(claim: Callable[[], object]) -> None:
    """Wait until it holds, of what has no event to wait for."""
    with trio.fail_after(PATIENCE_SECONDS):
        while not claim():  # noqa: ASYNC110 - as it says
            await trio.sleep(_LOOK_SECONDS)
