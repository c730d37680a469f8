from typing import Any

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import DEFAULT_NAMESPACES
from monitor.errors import ConfigError
from monitor.serve.access import Claims, ExpiredToken, InvalidToken, allows, make_token, read_token

TOKEN_KEY = "t" * 64
OPERATOR_KEY = "o" * 64
NOW = 1_700_000_000.0


def read(text: str, now: float = NOW) -> Claims:
    return read_token(text, token_key=TOKEN_KEY, operator_key=OPERATOR_KEY, now=now)


def sign(claims: dict[str, Any], key: str = TOKEN_KEY, algorithm: str = "HS256") -> str:
    return jwt.PyJWS().encode(orjson.dumps(claims), key, algorithm=algorithm)


def bearer(user: str, *, is_operator: bool = False) -> Claims:
    return Claims(user, None, is_operator, None, (), None, None)


def test_made_token_is_read_back() -> None:
    claims = read(make_token(TOKEN_KEY, "acct", info={"name": "Ann"}))
    assert claims == Claims("acct", None, False, None, (), {"name": "Ann"}, None)


def test_made_token_ends_after_its_ttl() -> None:
    expires_at = read(make_token(TOKEN_KEY, "acct", ttl_seconds=60)).expires_at
    assert expires_at is not None
    with pytest.raises(ExpiredToken):
        read(make_token(TOKEN_KEY, "acct", ttl_seconds=60), now=expires_at + 60)


def test_made_subscription_token_names_its_channel() -> None:
    assert read(make_token(TOKEN_KEY, "acct", channel="orders:acct")).channel == "orders:acct"


def test_operator_key_makes_an_operator() -> None:
    assert read(make_token(OPERATOR_KEY, "me")).is_operator
    assert not read(make_token(TOKEN_KEY, "me")).is_operator


def test_token_without_sub_and_exp_and_with_old_iat_is_anonymous() -> None:
    assert read(sign({"iat": 1_500_000_000})) == bearer("")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_hmac_algorithms_are_accepted(algorithm: str) -> None:
    assert read(sign({"sub": "a"}, algorithm=algorithm)).user == "a"


def test_short_key_verifies_without_a_warning() -> None:
    text = make_token("secret", "a")
    assert read_token(text, token_key="secret", operator_key=OPERATOR_KEY, now=NOW).user == "a"


def test_empty_key_signs_and_verifies_nothing() -> None:
    with pytest.raises(ConfigError, match="the key can't sign tokens: it is empty"):
        make_token("", "a")
    with pytest.raises(InvalidToken):
        read_token(make_token(TOKEN_KEY, "a"), token_key="", operator_key="", now=NOW)


def test_unsigned_token_is_invalid() -> None:
    with pytest.raises(InvalidToken):
        read(sign({"sub": "a"}, key="", algorithm="none"))


def test_token_of_another_key_is_invalid() -> None:
    with pytest.raises(InvalidToken, match="neither the token key nor the operator key"):
        read(make_token("x" * 64, "a"))


@pytest.mark.parametrize("claims", [{"exp": NOW}, {"exp": NOW - 0.5}, {"nbf": NOW + 1}])
def test_token_outside_its_time_is_expired_not_invalid(claims: dict[str, Any]) -> None:
    with pytest.raises(ExpiredToken):
        read(sign(claims))


def test_forged_token_is_invalid_even_when_it_is_expired() -> None:
    with pytest.raises(InvalidToken):
        read(sign({"exp": 1}, key="x" * 64))


def test_expire_at_overrides_the_connections_end_but_not_the_tokens() -> None:
    assert read(sign({"exp": NOW + 10, "expire_at": NOW + 99})).expires_at == NOW + 99
    assert read(sign({"exp": NOW + 10, "expire_at": 0})).expires_at is None
    with pytest.raises(ExpiredToken):
        read(sign({"exp": NOW - 10, "expire_at": 0}))


def test_subs_win_over_channels() -> None:
    assert read(sign({"channels": ["a", "b"]})).channels == ("a", "b")
    assert read(sign({"channels": ["a"], "subs": {"c": {}}})).channels == ("c",)


def test_b64info_is_decoded() -> None:
    assert read(sign({"b64info": "eyJhIjoxfQ=="})).info == {"a": 1}


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 42},
        {"exp": "soon"},
        {"exp": True},
        {"channel": ["a"]},
        {"channels": "a"},
        {"channels": [1]},
        {"subs": ["a"]},
        {"b64info": "!"},
        {"b64info": "e30"},
    ],
)
def test_claim_of_a_wrong_type_is_invalid(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        read(sign(claims))


def test_claims_that_are_no_object_are_invalid() -> None:
    with pytest.raises(InvalidToken, match="JSON object"):
        read(jwt.PyJWS().encode(b"[1]", TOKEN_KEY))


@given(st.text())
def test_any_text_is_invalid_and_nothing_worse(text: str) -> None:
    with pytest.raises(InvalidToken):
        read(text)


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_character_never_makes_another_user(position: int, character: str) -> None:
    text = make_token(TOKEN_KEY, "acct", ttl_seconds=60)
    position %= len(text)
    changed = text[:position] + character + text[position + 1 :]
    try:
        claims = read(changed)
    except (InvalidToken, ExpiredToken):
        return
    assert claims.user == "acct"
    assert not claims.is_operator


def may_read(channel: str, claims: Claims, public: frozenset[str] = frozenset()) -> bool:
    namespace = DEFAULT_NAMESPACES[channel.partition(":")[0]]
    return allows(namespace, channel, claims, public_accounts=public)


def test_public_channel_is_anyones() -> None:
    assert may_read("trades:all", bearer(""))


def test_account_channel_is_its_users_alone() -> None:
    assert may_read("orders:acct", bearer("acct"))
    assert not may_read("orders:acct", bearer("other"))
    assert not may_read("orders:acct", bearer(""))
    assert not may_read("orders:", bearer(""))


def test_public_account_is_anyones() -> None:
    assert may_read("orders:paper", bearer(""), frozenset({"paper"}))


def test_operator_reads_everything_and_nobody_else_reads_ops() -> None:
    assert may_read("ops:health", bearer("", is_operator=True))
    assert may_read("orders:acct", bearer("", is_operator=True))
    assert not may_read("ops:health", bearer("health"), frozenset({"health"}))
