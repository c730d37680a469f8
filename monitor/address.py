"""How a host and a port are written, and where what listens there is reached from this machine."""

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""A socket that listens on every address has none that could be dialled."""


def host_port(host: str, port: int) -> str:
    """`127.0.0.1:8000`, `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_url(scheme: str, host: str, port: int) -> str:
    """The base address of what listens on `host` and `port`, for this machine."""
    return f"{scheme}://{host_port(_REACHED_AT.get(host, host), port)}"
