"""What a token says, and whether it is genuine.

A token is a JWT: signed with the token key or with a key of the JWKS file it names a user, signed
with the operator key it makes an operator. A wrong token ends the connection for good, an expired
one only asks for another: mixing the two up locks out a client that would have refreshed, or
lets a forged one retry for ever.
"""

import time
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import jwt
import orjson
from jwt.algorithms import Algorithm, HMACAlgorithm, get_default_algorithms

from monitor.config import Settings
from monitor.errors import ConfigError, PeerError
from monitor.keyring import Keyring
from monitor.serve.jwks import ALGORITHMS, JwksFile

UNIX_SECONDS_MAX = 2**63 - 1
"""What other languages count in; beyond it no clock can be set to it, and floats end."""


class InvalidToken(PeerError):
    """Forged, malformed or not meant for this use; the client must not come back with it."""


class ExpiredToken(PeerError):
    """Genuine, but outside its `nbf` and `exp`; the client may fetch a new one."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What comes with a channel that a token names."""

    info: bytes = b""
    """JSON text shown to others as `chan_info`; empty for nothing."""
    data: bytes = b""
    """JSON text for the bearer, in the subscribe reply of a channel without a state of its own."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says of its bearer."""

    user: str = ""
    """Empty for an anonymous bearer."""
    is_operator: bool = False
    expires_at: int | None = None
    """End of the connection or subscription, unix seconds; None never ends it."""
    info: bytes = b""
    """JSON text shown to others as `conn_info`; empty for nothing."""
    channel: str | None = None
    """Set in a subscription token only."""
    grants: Mapping[str, Grant] = field(default_factory=dict)
    """By channel: a subscription token's one, else the server-side subscriptions of a connection."""
    client: str | None = None
    """Set in a subscription token for one connection only."""


class _Hmac(HMACAlgorithm):
    """Takes a key as it is: `load_keys` has judged it.

    PyJWT's search of every key for PEM, DER and JWK guards against public keys taken for secrets,
    which can't happen where secrets and public keys never meet, and costs twice what the check does.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        if not key:
            raise jwt.InvalidKeyError("it is empty")
        return key.encode() if isinstance(key, str) else key

    def check_key_length(self, key: Any) -> None:
        return None


_BY_SECRET = {
    "HS256": _Hmac(HMACAlgorithm.SHA256),
    "HS384": _Hmac(HMACAlgorithm.SHA384),
    "HS512": _Hmac(HMACAlgorithm.SHA512),
}
_BY_PUBLIC_KEY = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name in ALGORITHMS
}


def _signatures(algorithms: Mapping[str, Algorithm]) -> jwt.PyJWS:
    """Knows these algorithms and no others, `none` least of all."""
    signatures = jwt.PyJWS(algorithms=[])
    for name, algorithm in algorithms.items():
        signatures.register_algorithm(name, algorithm)
    return signatures


_SECRETS = _signatures(_BY_SECRET)
_PUBLIC_KEYS = _signatures(_BY_PUBLIC_KEY)


class TokenReader:
    """Tells genuine tokens from others, with the keys of this server."""

    def __init__(self, keys: Keyring, settings: Settings) -> None:
        """Raises ConfigError for a JWKS file that can't be used."""
        self._keys = keys
        self.jwks = JwksFile(settings.jwks_file) if settings.jwks_file else None
        self._audience = settings.token_audience
        self._issuer = settings.token_issuer

    def read(self, text: str, now: float) -> Claims:
        """Return the claims of a token that is genuine, meant for us and valid at `now` (unix seconds).

        Raises InvalidToken or ExpiredToken. Audience and issuer are asked of others' tokens: an operator's
        is made by this server's own key. `iat`, `meta` and a grant's `override` are not looked at.
        """
        payload, is_operator = self._verify(text)
        if not is_operator:
            self._check_origin(payload)
        return _claims(payload, is_operator=is_operator, now=now)

    def _verify(self, text: str) -> tuple[dict[str, Any], bool]:
        try:
            for is_operator, keys in ((False, self._keys.token), (True, self._keys.operator)):
                for key in keys:
                    with suppress(jwt.InvalidSignatureError):
                        return _by_secret(text, key), is_operator
        except jwt.InvalidAlgorithmError:
            return self._verify_by_public_key(text), False
        except jwt.PyJWTError as error:
            raise InvalidToken(f"token can't be read: {error}") from None
        raise InvalidToken("token is signed with neither the token key nor the operator key")

    def _verify_by_public_key(self, text: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(text)
        for key in self.jwks.find(header.get("alg"), header.get("kid")) if self.jwks else ():
            try:
                return _payload(_PUBLIC_KEYS.decode(text, key.key, algorithms=key.algorithms))
            except jwt.PyJWTError:
                continue
        raise InvalidToken(f"no key verifies a token whose alg is {header.get('alg')!r}")

    def _check_origin(self, payload: Mapping[str, Any]) -> None:
        audience = payload.get("aud")
        if self._audience and self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidToken("token is meant for another audience")
        if self._issuer and payload.get("iss") != self._issuer:
            raise InvalidToken("token is of another issuer")


def _by_secret(text: str, key: str) -> dict[str, Any]:
    return _payload(_SECRETS.decode(text, key, algorithms=list(_BY_SECRET)))


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict):
        raise InvalidToken("token's claims are not a JSON object")
    return payload


