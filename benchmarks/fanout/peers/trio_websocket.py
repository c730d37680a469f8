"""trio-websocket, the obvious way: `send_message` to each client, in a nursery."""

import sys

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from benchmarks.fanout.peers.turn import Turn, announce, finish, read_turn

_clients: set[WebSocketConnection] = set()


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, _serve, "127.0.0.1", 0, None)
        announce(server.port)
        while True:
            await trio.lowlevel.wait_readable(sys.stdin)
            turn = read_turn()
            if turn is None:
                break
            await _send(turn)
            finish()
        nursery.cancel_scope.cancel()


async def _serve(request: WebSocketRequest) -> None:
    client = await request.accept()
    _clients.add(client)
    try:
        await client.get_message()
    except ConnectionClosed:
        pass
    finally:
        _clients.discard(client)


async def _send(turn: Turn) -> None:
    for wait_seconds, text in turn.texts():
        await trio.sleep(wait_seconds)
        async with trio.open_nursery() as nursery:
            for client in _clients:
                nursery.start_soon(client.send_message, text)


if __name__ == "__main__":
    trio.run(main)
