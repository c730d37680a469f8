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
from monitor.feeds.feed import Route, dial, run_feed
from monitor.health.feeds import FeedHealth
from tests.feeds.test_feed import Echo
from tests.patience import PATIENCE_SECONDS


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


@pytest.mark.trio
async def test_venue_that_speaks_another_protocol_is_tried_again(nursery: trio.Nursery) -> None:
    """The library's own reader fails then; its error must not end the program."""
    calls, called_twice = 0, trio.Event()

    async def greet(stream: trio.SocketStream) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            called_twice.set()
        await stream.receive_some()
        await stream.send_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    (listener,) = await nursery.start(partial(trio.serve_tcp, greet, 0, host="127.0.0.1"))
    port, health = listener.socket.getsockname()[1], FeedHealth("echo", "echo")
    nursery.start_soon(run_feed, Echo(health), Route(f"ws://127.0.0.1:{port}"), lambda *_: None)
    with trio.fail_after(PATIENCE_SECONDS):
        await called_twice.wait()
    assert health.error
