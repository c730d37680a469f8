"""The page's files, read once, compressed once, answered from memory; entry files with what they import."""

import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from monitor.errors import ConfigError
from monitor.serve.bundle import join_modules, join_sheets
from monitor.serve.http import HttpError, Request, Response

_TYPES = {".js": "text/javascript"}
"""Where a machine's own table is known to say otherwise."""
_ENTRIES = {"js/main.js": join_modules, "js/theme.js": join_modules, "css/main.css": join_sheets}
_GZIP_FROM_BYTES = 256
_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")
"""In Accept-Encoding, unless it is refused there."""


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes | None
    content_type: str
    hash: str


def _page_directory() -> Path:
    """Within the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "_static", package.parent / "static"):
        if (directory / "index.html").is_file():
            return directory
    raise ConfigError(f"the page's files are missing beside {package}: install lanecast again")


class Files:
    """What is below one directory, by its path; nothing else can be reached."""

    def __init__(self, directory: Path) -> None:
        bodies = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }
        bodies |= _entries(bodies)
        self._files = {name: _pack(name, body) for name, body in bodies.items()}

    def answer(self, name: str, request: Request) -> Response:
        """The file, its gzip form where the client takes it, or 304.

        Raises:
            HttpError: there is no such file.
        """
        found = self._files.get(name)
        if found is None:
            raise HttpError(404, f"no file {name!r}")
        packed = found.packed if _GZIP.search(request.headers.get("accept-encoding", "")) else None
        # Two forms with one tag would let a cache answer the one with the other.
        etag = f'"{found.hash}"' if packed is None else f'"{found.hash}-gzip"'
        headers = (("ETag", etag), ("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"))
        if etag in request.headers.get("if-none-match", ""):
            return Response(304, headers=headers)
        if packed is not None:
            return Response(200, packed, found.content_type, (*headers, ("Content-Encoding", "gzip")))
        return Response(200, found.body, found.content_type, headers)


@cache
def load_page() -> Files:
    """The page, as it was when this process first asked for it.

    Raises:
        ConfigError: its files are nowhere.
    """
    return Files(_page_directory())


def _entries(bodies: Mapping[str, bytes]) -> dict[str, bytes]:
    sources = {name: body.decode() for name, body in bodies.items() if name.endswith((".js", ".css"))}
    return {name: join(name, sources).encode() for name, join in _ENTRIES.items() if name in sources}


def _pack(name: str, body: bytes) -> _File:
    packed = gzip.compress(body, mtime=0) if len(body) >= _GZIP_FROM_BYTES else None
    if packed is not None and len(packed) >= len(body):
        packed = None
    suffix = posixpath.splitext(name)[1]
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    return _File(body, packed, content_type, hashlib.sha256(body).hexdigest()[:32])
