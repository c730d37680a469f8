"""What orders and bots are told by: payloads of five types, from our own feeds or from a backend.

Decides which of them the state takes. What has one of these types and can't be taken is refused
before it goes out: else a screen opened later, or after a restart, would show less than one that
was there. Any other payload is its publisher's own affair.
"""

from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta

from monitor.errors import LanecastError

Told = dict[str, Any]
"""What a payload says, before it is text: an object with a `type`."""

_Name = Annotated[str, Meta(min_length=1)]
_Decimal = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$")] | None
_Status = Annotated[str, Meta(pattern=r"^[A-Z_]+$")]


class BadTold(LanecastError):
    """A payload has one of our types and not what that needs."""


class _Order(msgspec.Struct):
    market: _Name
    order: _Name
    status: _Status
    price: _Decimal = None
    size: _Decimal = None
    filled: _Decimal = None
    time: int | None = None


class _Fill(msgspec.Struct):
    market: _Name
    fill: _Name
    price: _Decimal = None
    size: _Decimal = None
    filled: _Decimal = None
    order_size: _Decimal = None
    fee: _Decimal = None
    time: int | None = None


class _Bot(msgspec.Struct, kw_only=True):
    bot: _Name
    time: int | None = None


class _Lifecycle(_Bot, kw_only=True):
    action: _Name


_FORMS = {
    "order_update": _Order,
    "order_fill": _Fill,
    "bot_status": _Bot,
    "bot_cycle": _Bot,
    "bot_lifecycle": _Lifecycle,
}


def read_told(payload: bytes) -> Told | None:
    """What a payload says; None if it has none of our types, as backends publish what they like.

    Raises:
        BadTold: it has one, and something that this type needs is missing or wrong.
    """
    try:
        told = orjson.loads(payload)
        form = _FORMS[told["type"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    try:
        msgspec.convert(told, form)
    except msgspec.ValidationError as error:
        raise BadTold(f"{told['type']}: {error}") from None
    return dict(told)
