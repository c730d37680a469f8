"""socketify (uWebSockets, C++): `publish` to a topic that all clients are subscribed to.

Its `run` polls libuv from asyncio and burns a core while idle, so libuv's own loop runs here and its
timers pace the turns: that is what the C++ below can do.
"""

import queue
import socket
import sys
import threading
from collections.abc import Iterator

from socketify import App, OpCode, WebSocket

from benchmarks.fanout.peers.turn import Turn, announce, finish

_IDLE_LOOK_MS = 20


def main() -> None:
    app = App()
    app.ws("/*", {"open": _open, "idle_timeout": 0, "send_pings_automatically": False})
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app.listen({"host": "127.0.0.1", "port": port}, lambda _: announce(port))
    turns = _Turns(app)
    threading.Thread(target=turns.read, daemon=True).start()
    turns.look(None)
    app.loop.uv_loop.run()


def _open(client: WebSocket) -> None:
    client.subscribe("all")


class _Turns:
    def __init__(self, app: App) -> None:
        self._app = app
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._texts: Iterator[tuple[float, str]] = iter(())
        self._text = ""
        self._timer: object = None

    def read(self) -> None:
        """In a thread that does nothing but wait."""
        while line := sys.stdin.readline():
            self._lines.put(line)
        self._lines.put("")

    def look(self, _: object) -> None:
        """Whether there is a turn to take."""
        if self._lines.empty():
            self._after(_IDLE_LOOK_MS, self.look)
        elif not (line := self._lines.get()):
            self._app.loop.uv_loop.stop()
        else:
            self._texts = Turn.read(line).texts()
            self._next()

    def _next(self) -> None:
        if (found := next(self._texts, None)) is None:
            finish()
            self._after(_IDLE_LOOK_MS, self.look)
        else:
            wait_seconds, self._text = found
            self._after(max(1, round(wait_seconds * 1_000)), self._send)

    def _send(self, _: object) -> None:
        self._app.publish("all", self._text, OpCode.TEXT)
        self._next()

    # A timer of 0 ms runs in the same turn of libuv, and uWebSockets would send both messages as one.

    def _after(self, milliseconds: int, action: object) -> None:
        self._timer = self._app.loop.uv_loop.create_timer(milliseconds, 0, action, None)


if __name__ == "__main__":
    main()
