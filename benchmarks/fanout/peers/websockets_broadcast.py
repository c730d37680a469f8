"""asyncio `websockets.broadcast`; with `deflate` as argument, its default compression."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.fanout.peers.asyncio_turns import run_turns
from benchmarks.fanout.peers.turn import announce

_clients: set[ServerConnection] = set()


async def main(compression: str | None) -> None:
    async with serve(_keep, "127.0.0.1", 0, compression=compression, ping_interval=None) as server:
        announce(next(iter(server.sockets)).getsockname()[1])
        await run_turns(lambda text: broadcast(_clients, text))


async def _keep(client: ServerConnection) -> None:
    _clients.add(client)
    try:
        await client.wait_closed()
    finally:
        _clients.discard(client)


if __name__ == "__main__":
    asyncio.run(main("deflate" if "deflate" in sys.argv else None))
