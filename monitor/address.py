"""How hosts, ports and a server's addresses are written and read, and where a server is reached."""

from collections.abc import Container
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit, urlunsplit

from monitor.errors import ConfigError

Address = IPv4Address | IPv6Address

ENDPOINT = "/connection/websocket"
"""Where a server has its WebSocket, below its base address."""
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""A socket that listens on every address has none that could be dialled."""


def host_port(host: str, port: int) -> str:
    """`127.0.0.1:8000`, `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(text: str) -> str:
    """Of `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]:80`, what is left without a port and brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def read_address(text: str) -> Address:
    """With a port or without; an IPv4 address that is written as IPv6 is one.

    Raises:
        ValueError.
    """
    address = ip_address(host_of(text).partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_loopback(host: str) -> bool:
    """Whether a host can't be anybody else's; a name may resolve to anything, but for `localhost`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_dialable(url: str, schemes: Container[str]) -> bool:
    """Whether a URL has one of the schemes, and a host and a port that can exist."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        return False


def check_no_password(url: str) -> None:
    """Refuse a URL that says who asks, without repeating it: logs and reports would keep it.

    Raises ConfigError.
    """
    if "@" in url:
        raise ConfigError(
            "url holds an @, and so a user or a password: leave out what stands before it;"
            " keys and tokens are taken from the environment, or from --data-dir"
        )


def local_url(scheme: str, host: str, port: int) -> str:
    """The base address of what listens on `host` and `port`, for this machine."""
    return f"{scheme}://{host_port(_REACHED_AT.get(host, host), port)}"


def websocket_url(url: str) -> str:
    """The endpoint's address from it or from the server's base address, http(s) or ws(s).

    Raises ConfigError.
    """
    check_no_password(url)
    if not is_dialable(url, _SCHEMES):
        raise ConfigError(f"url is {url!r}, must be an http, https, ws or wss address of a server")
    parts = urlsplit(url)
    path = parts.path if parts.path.endswith(ENDPOINT) else parts.path.rstrip("/") + ENDPOINT
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


def http_url(url: str) -> str:
    """The server's base address, from it or from that of its WebSocket endpoint. Raises ConfigError."""
    parts = urlsplit(websocket_url(url))
    return f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}{parts.path.removesuffix(ENDPOINT)}"
