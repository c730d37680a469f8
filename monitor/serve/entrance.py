"""How connections come in: who listens where, and how many are taken from the kernel at a time.

What is taken has a task, and is run as soon as it speaks. So a wave of connects waits in the kernel:
they are taken in turns, with those who are in already, and more slowly while many have not spoken.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

import trio

from monitor.errors import ConfigError
from monitor.serve.turn import SHARE_NS, Turn, Turnstile

_log = logging.getLogger("lanecast.entrance")

BACKLOG = 4_096
OUT_OF_DESCRIPTORS_SECONDS = 0.1
SILENT_AT_ONCE = 128
"""Beyond them one is accepted a pause. Of a wave that was let in before it spoke a thousand spoke in one
pass of the loop, and took 8 ms to stand in line."""
SILENT_PAUSE_SECONDS = 0.001

Admit = Callable[[socket.socket, str], None]
"""Takes an accepted socket and its peer's address."""


class Entrance:
    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self.silent = 0
        """Connections that have not said anything yet, as who admits them counts them."""

    async def accept(self, listener: socket.socket, admit: Admit) -> None:
        """Let connections in until cancelled, then close the listener."""
        with listener:
            while True:
                await trio.lowlevel.wait_readable(listener)
                await self._turnstile.enter()
                try:
                    self._accept_some(listener, admit)
                except BlockingIOError:
                    continue
                except OSError as error:
                    _log.warning("can't accept a connection: %s; trying again", error)
                    await trio.sleep(OUT_OF_DESCRIPTORS_SECONDS)
                if self.silent >= SILENT_AT_ONCE:
                    await trio.sleep(SILENT_PAUSE_SECONDS)

    def _accept_some(self, listener: socket.socket, admit: Admit) -> None:
        """For a turn, or until too many are silent; one at least. Raises OSError."""
        turn = Turn(SHARE_NS)
        is_over = False
        while not is_over:
            accepted, address = listener.accept()
            admit(accepted, _address(address))
            is_over = turn.is_over or self.silent >= SILENT_AT_ONCE


def _address(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of the host, all on the same port.

    Raises:
        ConfigError: the host is unknown, or the port is taken.
    """
    try:
        found = await trio.to_thread.run_sync(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        )
        return _listen(found)
    except OSError as error:
        raise ConfigError(
            f"can't listen on host {host!r}, port {port}: {error.strerror or error};"
            " choose another with --port or --host"
        ) from None


def _listen(found: Sequence[tuple[Any, ...]]) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    for family, kind, protocol_number, _, address in found:
        port = listeners[0].getsockname()[1] if listeners else address[1]
        listener = socket.socket(family, kind, protocol_number)
        listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address[0], port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    return listeners
