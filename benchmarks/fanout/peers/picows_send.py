"""picows (Cython) on uvloop: `send` to each client."""

import picows
import uvloop

from benchmarks.fanout.peers.asyncio_turns import run_turns
from benchmarks.fanout.peers.turn import announce

_clients: set[picows.WSTransport] = set()


class _Listener(picows.WSListener):
    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        _clients.add(transport)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        _clients.discard(transport)


def _send(text: str) -> None:
    message = text.encode()
    for client in _clients:
        client.send(picows.WSMsgType.TEXT, message)


async def main() -> None:
    server = await picows.ws_create_server(lambda _: _Listener(), "127.0.0.1", 0, backlog=4_096)
    announce(server.sockets[0].getsockname()[1])
    await run_turns(_send)


if __name__ == "__main__":
    uvloop.run(main())
