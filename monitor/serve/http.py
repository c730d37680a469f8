"""An HTTP answer, and the headers that every one of them carries.

The page needs its own scripts, styles, pictures and sockets, and nothing else that a browser has:
so that is all it may use, and no other site may frame it, embed it or hold a handle to its window.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(),"
        " magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(),"
        " screen-wake-lock=(), usb=(), xr-spatial-tracking=()",
    ),
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)

RETRY_LATER = (("Retry-After", "5"),)
_STRICT_TRANSPORT = ("Strict-Transport-Security", "max-age=31536000")


@dataclass(frozen=True, slots=True)
class Request:
    """A complete request; header names are lower case, equal ones are joined by commas."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = field(default=())

    def all_headers(self, *, is_encrypted: bool, host: str) -> list[tuple[str, str]]:
        """With those that every answer carries, over TLS or not, to a request for `host`."""
        headers = [*SECURITY_HEADERS, *self.headers]
        # It holds for every port of a name: other programs on this machine's localhost speak plain HTTP.
        if is_encrypted and not host.startswith("localhost"):
            headers.append(_STRICT_TRANSPORT)
        if self.status != HTTPStatus.NOT_MODIFIED:
            headers += [("Content-Type", self.content_type), ("Content-Length", str(len(self.body)))]
        return headers


class HttpError(Exception):
    """A request that is answered with a 4xx or 5xx and a sentence."""

    def __init__(
        self, status: int, message: str, headers: tuple[tuple[str, str], ...] = (), *, cause: str = ""
    ) -> None:
        """`cause` is what it is counted as, a limit's name; else it is its status."""
        super().__init__(message)
        self.cause = cause or str(status)
        self.status = status
        self.headers = headers


def text(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, message.encode() + b"\n", headers=headers)


def json(status: int, body: bytes) -> Response:
    return Response(status, body, "application/json", (("Cache-Control", "no-store"),))
