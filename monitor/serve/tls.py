"""TLS that the server speaks itself: encrypted in the same turn, so that a fan-out still waits for nobody.

What is sent is sealed a record at a time, and the next one only once the kernel has the last: so what
waits here, where no lane can overtake it any more, is one record at most. The certificate may
change under a running server; a pair that can't be used leaves the one before in place.
"""

import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from monitor.config import TlsSettings
from monitor.errors import ConfigError
from monitor.serve.connection import RECEIVE_BYTES, Connection
from monitor.turnstile import Turnstile

RECORD_BYTES = 16_384
"""The most that TLS seals as one."""
PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"this port speaks TLS: use https://\n"
)


class Certificate:
    """The certificate that new connections are shown."""

    name = "certificate"

    def __init__(self, settings: TlsSettings) -> None:
        """Raises ConfigError for a pair of files that can't be used."""
        self._settings = settings
        self.load()

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        return (self._settings.certificate_file, self._settings.key_file)

    def load(self) -> None:
        """Take what the files hold now. Raises ConfigError, and keeps what it had."""
        self._context = _context(self._settings)

    def accept(self, accepted: socket.socket, address: str, turnstile: Turnstile) -> "TlsConnection":
        """Speak TLS on a socket that was accepted."""
        return TlsConnection(accepted, address, turnstile, self._context)


class TlsConnection(Connection):
    """A connected TCP socket with TLS on it; the first `receive` shakes hands."""

    __slots__ = (
        "_has_ended",
        "_incoming",
        "_outgoing",
        "_seal",
        "_sealed",
        "_sealed_bytes",
        "_take_sealed",
        "_tls",
        "_write",
    )

    is_encrypted: ClassVar[bool] = True

    def __init__(
        self, accepted: socket.socket, address: str, turnstile: Turnstile, context: ssl.SSLContext
    ) -> None:
        super().__init__(accepted, address, turnstile)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._has_ended = False
        """The peer sends no more."""
        self._seal = self._tls.write
        self._take_sealed = self._outgoing.read
        self._write = accepted.send
        self._sealed: bytes | memoryview = b""
        """What the kernel has not taken yet of the last record."""
        self._sealed_bytes = 0
        """How much of what was given to `send_now` that record holds."""

    @property
    def plain(self) -> None:
        """What is written past this object would not be encrypted."""
        return None

    def send_now(self, data: bytes | memoryview) -> int:
        """Seal and write what the kernel takes at once; 0 if it takes nothing. Raises OSError once broken.

        A record that is half out counts as not taken, but is sealed: the next call must begin with the
        same bytes, and goes on behind them.
        """
        if self._sealed or len(data) > RECORD_BYTES:
            return self._send_records(data)
        # Nearly always; a fan-out to a thousand clients is a thousand of these.
        self._seal(data)
        sealed = self._take_sealed()
        try:
            sent = self._write(sealed)
        except BlockingIOError:
            sent = 0
        if sent == len(sealed):
            return len(data)
        self._sealed, self._sealed_bytes = memoryview(sealed)[sent:], len(data)
        return 0

    def _send_records(self, data: bytes | memoryview) -> int:
        taken = 0
        while not self._sealed or self._flush():
            taken += self._sealed_bytes
            self._sealed_bytes = 0
            if taken == len(data):
                break
            self._sealed_bytes = self._seal(memoryview(data)[taken : taken + RECORD_BYTES])
            self._sealed = self._outgoing.read()
        return taken

    def _flush(self) -> bool:
        """Go on with the sealed record; False if the kernel doesn't take all of it."""
        sealed = self._sealed
        sent = super().send_now(sealed)
        self._sealed = memoryview(sealed)[sent:] if sent < len(sealed) else b""
        return not self._sealed

    async def receive(self) -> bytes:
        """The next bytes, empty at the end of the stream. Raises OSError, for a bad peer ssl.SSLError."""
        while not self._has_ended:
            received = await super().receive()
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()
            try:
                data = self._open()
            except ssl.SSLError as error:
                await self._answer(error)
                raise
            if data:
                return data
        return b""

    def _open(self) -> bytes:
        """What has come, deciphered; the handshake's next words are sent if there are any.

        All of it: records of one byte, looked at one after the other, would each be a turn of the loop.
        """
        parts = []
        try:
            while part := self._tls.read(RECEIVE_BYTES):
                parts.append(part)
            self._has_ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self._has_ended = True
        self._send_own()
        return b"".join(parts)

    def _send_own(self) -> None:
        """Send what TLS itself has to say, unless a record is half out: then it follows with the next."""
        if self._outgoing.pending and not self._sealed:
            self._sealed = self._outgoing.read()
            self._flush()

    async def _answer(self, error: ssl.SSLError) -> None:
        """Tell the peer what is wrong, in TLS or, if that is what it speaks, in HTTP."""
        if error.reason == "HTTP_REQUEST":
            super().send_now(PLAIN_HTTP)
            await super().finish()
        self._send_own()

    async def finish(self) -> None:
        """Say that nothing was cut off, and end as every connection does. Raises OSError."""
        self._say_end()
        await super().finish()

    def close(self) -> None:
        """Say that nothing was cut off, and close the socket. May be called again."""
        if self._socket.fileno() >= 0:
            with suppress(OSError):
                self._say_end()
        super().close()

    def _say_end(self) -> None:
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._send_own()


def _context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _check_readable("tls.certificate_file", settings.certificate_file)
    _check_readable("tls.key_file", settings.key_file)
    try:
        # With no password given, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(settings.certificate_file, settings.key_file, password="")
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        raise ConfigError(
            f"tls.certificate_file {settings.certificate_file} with tls.key_file {settings.key_file}"
            f" can't be used: {reason}"
        ) from None
    return context


def _check_readable(key: str, path: Path) -> None:
    """OpenSSL does not say which of the two it could not read."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{key} {path} can't be read: {error.strerror}") from None
