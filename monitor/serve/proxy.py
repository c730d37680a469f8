"""Whose connection it is when a proxy stands in between.

`X-Forwarded-For` and `Forwarded` are believed from trusted proxies only, and read from the right:
what stands further left than the first address that is not such a proxy was written by whoever
sent the request, and would let anybody choose the address that limits and logs see.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network

from monitor.address import Address, read_address
from monitor.serve.http import HttpError

_FOR = re.compile(r"""(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,"\s]*)""", re.IGNORECASE)


class Proxies:
    """The proxies whose word on a peer's address is taken."""

    def __init__(self, trusted: Iterable[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)

    def is_one(self, address: str) -> bool:
        """Whether the socket's other end is such a proxy."""
        near = _read(address) if self._trusted else None
        return near is not None and self._is_trusted(near)

    def peer(self, address: str, headers: Mapping[str, str]) -> str:
        """Who is behind the socket's other end: its `host:port`, or the address that a proxy tells.

        Raises:
            HttpError: a proxy passes on two headers that tell different stories, one of them
                written by the client.
        """
        if not self.is_one(address):
            return address
        # One that names nobody, `for=_hidden` say, differs from one that does: that one is the client's.
        told = {self._first_untrusted(chain) for chain in _chains(headers)}
        if len(told) > 1:
            raise HttpError(
                400, "x-forwarded-for and forwarded differ: let the proxy set one and remove the other"
            )
        found = told.pop() if told else None
        return address if found is None else str(found)

    def _first_untrusted(self, chain: list[str]) -> Address | None:
        """From the right; the last one that can be read if the rest are proxies of ours."""
        found: Address | None = None
        for text in reversed(chain):
            near = _read(text)
            if near is None:
                break
            found = near
            if not self._is_trusted(near):
                break
        return found

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _chains(headers: Mapping[str, str]) -> Iterator[list[str]]:
    """The addresses that each header names, the nearest last."""
    if listed := headers.get("x-forwarded-for", ""):
        yield listed.split(",")
    if forwarded := headers.get("forwarded", ""):
        yield [match[1] if (match := _FOR.search(part)) else "" for part in forwarded.split(",")]


def _read(text: str) -> Address | None:
    """An address, quoted or not; None if it is none."""
    try:
        return read_address(text.strip().strip('"'))
    except ValueError:
        return None
