"""A feed's way to a real socket: what is said when there is none."""

import datetime
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from monitor.errors import FeedError
from monitor.feeds.feed import dial


def write_certificate(path: Path) -> Path:
    """A certificate of `localhost` that nobody but its owner has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    secret = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(form))
    return path


@pytest.mark.trio
async def test_certificate_that_is_not_trusted_is_said(tmp_path: Path, nursery: trio.Nursery) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(write_certificate(tmp_path / "venue.pem"))

    async def shake_hands(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.do_handshake()

    serve = partial(trio.serve_ssl_over_tcp, shake_hands, 0, context, host="127.0.0.1")
    listeners = await nursery.start(serve)
    port = listeners[0].transport_listener.socket.getsockname()[1]
    with pytest.raises(FeedError, match="certificate verify failed"):
        async with dial(f"wss://127.0.0.1:{port}/", []):
            pass
