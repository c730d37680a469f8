from typing import Any

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.keyring import Keyring
from monitor.keys import Keys
from monitor.serve.tokens import Claims, ExpiredToken, Grant, InvalidToken, TokenReader, json_text, make_token

TOKEN_KEY = "t" * 64
OPERATOR_KEY = "o" * 64
NOW = 1_700_000_000.0
NESTED = orjson.Fragment(b"[" * 500 + b"]" * 500)
"""More deeply than can be written again."""


def reader(*, token: str = TOKEN_KEY, operator: str = OPERATOR_KEY, **settings: Any) -> TokenReader:
    return TokenReader(Keyring(Keys(api="a" * 64, operator=operator, token=token)), Settings(**settings))


def read(text: str, now: float = NOW, **settings: Any) -> Claims:
    return reader(**settings).read(text, now)


def sign(claims: dict[str, Any], key: str = TOKEN_KEY, algorithm: str = "HS256") -> str:
    return jwt.PyJWS().encode(orjson.dumps(claims), key, algorithm=algorithm)


def test_made_token_is_read_back() -> None:
    claims = read(make_token(TOKEN_KEY, "acct", info={"name": "Ann"}))
    assert claims == Claims("acct", info=json_text({"name": "Ann"}))


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
    assert read(sign({"iat": 1_500_000_000})) == Claims()


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_hmac_algorithms_are_accepted(algorithm: str) -> None:
    assert read(sign({"sub": "a"}, algorithm=algorithm)).user == "a"


def test_short_key_verifies_without_a_warning() -> None:
    assert reader(token="secret").read(make_token("secret", "a"), NOW).user == "a"


def test_empty_key_signs_and_verifies_nothing() -> None:
    with pytest.raises(ConfigError, match="the key can't sign tokens: it is empty"):
        make_token("", "a")
    with pytest.raises(InvalidToken):
        reader(token="", operator="").read(make_token(TOKEN_KEY, "a"), NOW)


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
    assert read(sign({"channels": ["a", "b"]})).grants == {"a": Grant(), "b": Grant()}
    assert read(sign({"channels": ["a"], "subs": {"c": {}}})).grants == {"c": Grant()}


def test_each_of_subs_has_an_info_and_data_of_its_own() -> None:
    subs = {"a": {"info": 1, "data": {"b": 2}}, "c": {"b64info": "Mw==", "b64data": "NA=="}}
    assert read(sign({"subs": subs})).grants == {
        "a": Grant(json_text(1), json_text({"b": 2})),
        "c": Grant(json_text(3), json_text(4)),
    }


def test_subscription_token_grants_its_channel_alone() -> None:
    claims = read(sign({"channel": "a", "channels": ["b"], "info": 1, "data": 2}))
    assert claims.grants == {"a": Grant(json_text(1), json_text(2))}


def test_b64info_is_decoded() -> None:
    assert read(sign({"b64info": "eyJhIjoxfQ=="})).info == json_text({"a": 1})


@pytest.mark.parametrize("audience", ["lanecast", ["other", "lanecast"]])
def test_token_for_this_audience_and_of_this_issuer_is_read(audience: Any) -> None:
    text = sign({"sub": "a", "aud": audience, "iss": "home"})
    assert read(text, token_audience="lanecast", token_issuer="home").user == "a"
    assert read(text).user == "a"


@pytest.mark.parametrize(
    "claims", [{}, {"aud": "lanecast"}, {"iss": "home"}, {"aud": "lane", "iss": "home"}, {"aud": 1, "iss": 2}]
)
def test_token_for_another_audience_or_of_another_issuer_is_invalid(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken, match="another"):
        read(sign(claims), token_audience="lanecast", token_issuer="home")


def test_operators_token_needs_no_audience() -> None:
    assert read(make_token(OPERATOR_KEY, "me"), token_audience="lanecast", token_issuer="home").is_operator


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 42},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e308},
        {"nbf": -1e308},
        {"expire_at": 2**63},
        {"channel": ["a"]},
        {"channels": "a"},
        {"channels": [1]},
        {"subs": ["a"]},
        {"b64info": "!"},
        {"b64info": "e30"},
        {"subs": {"a": 1}},
        {"subs": {"a": {"b64data": "!"}}},
        {"client": 1},
        {"info": NESTED},
        {"subs": {"a": {"data": NESTED}}},
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
