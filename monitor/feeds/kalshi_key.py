"""The signature on Kalshi's upgrade request, and the key it is made with.

Decides what is signed: the time, the method and the path, nothing else.
"""

import base64
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from monitor.clock import wall_ms
from monitor.errors import ConfigError
from monitor.feeds.feed import Headers

Signer = Callable[[bytes], bytes]


def load_signer(path: Path) -> Signer:
    """RSA-PSS over SHA-256 with the PEM key at `path`; ConfigError when that can't be had."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"feeds.kalshi.private_key_file: can't read {path}: {error.strerror}") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"feeds.kalshi.private_key_file: {path} is no private key in PEM form ({error})"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ConfigError(f"feeds.kalshi.private_key_file: {path} must hold an RSA key")
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    return lambda message: key.sign(message, scheme, hashes.SHA256())


def sign_upgrade(key_id: str, signer: Signer, path: str) -> Headers:
    """Fresh headers for one upgrade; the venue refuses old ones."""
    timestamp = str(wall_ms())
    signature = base64.b64encode(signer(f"{timestamp}GET{path}".encode()))
    return [
        (b"KALSHI-ACCESS-KEY", key_id.encode()),
        (b"KALSHI-ACCESS-TIMESTAMP", timestamp.encode()),
        (b"KALSHI-ACCESS-SIGNATURE", signature),
    ]
