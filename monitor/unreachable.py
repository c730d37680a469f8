"""Why a server can't be reached, and what to do about it: one sentence, whatever library found out.

An operator reads it when something is wrong already: `[Errno 111]` would only have him look elsewhere.
"""

import socket
import ssl
from urllib.parse import urlsplit

from monitor.address import host_port

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def unreachable(url: str, error: BaseException) -> str:
    """What an error on the way to an http(s) or ws(s) address means, without a full stop."""
    at = _place(url)
    match _first_cause(error):
        case ConnectionRefusedError():
            return f"nothing listens at {at}; start a server with lanecast run, or give the address of one"
        case socket.gaierror(strerror=why):
            return f"{urlsplit(url).hostname} has no address: {why}; check the name"
        case ssl.SSLCertVerificationError(verify_message=why):
            return f"{at} shows a certificate not trusted here: {why}; LANECAST_CERTIFICATE may name its file"
        case ssl.SSLError(reason=why):
            return f"{at} does not speak TLS ({why}); an address without it begins with http or ws"
        case OSError(strerror=str(why)):
            return f"{at} can't be reached: {why}"
        case cause:
            return f"{at} can't be reached: {str(cause) or type(error).__name__}"


def unanswered(url: str, seconds: float) -> str:
    """Of a server that takes connections and then says nothing, without a full stop."""
    silence = f"{_place(url)} accepted the connection, and did not answer within {seconds:g} s"
    is_plain = urlsplit(url).scheme in ("http", "ws")
    return f"{silence}; if it speaks TLS, its address begins with https or wss" if is_plain else silence


def _place(url: str) -> str:
    parts = urlsplit(url)
    return host_port(parts.hostname or "", parts.port or _PORTS[parts.scheme])


def _first_cause(error: BaseException) -> BaseException:
    """What went wrong first: at one of several addresses, or below what libraries made of it."""
    if isinstance(error, BaseExceptionGroup):
        return _first_cause(error.exceptions[0])
    below = error.__cause__ or error.__context__
    return error if below is None else _first_cause(below)
