"""Whose certificate a client takes for its server's.

The machine's authorities vouch for a name. Who has the server's own certificate at hand needs neither:
on its own machine the server is reached by an address, which no certificate of its name covers.
"""

import ssl
from pathlib import Path

from monitor.errors import ConfigError

_END = "-----END CERTIFICATE-----"


def trusting(certificate_file: Path | None) -> ssl.SSLContext:
    """A client's context: for the authorities of this machine, or for that one certificate alone.

    Raises:
        ConfigError: the file holds none, or can't be read.
    """
    if certificate_file is None:
        return ssl.create_default_context()
    try:
        # The first is the server's; whoever has the key of one behind it could make another.
        own, end, _ = certificate_file.read_text().partition(_END)
        context = ssl.create_default_context(cadata=own + end)
    except (ssl.SSLError, UnicodeDecodeError):
        raise ConfigError(
            f"certificate {certificate_file} can't be used: it holds none as PEM text"
        ) from None
    except OSError as error:
        raise ConfigError(f"certificate {certificate_file} can't be used: {error.strerror}") from None
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
