"""Tokens of somebody else, signed with a private key whose public half is in the JWKS file."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from trio.testing import MockClock

from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.keyring import Keyring
from monitor.keys import Keys
from monitor.reload import LOOK_SECONDS
from monitor.serve.jwks import KEYS_MAX, TRIED_MAX, parse_jwks
from monitor.serve.tokens import InvalidToken, TokenReader
from tests.serve.running import KEYS, running

NOW = 1_700_000_000.0
RSA_KEY = rsa.generate_private_key(65_537, 2_048)
OTHER_RSA_KEY = rsa.generate_private_key(65_537, 2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
LONG_EC_KEY = ec.generate_private_key(ec.SECP384R1())

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def public(key: SigningKey, **members: Any) -> dict[str, Any]:
    half = key.public_key()
    if isinstance(half, rsa.RSAPublicKey):
        return RSAAlgorithm.to_jwk(half, as_dict=True) | members
    return ECAlgorithm.to_jwk(half, as_dict=True) | members


def sign(key: SigningKey, algorithm: str, kid: str | None = None) -> str:
    headers = {"kid": kid} if kid else None
    return jwt.PyJWS().encode(orjson.dumps({"sub": "ann"}), key, algorithm=algorithm, headers=headers)


def write(path: Path, *entries: dict[str, Any]) -> None:
    """In one step, as whoever rotates keys should."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"keys": entries}))
    draft.rename(path)


def reader(path: Path, keys: Keys = KEYS) -> TokenReader:
    return TokenReader(Keyring(keys), Settings(jwks_file=path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    write(path, public(RSA_KEY, kid="rsa"), public(EC_KEY, kid="ec"), public(LONG_EC_KEY, kid="long"))
    return path


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (RSA_KEY, "RS256", "rsa"),
        (RSA_KEY, "RS384", "rsa"),
        (RSA_KEY, "RS512", "rsa"),
        (RSA_KEY, "RS256", None),
        (EC_KEY, "ES256", "ec"),
        (EC_KEY, "ES256", None),
        (LONG_EC_KEY, "ES384", "long"),
    ],
)
def test_token_of_a_key_in_the_file_is_read(
    path: Path, key: SigningKey, algorithm: str, kid: str | None
) -> None:
    claims = reader(path).read(sign(key, algorithm, kid), NOW)
    assert (claims.user, claims.is_operator) == ("ann", False)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (RSA_KEY, "RS256", "ec"),
        (RSA_KEY, "RS256", "unknown"),
        (RSA_KEY, "PS256", "rsa"),
        (OTHER_RSA_KEY, "RS256", "rsa"),
        (OTHER_RSA_KEY, "RS256", None),
    ],
)
def test_token_of_another_key_kid_or_algorithm_is_invalid(
    path: Path, key: SigningKey, algorithm: str, kid: str | None
) -> None:
    with pytest.raises(InvalidToken, match="no key verifies"):
        reader(path).read(sign(key, algorithm, kid), NOW)


def test_token_that_names_no_key_is_tried_with_a_few_and_one_that_does_with_its_own(path: Path) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(TRIED_MAX + 1)]
    write(path, *(public(key, kid=str(number)) for number, key in enumerate(keys)))
    tokens = reader(path)
    for number, key in enumerate(keys):
        assert tokens.read(sign(key, "ES256", str(number)), NOW).user == "ann"
    assert tokens.read(sign(keys[TRIED_MAX - 1], "ES256"), NOW).user == "ann"
    with pytest.raises(InvalidToken):
        tokens.read(sign(keys[TRIED_MAX], "ES256"), NOW)


def test_without_a_file_no_public_key_signs() -> None:
    with pytest.raises(InvalidToken, match="no key verifies a token whose alg is 'RS256'"):
        TokenReader(Keyring(KEYS), Settings()).read(sign(RSA_KEY, "RS256"), NOW)


@pytest.mark.parametrize("kid", ["rsa", "ec", None])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_public_key_is_never_a_secret(path: Path, algorithm: str, kid: str | None) -> None:
    secrets = [orjson.dumps(public(RSA_KEY)), path.read_bytes(), *_forms(RSA_KEY), *_forms(EC_KEY)]
    for secret in secrets:
        forged = _sign_by_hand(secret, algorithm, kid)
        with pytest.raises(InvalidToken):
            reader(path).read(forged, NOW)


