"""Who a client is, and which channels he may read.

A token is a JWT signed with the token key; one signed with the operator key makes its bearer an
operator. A wrong token ends the connection for good, an expired one only asks for another: mixing
the two up locks out a client that would have refreshed, or lets a forged one retry for ever.
"""

import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from jwt.algorithms import HMACAlgorithm

from monitor.config import Access, Namespace
from monitor.errors import ConfigError, PeerError


class InvalidToken(PeerError):
    """Forged, malformed or not meant for this use; the client must not come back with it."""


class ExpiredToken(PeerError):
    """Genuine, but outside its `nbf` and `exp`; the client may fetch a new one."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says of its bearer."""

    user: str
    """Empty for an anonymous bearer."""
    expires_at: int | None
    """End of the connection or subscription, unix seconds; None never ends it."""
    is_operator: bool
    channel: str | None
    """Set in a subscription token only."""
    channels: tuple[str, ...]
    """Server-side subscriptions."""
    info: Any
    """JSON shown to others as `conn_info` or `chan_info`; None for nothing."""
    client: str | None


class _Hmac(HMACAlgorithm):
    """Takes a key as it is: `load_keys` has judged it.

    PyJWT's search of every key for PEM, DER and JWK guards against public keys taken for secrets,
    which can't happen where HMAC is all there is, and costs twice what the check itself does.
    """

    def prepare_key(self, key: str | bytes) -> bytes:
        if not key:
            raise jwt.InvalidKeyError("it is empty")
        return key.encode() if isinstance(key, str) else key

    def check_key_length(self, key: Any) -> None:
        return None


_ALGORITHMS = {
    "HS256": _Hmac(HMACAlgorithm.SHA256),
    "HS384": _Hmac(HMACAlgorithm.SHA384),
    "HS512": _Hmac(HMACAlgorithm.SHA512),
}


def _signatures() -> jwt.PyJWS:
    signatures = jwt.PyJWS(algorithms=[])
    for name, algorithm in _ALGORITHMS.items():
        signatures.register_algorithm(name, algorithm)
    return signatures


_SIGNATURES = _signatures()


def read_token(text: str, *, token_key: str, operator_key: str, now: float) -> Claims:
    """Return the claims of a token that is genuine and valid at `now` (unix seconds).

    Raises InvalidToken or ExpiredToken. `iat`, `aud` and `iss` are not looked at.
    """
    payload, is_operator = _verify(text, token_key, operator_key)
    expires_at = _seconds(payload, "exp")
    starts_at = _seconds(payload, "nbf")
    if expires_at is not None and expires_at <= now:
        raise ExpiredToken(f"token expired {now - expires_at:.0f} s ago")
    if starts_at is not None and starts_at > now:
        raise ExpiredToken(f"token becomes valid in {starts_at - now:.0f} s")
    lifetime = _seconds(payload, "expire_at")
    return Claims(
        user=_text(payload, "sub") or "",
        expires_at=expires_at if lifetime is None else lifetime or None,
        is_operator=is_operator,
        channel=_text(payload, "channel"),
        channels=_channels(payload),
        info=_info(payload),
        client=_text(payload, "client"),
    )


def make_token(
    key: str, user: str, *, ttl_seconds: int | None = None, channel: str | None = None, info: Any = None
) -> str:
    """Sign a token for `user`; with `channel` it is a subscription token for that channel alone."""
    now = int(time.time())
    claims: dict[str, Any] = {"sub": user, "iat": now}
    if ttl_seconds is not None:
        claims["exp"] = now + ttl_seconds
    if channel is not None:
        claims["channel"] = channel
    if info is not None:
        claims["info"] = info
    try:
        return _SIGNATURES.encode(orjson.dumps(claims), key, algorithm="HS256")
    except jwt.InvalidKeyError as error:
        raise ConfigError(f"the key can't sign tokens: {error}") from None


def allows(namespace: Namespace, channel: str, claims: Claims, *, public_accounts: frozenset[str]) -> bool:
    """Whether the bearer of `claims` may read `channel` without a subscription token."""
    if claims.is_operator or namespace.access is Access.PUBLIC:
        return True
    if namespace.access is Access.OPERATOR:
        return False
    account = channel.partition(":")[2]
    return account in public_accounts or (account != "" and account == claims.user)


def _verify(text: str, token_key: str, operator_key: str) -> tuple[dict[str, Any], bool]:
    try:
        return _payload(text, token_key), False
    except jwt.InvalidSignatureError:
        pass
    except jwt.PyJWTError as error:
        raise InvalidToken(f"token can't be read: {error}") from None
    try:
        return _payload(text, operator_key), True
    except jwt.PyJWTError:
        raise InvalidToken("token is signed with neither the token key nor the operator key") from None


def _payload(text: str, key: str) -> dict[str, Any]:
    body = _SIGNATURES.decode(text, key, algorithms=list(_ALGORITHMS))
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict):
        raise InvalidToken("token's claims are not a JSON object")
    return payload


def _seconds(payload: Mapping[str, Any], claim: str) -> int | None:
    value = payload.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidToken(f"token's {claim} must be a number of unix seconds")
    return int(value)


def _text(payload: Mapping[str, Any], claim: str) -> str | None:
    value = payload.get(claim)
    if value is None or isinstance(value, str):
        return value
    raise InvalidToken(f"token's {claim} must be a text")


def _channels(payload: Mapping[str, Any]) -> tuple[str, ...]:
    subscriptions = payload.get("subs")
    if isinstance(subscriptions, dict):
        return tuple(subscriptions)
    channels = payload.get("channels") or []
    if subscriptions is not None or not isinstance(channels, list):
        raise InvalidToken("token's subs must be an object and its channels a list")
    if not all(isinstance(channel, str) for channel in channels):
        raise InvalidToken("token's channels must be texts")
    return tuple(channels)


def _info(payload: Mapping[str, Any]) -> Any:
    encoded = _text(payload, "b64info")
    if not encoded:
        return payload.get("info")
    try:
        return orjson.loads(b64decode(encoded, validate=True))
    except ValueError:
        raise InvalidToken("token's b64info must be base64 of JSON") from None
