"""Who is let in: so many clients in all, of one address and of one user, and so many handshakes a second;
and how much those of one address are answered a second, who ask for histories say.

Who is refused before the upgrade is told by HTTP when to come again. An IPv6 host has a whole /64 to
come from. The tools of this machine open thousands of connections, so loopback is exempt from what
counts by address, unless that setting is set.
"""

from collections import Counter
from functools import lru_cache
from ipaddress import ip_network

from monitor.address import host_of, read_address
from monitor.config import Limits
from monitor.health.health import Totals
from monitor.serve import protocol
from monitor.serve.http import RETRY_LATER, HttpError
from monitor.serve.protocol import CommandError, Disconnect
from monitor.serve.registry import Registry
from monitor.serve.tokens import Claims
from monitor.serve.window import Rates

LOOPBACK = "loopback"
SOCKETS_BESIDE = 256
"""Of an address, besides those of its clients: for pages, and for who has said nothing yet. It is half of
what the front door has to spare, so the other half is for other addresses, and for backends."""
_SOON = (("Retry-After", "1"),)


class Admission:
    def __init__(self, limits: Limits, registry: Registry, totals: Totals) -> None:
        self._limits = limits
        self._registry = registry
        self._totals = totals
        self._handshakes = Rates(limits.handshakes_per_second)
        self._answers = Rates(limits.answer_bytes_per_second)
        self._sockets = Counter[str]()
        """By place, those that are counted."""

    def open_socket(self, address: str) -> bool:
        """Count a socket of an address; False if it has enough, whatever this one is for."""
        where, setting = neighbourhood(address), "connections_per_address"
        clients = min(self._limits.connections_per_address, self._limits.connections)
        if self._is_counted(where, setting):
            if self._sockets[where] >= clients + SOCKETS_BESIDE:
                self._totals.refused[setting] += 1
                return False
            self._sockets[where] += 1
        return True

    def close_socket(self, address: str) -> None:
        """One that was counted is gone."""
        where = neighbourhood(address)
        if self._sockets[where] <= 1:
            del self._sockets[where]
        else:
            self._sockets[where] -= 1

    def check_address(self, address: str) -> None:
        """Count a handshake of an address. Raises HttpError 429 or 503 if there is no room for it."""
        limits, where = self._limits, neighbourhood(address)
        if self._is_counted(where, "handshakes_per_second") and not self._handshakes.take(where):
            raise HttpError(
                429,
                f"{limits.handshakes_per_second} handshakes a second from {where}, the limit"
                " (limits.handshakes_per_second)",
                _SOON,
                cause="handshakes_per_second",
            )
        if len(self._registry) >= limits.connections:
            raise HttpError(
                503,
                f"{limits.connections} clients are connected, the limit (limits.connections)",
                RETRY_LATER,
                cause="connections",
            )
        is_counted = self._is_counted(where, "connections_per_address")
        if is_counted and self._registry.count_at(where) >= limits.connections_per_address:
            raise HttpError(
                429,
                f"{limits.connections_per_address} clients are connected from {where}, the limit"
                " (limits.connections_per_address)",
                RETRY_LATER,
                cause="connections_per_address",
            )

    def check_user(self, claims: Claims) -> None:
        """Raises Disconnect if a user is connected as often as he may be; the anonymous and operators may."""
        if not claims.user or claims.is_operator:
            return
        if len(self._registry.of_user(claims.user)) >= self._limits.connections_per_user:
            self._totals.refused["connections_per_user"] += 1
            raise Disconnect(protocol.CONNECTION_LIMIT)

    def check_answers(self, address: str) -> None:
        """Raises CommandError 111 as long as an address has been answered more than it may be."""
        where, setting = neighbourhood(address), "answer_bytes_per_second"
        if self._is_counted(where, setting) and not self._answers.add(where, 0):
            self._totals.refused[setting] += 1
            raise CommandError(protocol.TOO_MANY_REQUESTS)

    def count_answer(self, address: str, size_bytes: int) -> None:
        """So much was read to answer an address, or said to it."""
        where = neighbourhood(address)
        if self._is_counted(where, "answer_bytes_per_second"):
            self._answers.add(where, size_bytes)

    def _is_counted(self, where: str, setting: str) -> bool:
        return where != LOOPBACK or setting in self._limits.model_fields_set


def neighbourhood(address: str) -> str:
    """What counts as one place: an IPv4 address, an IPv6 network of 64 bits, or this machine itself."""
    return _place(host_of(address))


@lru_cache(4_096)
def _place(host: str) -> str:
    address = read_address(host)
    if address.is_loopback:
        return LOOPBACK
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