def _forms(key: SigningKey) -> list[bytes]:
    forms = [
        (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        (Encoding.OpenSSH, PublicFormat.OpenSSH),
    ]
    return [key.public_key().public_bytes(*form) for form in forms]


def _sign_by_hand(secret: bytes, algorithm: str, kid: str | None) -> str:
    """As a forger would: PyJWT refuses to take a public key for a secret."""
    header = {"alg": algorithm, "typ": "JWT"} | ({"kid": kid} if kid else {})
    parts = [urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (header, {"sub": "ann"})]
    digest = hmac.digest(secret, b".".join(parts), getattr(hashlib, f"sha{algorithm[2:]}"))
    return b".".join([*parts, urlsafe_b64encode(digest).rstrip(b"=")]).decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "ES256K", "EdDSA", 7, ["RS256"], None])
def test_other_algorithms_are_refused(path: Path, algorithm: object) -> None:
    parts = [orjson.dumps({"alg": algorithm}), orjson.dumps({"sub": "ann"}), b""]
    text = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()
    with pytest.raises(InvalidToken):
        reader(path).read(text, NOW)


def test_key_is_kept_to_the_algorithm_that_the_file_declares(path: Path) -> None:
    write(path, public(RSA_KEY, alg="RS512"))
    assert reader(path).read(sign(RSA_KEY, "RS512"), NOW).user == "ann"
    with pytest.raises(InvalidToken):
        reader(path).read(sign(RSA_KEY, "RS256"), NOW)


def test_file_that_is_loaded_again_has_other_keys(path: Path) -> None:
    tokens = reader(path)
    write(path, public(OTHER_RSA_KEY, kid="new"))
    assert tokens.jwks is not None
    tokens.jwks.load()
    assert tokens.read(sign(OTHER_RSA_KEY, "RS256", "new"), NOW).user == "ann"
    with pytest.raises(InvalidToken):
        tokens.read(sign(RSA_KEY, "RS256", "rsa"), NOW)


@pytest.mark.parametrize("bad", ["", '{"keys":[]}'])
def test_file_that_went_bad_keeps_the_keys_that_were_good(path: Path, bad: str) -> None:
    tokens = reader(path)
    path.write_text(bad)
    assert tokens.jwks is not None
    with pytest.raises(ConfigError):
        tokens.jwks.load()
    assert tokens.read(sign(RSA_KEY, "RS256"), NOW).user == "ann"


@pytest.mark.trio
async def test_changed_file_changes_who_may_connect(path: Path, jumping_clock: MockClock) -> None:
    async with running(jwks_file=path) as server:
        assert (await server.client(sign(RSA_KEY, "RS256", "rsa"))).id
        write(path, public(OTHER_RSA_KEY, kid="new"))
        await trio.sleep(2 * LOOK_SECONDS)
        assert (await server.client(sign(OTHER_RSA_KEY, "RS256", "new"))).id
        gone = await server.upgraded()
        await gone.say({"id": 1, "connect": {"token": sign(RSA_KEY, "RS256", "rsa")}})
        assert await gone.closing() == (3500, "invalid token")


def test_keys_that_can_not_verify_are_passed_over() -> None:
    okp = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True)
    koblitz = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True)
    others = [okp, koblitz, public(OTHER_RSA_KEY, use="enc"), public(OTHER_RSA_KEY, alg="RSA-OAEP"), {}]
    (key,) = parse_jwks(orjson.dumps({"keys": [*others, public(RSA_KEY, kid="good", use="sig")]}))
    assert key.id == "good"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JWK set"),
        (b'{"keys":[1]}', "not a JWK set"),
        (b'{"keys":[]}', "no RSA or EC key"),
        (b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"s"}]}', "key 's' is a secret"),
        (orjson.dumps({"keys": [RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True)]}), "is a secret"),
        (orjson.dumps({"keys": [public(rsa.generate_private_key(65_537, 1_024))]}), "at least 2048"),
        (b'{"keys":[{"kty":"RSA","n":1,"e":"AQAB"}]}', "can't be read"),
        (b'{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}', "can't be read"),
        (orjson.dumps({"keys": [{}] * (KEYS_MAX + 1)}), f"at most {KEYS_MAX}"),
    ],
)
def test_file_that_is_wrong_stops_the_start(path: Path, text: bytes, sentence: str) -> None:
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=sentence):
        reader(path)


def test_file_that_is_absent_or_endless_stops_the_start(path: Path) -> None:
    path.write_bytes(bytes(70_000))
    with pytest.raises(ConfigError, match="longer than 65536 bytes"):
        reader(path)
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        reader(path.with_name("absent.json"))
