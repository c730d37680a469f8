"""The end of a server that has time: its clients leave one after another, and none that is behind first.

All at once they would all be back at once, at the server beside it or at its successor.
"""

from random import shuffle

import trio

from monitor.serve import protocol
from monitor.serve.registry import Registry
from monitor.serve.session import Session


async def drain(registry: Registry, seconds: float) -> None:
    """Say goodbye to all, spread over so many seconds; returns once they are gone, at the latest then.

    Who is behind is served on until it has caught up. Who is left in the end is left to the caller.
    """
    begun = trio.current_time()
    sessions = list(registry)
    shuffle(sessions)
    with trio.move_on_at(begun + seconds):
        async with trio.open_nursery() as nursery:
            for number, session in enumerate(sessions):
                await trio.sleep_until(begun + seconds * number / len(sessions))
                nursery.start_soon(_dismiss, session)
        await registry.wait_empty()


async def _dismiss(session: Session) -> None:
    await session.client.drain()
    session.disconnect(protocol.SHUTDOWN)
