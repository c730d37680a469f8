"""What orders and bots are told by: payloads of five types, from our own feeds or from a backend.

Decides which of them the state takes. What a backend publishes with one of these types must have what the
page and the console show, in their form: else it is refused before it goes out, and not shown as nothing.
A payload of a type of its publisher's own is his affair.
"""

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NamedTuple

import orjson

from monitor.errors import LanecastError

Told = dict[str, Any]
"""What a payload says, before it is text: an object with a `type`."""

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_SIGNED = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MARKET = re.compile(r"[^.=][^.]*\..+")
_TIME_FROM_MS = 100_000_000_000
"""1973: a smaller number is one of seconds."""


class BadTold(LanecastError):
    """A payload has one of our types and not what that needs."""


class _Form(NamedTuple):
    fits: Callable[[Any], bool]
    words: str


def _one_of(*words: str) -> _Form:
    return _Form(lambda value: value in words, f"one of {', '.join(words)}")


_TEXT = _Form(lambda value: isinstance(value, str) and value != "", "a text")
_AMOUNT = _Form(
    lambda value: isinstance(value, str) and _DECIMAL.fullmatch(value) is not None,
    'a decimal text, as "61837.63"',
)
_MONEY = _Form(
    lambda value: isinstance(value, str) and _SIGNED.fullmatch(value) is not None,
    'a decimal text, as "-12.5"',
)
_COUNT = _Form(lambda value: isinstance(value, int) and value >= 0, "a whole number")
_TIME = _Form(lambda value: isinstance(value, int) and value > _TIME_FROM_MS, "milliseconds since 1970")
_MARKET_NAME = _Form(
    lambda value: isinstance(value, str) and _MARKET.fullmatch(value) is not None,
    'a venue and its market, as "my.BTCUSDT"',
)
_SIDE = _one_of("buy", "sell")
OPEN_STATUSES = ("NEW", "PARTIALLY_FILLED", "PENDING_NEW", "PENDING_CANCEL")
_STATUS = _one_of(*OPEN_STATUSES, "FILLED", "CANCELED", "REJECTED", "EXPIRED", "EXPIRED_IN_MATCH", "GONE")
_OPTIONAL = {
    "time": _TIME,
    "missing_since": _TIME,
    **dict.fromkeys(("filled", "order_size", "average_price", "take_profit_price"), _AMOUNT),
    **dict.fromkeys(("fee", "profit", "position"), _MONEY),
    **dict.fromkeys(("cycle", "cycles", "safety_orders", "safety_orders_max"), _COUNT),
}

_DEAL = {"market": _MARKET_NAME, "side": _SIDE, "price": _AMOUNT, "size": _AMOUNT}
_NEEDED: dict[str, dict[str, _Form]] = {
    "order_update": _DEAL | {"order": _TEXT, "status": _STATUS},
    "order_fill": _DEAL | {"fill": _TEXT, "time": _TIME},
    "bot_status": {"bot": _TEXT, "status": _one_of("active", "paused", "stopped")},
    "bot_cycle": {
        "bot": _TEXT,
        "phase": _one_of("base_order", "safety_order", "take_profit", "completed"),
    },
    "bot_lifecycle": {
        "bot": _TEXT,
        "action": _one_of("created", "started", "paused", "stopped", "deleted"),
    },
}
_TAKEN_BY = {
    "order_update": ("market", "order", "status"),
    "order_fill": ("market", "fill"),
    "bot_status": ("bot",),
    "bot_cycle": ("bot",),
    "bot_lifecycle": ("bot", "action"),
}
"""The texts without which the state can't hold it."""
TYPES = {"orders": ("order_update", "order_fill"), "bots": ("bot_status", "bot_cycle", "bot_lifecycle")}
"""By the namespace in which they are told."""


def read_told(payload: bytes) -> Told | None:
    """What a payload says; None if it has none of our types, or not what the state takes it by."""
    try:
        told = orjson.loads(payload)
        needed = _TAKEN_BY[told["type"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return dict(told) if all(isinstance(told.get(name), str) for name in needed) else None


def check_told(channel: str, payload: bytes) -> None:
    """Look at what a backend is about to publish, if the channel is an account's.

    Raises:
        BadTold: it is of no account, or its type is one of ours or nearly so, and it belongs elsewhere or is
            not in our form.
    """
    namespace, _, account = channel.partition(":")
    if namespace not in TYPES:
        return
    if not account:
        raise BadTold(f"{channel!r} names no account, as {namespace + ':ann'!r} does")
    try:
        told = orjson.loads(payload)
        kind = told["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return
    if not isinstance(kind, str):
        return
    if kind in TYPES[namespace]:
        _check_form(kind, told)
    else:
        _check_other(namespace, kind)


def _check_form(kind: str, told: Told) -> None:
    for name, form in _NEEDED[kind].items():
        if told.get(name) is None:
            raise BadTold(f"{kind} needs {name}: {form.words}")
    for name, form in (_OPTIONAL | _NEEDED[kind]).items():
        if told.get(name) is not None and not form.fits(told[name]):
            raise BadTold(f"{kind}: {name} {told[name]!r}: must be {form.words}")


def _check_other(namespace: str, kind: str) -> None:
    for other, types in TYPES.items():
        if kind in types:
            raise BadTold(f"{kind} belongs to {other}:, not to {namespace}:")
    if near := get_close_matches(kind, TYPES[namespace], n=1, cutoff=0.8):
        raise BadTold(f"type {kind!r} is none of {', '.join(TYPES[namespace])}; did you mean {near[0]!r}?")
