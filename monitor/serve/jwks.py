"""The public keys of who else may sign tokens: a JWKS file.

A key verifies the algorithms of its own kind and nothing else, so that nobody can take a public
key for a secret; and what is a secret has no place in the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from monitor.errors import ConfigError

FILE_BYTES = 65_536
KEYS_MAX = 16
TRIED_MAX = 4
"""Of those that fit a token: a long one takes half a millisecond, and anybody may show forged tokens."""
RSA_BITS_MIN = 2_048

_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512"),
    "EC P-256": ("ES256",),
    "EC P-384": ("ES384",),
    "EC P-521": ("ES512",),
}
"""What a key may verify, by its `kty` and `crv`."""
ALGORITHMS = tuple(chain.from_iterable(_ALGORITHMS.values()))


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of the file, and what it may verify."""

    id: object
    """Its `kid`, None for none."""
    algorithms: tuple[str, ...]
    key: RSAPublicKey | EllipticCurvePublicKey


class JwksFile:
    """The keys that a file holds now."""

    name = "jwks"

    def __init__(self, path: Path) -> None:
        """Raises ConfigError for a file that can't be used."""
        self._path = path
        self.load()

    @property
    def files(self) -> tuple[Path, ...]:
        """What it is read from."""
        return (self._path,)

    def load(self) -> None:
        """Take what the file holds now. Raises ConfigError, and keeps what it had."""
        self._keys = _read_keys(self._path)

    def find(self, algorithm: object, key_id: object) -> list[PublicKey]:
        """The keys that may have signed a token with this header; without a `kid` the first that fit."""
        fitting = (
            key for key in self._keys if algorithm in key.algorithms and (key_id is None or key_id == key.id)
        )
        return list(islice(fitting, TRIED_MAX))


def _read_keys(path: Path) -> list[PublicKey]:
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"jwks_file {path} can't be read: {error.strerror}") from None
    if len(text) > FILE_BYTES:
        raise ConfigError(f"jwks_file {path} is longer than {FILE_BYTES} bytes")
    try:
        keys = parse_jwks(text)
    except ConfigError as error:
        raise ConfigError(f"jwks_file {path}: {error}") from None
    return keys


def parse_jwks(text: bytes) -> list[PublicKey]:
    """The keys of a JWK set (RFC 7517) that can verify a signature; those of other kinds are passed over.

    Raises:
        ConfigError: it is no JWK set, holds a secret or a weak key, or none that can verify.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"not JSON: {error}") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError('not a JWK set: it must be like {"keys":[{"kty":"RSA",…}]}')
    if len(entries) > KEYS_MAX:
        raise ConfigError(f"it holds {len(entries)} keys, at most {KEYS_MAX}")
    keys = [key for entry in entries if (key := _parse_key(entry)) is not None]
    if not keys:
        raise ConfigError("it holds no RSA or EC key that verifies signatures")
    return keys


def _parse_key(entry: Mapping[str, Any]) -> PublicKey | None:
    name = f"key {entry.get('kid')!r}"
    if "d" in entry or "k" in entry:
        raise ConfigError(f"{name} is a secret: only public keys belong here")
    algorithms = _ALGORITHMS.get(f"{entry.get('kty')} {entry.get('crv', '')}".rstrip(), ())
    if "alg" in entry:
        algorithms = tuple(name for name in algorithms if name == entry["alg"])
    if not algorithms or entry.get("use", "sig") != "sig":
        return None
    try:
        key = (RSAAlgorithm if entry["kty"] == "RSA" else ECAlgorithm).from_jwk(dict(entry))
    except (jwt.InvalidKeyError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{name} can't be read: {error}") from None
    assert isinstance(key, RSAPublicKey | EllipticCurvePublicKey), "private keys were refused"
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_BITS_MIN:
        raise ConfigError(f"{name} has {key.key_size} bits, at least {RSA_BITS_MIN}")
    return PublicKey(entry.get("kid"), algorithms, key)
