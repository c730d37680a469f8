"""Which names this server answers to, and which web pages may talk to it.

A page of any site can open a WebSocket to any address, and with a name of its own that it points
at 127.0.0.1 (DNS rebinding) even read the answers. So a browser's `Origin` must be this server's
own or a listed one, and `Host` a name that nobody else can point here.
"""

import ipaddress
import logging
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from monitor.serve.http import HttpError

_log = logging.getLogger("lanecast.front")

ANY = "*"
ORIGINS_LOGGED = 100
"""Different ones, from the start on, once each: anybody may send any."""
ORIGIN_SHOWN = 200
"""Characters."""


class Origins:
    """The names and the pages that the settings let in."""

    def __init__(self, bound_host: str, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._hosts = {bound_host.lower(), *(name.lower() for name in hosts)}
        self._origins = {origin.lower() for origin in origins}
        self._refused: set[str] = set()
        """Those that were logged."""

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Raise HttpError 421 for a name that this server was not told is its own."""
        host = headers.get("host", "").lower()
        if host and not self._is_own(_name(host)):
            raise HttpError(421, f"host {host!r} is not a name of this server: if it is, add it to hosts")

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Raise HttpError 403 for a page of another site; what is no browser sends no Origin."""
        origin = headers.get("origin", "").lower()
        if not origin or ANY in self._origins or origin in self._origins:
            return
        _, sign, site = origin.partition("://")
        if not sign or site != headers.get("host", "").lower():
            raise HttpError(403, self._refusal(origin[:ORIGIN_SHOWN]))

    def _refusal(self, origin: str) -> str:
        """What is answered; logged too, once: a browser shows its page no reason."""
        message = f"origin {origin!r} is not this server's: if its pages may connect, add it to origins"
        if len(self._refused) < ORIGINS_LOGGED and origin not in self._refused:
            self._refused.add(origin)
            _log.warning("a page was refused: %s", message)
        return message

    def _is_own(self, name: str) -> bool:
        # An address can't be rebound, and browsers take localhost to be this machine whatever DNS says.
        return name in self._hosts or name == "localhost" or name.endswith(".localhost") or _is_address(name)


def _name(host: str) -> str:
    """Without its port, brackets and the root's dot; empty if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