def _claims(payload: Mapping[str, Any], *, is_operator: bool, now: float) -> Claims:
    expires_at = _seconds(payload, "exp")
    starts_at = _seconds(payload, "nbf")
    if expires_at is not None and expires_at <= now:
        raise ExpiredToken(f"token expired {now - expires_at:.0f} s ago")
    if starts_at is not None and starts_at > now:
        raise ExpiredToken(f"token becomes valid in {starts_at - now:.0f} s")
    lifetime = _seconds(payload, "expire_at")
    channel = _text(payload, "channel")
    return Claims(
        user=_text(payload, "sub") or "",
        is_operator=is_operator,
        expires_at=expires_at if lifetime is None else lifetime or None,
        info=_json(payload, "info"),
        grants=_grants(payload) if channel is None else {channel: _grant(payload)},
        channel=channel,
        client=_text(payload, "client"),
    )


def make_token(key: str, user: str, *, ttl_seconds: int | None = None, **claims: Any) -> str:
    """Sign a token for `user`; with a claim `channel` it is a subscription token for that channel alone.

    Claims that are None are left out. Raises ConfigError for an empty key.
    """
    now = int(time.time())
    expires_at = None if ttl_seconds is None else now + ttl_seconds
    payload = {"sub": user, "iat": now, "exp": expires_at, **claims}
    said = {name: value for name, value in payload.items() if value is not None}
    try:
        return _SECRETS.encode(orjson.dumps(said), key, algorithm="HS256")
    except jwt.InvalidKeyError as error:
        raise ConfigError(f"the key can't sign tokens: {error}") from None


def _seconds(payload: Mapping[str, Any], claim: str) -> int | None:
    value = payload.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > UNIX_SECONDS_MAX:
        raise InvalidToken(f"token's {claim} must be a number of unix seconds, below 2^63")
    return int(value)


def _text(payload: Mapping[str, Any], claim: str) -> str | None:
    value = payload.get(claim)
    if value is None or isinstance(value, str):
        return value
    raise InvalidToken(f"token's {claim} must be a text")


def _grants(payload: Mapping[str, Any]) -> dict[str, Grant]:
    """`subs` wins over `channels`."""
    options = payload.get("subs")
    if options is None:
        channels = payload.get("channels") or []
        if not isinstance(channels, list) or not all(isinstance(channel, str) for channel in channels):
            raise InvalidToken("token's channels must be a list of texts")
        return dict.fromkeys(channels, Grant())
    if not isinstance(options, dict) or not all(isinstance(given, dict) for given in options.values()):
        raise InvalidToken("token's subs must be an object of objects")
    return {channel: _grant(given) for channel, given in options.items()}


def _grant(options: Mapping[str, Any]) -> Grant:
    return Grant(info=_json(options, "info"), data=_json(options, "data"))


def _json(payload: Mapping[str, Any], claim: str) -> bytes:
    """The claim, or what its base64 form holds."""
    encoded = _text(payload, f"b64{claim}")
    try:
        return json_text(orjson.loads(b64decode(encoded, validate=True)) if encoded else payload.get(claim))
    except orjson.JSONEncodeError as error:
        raise InvalidToken(f"token's {claim} can't be told to others: {error}") from None
    except ValueError:
        raise InvalidToken(f"token's b64{claim} must be base64 of JSON") from None


def json_text(value: Any) -> bytes:
    """On one line, empty for None.

    Made where the value comes in: what is read may be nested more deeply than can be written.
    Raises JSONEncodeError.
    """
    return b"" if value is None else orjson.dumps(value)
