"""Whose certificate a client takes for its server's.

The machine's authorities vouch for a name. Who has the server's own certificate at hand needs neither:
on its own machine the server is reached by an address, which no certificate of its name covers. But it
must be that one: with an authority's at hand any server that it ever vouched for would do.
"""

import ssl
from functools import cache
from pathlib import Path

from monitor.errors import ConfigError

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def trusting(certificate_file: Path | None) -> ssl.SSLContext:
    """A client's context: for the authorities of this machine, or for that one certificate alone.

    Raises:
        ConfigError: the file holds none, or can't be read.
    """
    if certificate_file is None:
        return _of_authorities()
    try:
        # The first is the server's; whoever has the key of one behind it could make another.
        before, end, _ = certificate_file.read_text().partition(_END)
        own = before[before.find(_BEGIN) :] + end
        context = ssl.create_default_context(cadata=own)
    except (ssl.SSLError, UnicodeDecodeError):
        raise ConfigError(
            f"certificate {certificate_file} can't be used: it holds none as PEM text"
        ) from None
    except OSError as error:
        raise ConfigError(f"certificate {certificate_file} can't be used: {error.strerror}") from None
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    _demand(context, ssl.PEM_cert_to_DER_cert(own))
    return context


def _demand(context: ssl.SSLContext, own: bytes) -> None:
    """Have handshakes fail in which the server shows another certificate."""

    def check(end: ssl.SSLObject | ssl.SSLSocket) -> None:
        if end.getpeercert(binary_form=True) != own:
            why = "it is another one, if of the same authority"
            refusal = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, why)
            refusal.verify_message = why
            raise refusal

    class OwnObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            check(self)

    class OwnSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            check(self)

    context.sslobject_class, context.sslsocket_class = OwnObject, OwnSocket


@cache
def _of_authorities() -> ssl.SSLContext:
    """One for all connections: to read their certificates holds the loop for 40 ms."""
    return ssl.create_default_context()
