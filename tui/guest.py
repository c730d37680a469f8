"""Trio as a guest on asyncio's loop, because Textual owns the loop and the main thread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
from outcome import Outcome


@asynccontextmanager
async def run_guest(
    run: Callable[[], Awaitable[None]], on_end: Callable[[], object]
) -> AsyncIterator[trio.lowlevel.TrioToken]:
    """Run Trio for the block; leaving cancels it, waits for its end and raises what it raised.

    `on_end` is called when it ends by itself, so that a crash ends the host as well.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Outcome[None]] = loop.create_future()
    scope = trio.CancelScope()

    async def cancellable() -> None:
        with scope:
            await run()

    trio.lowlevel.start_guest_run(
        cancellable,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        run_sync_soon_not_threadsafe=loop.call_soon,
        done_callback=ended.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    token = trio.lowlevel.current_trio_token()
    ended.add_done_callback(lambda _: scope.cancel_called or on_end())
    try:
        yield token
    finally:
        if not ended.done():
            token.run_sync_soon(scope.cancel)
        (await ended).unwrap()
