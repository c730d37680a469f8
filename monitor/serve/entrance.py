"""How connections come in: who listens where, and how many are taken from the kernel at a time.

What is taken has a task, and is run as soon as it speaks. So a wave of connects waits in the kernel:
they are taken in turns, with those who are in already, and more slowly while many have not spoken.
"""

import errno
import logging
import math
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import trio

from monitor.address import host_port
from monitor.descriptors import files_limit
from monitor.errors import ConfigError
from monitor.turn import Turn
from monitor.turnstile import SHARE_NS, Turnstile

_log = logging.getLogger("lanecast.entrance")

BACKLOG = 4_096
OUT_OF_DESCRIPTORS_SECONDS = 0.1
CALM_SECONDS = 10.0
"""Without a failure: a descriptor that is given back lets one connection in, and the next one fails again."""
SILENT_AT_ONCE = 128
"""Beyond them one is accepted a pause. Of a wave that was let in before it spoke a thousand spoke in one
pass of the loop, and took 8 ms to stand in line."""
SILENT_PAUSE_SECONDS = 0.001

Admit = Callable[[socket.socket, str], None]
"""Takes an accepted socket and its peer's address."""


class Entrance:
    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self._jam = _Jam()
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
                except OSError as error:
                    self._jam.note_failure(error)
                    await trio.sleep(OUT_OF_DESCRIPTORS_SECONDS)
                else:
                    self._jam.note_success()
                if self.silent >= SILENT_AT_ONCE:
                    await trio.sleep(SILENT_PAUSE_SECONDS)

    def _accept_some(self, listener: socket.socket, admit: Admit) -> None:
        """For a turn, until too many are silent, or until nobody is left; one at least. Raises OSError."""
        turn = Turn(SHARE_NS)
        is_over = False
        while not is_over:
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            admit(accepted, host_port(*address[:2]))
            is_over = turn.is_over or self.silent >= SILENT_AT_ONCE


class _Jam:
    """A time in which connections can't be accepted: told as it begins and as it ends, not each attempt."""

    def __init__(self) -> None:
        self._began = math.inf
        self._failed = -math.inf

    def note_failure(self, error: OSError) -> None:
        self._failed = trio.current_time()
        if self._began == math.inf:
            self._began = self._failed
            _log.error("no connection can be accepted, they wait in the kernel: %s", _describe(error))

    def note_success(self) -> None:
        if trio.current_time() - self._failed >= CALM_SECONDS and self._began < math.inf:
            _log.warning(
                "connections are accepted again: for %.1f s some of them had to wait",
                self._failed - self._began,
            )
            self._began = math.inf


def _describe(error: OSError) -> str:
    if error.errno != errno.EMFILE:
        return str(error)
    return (
        f"this process has the {files_limit()} open files that it may have:"
        " raise that limit (ulimit -n), or lower limits.connections"
    )


@asynccontextmanager
async def open_listeners(host: str, port: int) -> AsyncIterator[list[socket.socket]]:
    """Listening sockets on every address of the host, all on the same port; closed in the end.

    Raises:
        ConfigError: the host is unknown, or the port is taken.
    """
    with ExitStack() as opened:
        try:
            found = await trio.to_thread.run_sync(
                lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            )
            listeners = _listen(found, opened)
        except OSError as error:
            raise ConfigError(
                f"can't listen on host {host!r}, port {port}: {error.strerror or error};"
                " choose another with --port or --host"
            ) from None
        yield listeners


def _listen(found: Sequence[tuple[Any, ...]], opened: ExitStack) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    for family, kind, protocol_number, _, address in found:
        port = listeners[0].getsockname()[1] if listeners else address[1]
        listener = opened.enter_context(socket.socket(family, kind, protocol_number))
        listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address[0], port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    return listeners
