"""Namespaces decide how their channels are delivered; kinds are what a latency is promised for.

A channel's namespace is the word before its colon, or, for a finer rule, the channel up to its
first dot. Each delivers in exactly one way, so nobody has to guess what a publication means.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Annotated, Any, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError


class Lane(IntEnum):
    """The four priorities; a lower number always leaves first."""

    IMMEDIATE = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


class Delivery(StrEnum):
    """The one way in which a namespace delivers."""

    STREAM = "stream"
    """Every publication, never merged."""
    LATEST = "latest"
    """Each publication is whole; a pending one is replaced."""
    STATE = "state"
    """Publications are changes by key; two pending ones merge into one."""
    MAP = "map"
    """A publication sets or removes one key; subscribers read the state in pages, then the changes."""

    @property
    def merges(self) -> bool:
        """Whether one pending publication can stand for two."""
        return self in (Delivery.LATEST, Delivery.STATE)


class Access(StrEnum):
    """Who may read."""

    PUBLIC = "public"
    TOKEN = "token"
    """Whose token names the channel: its `sub` is the name after the colon, or it grants the channel."""
    OPERATOR = "operator"
    """Whose token is signed with the operator key; no other token grants such a channel."""


class ClientKey(StrEnum):
    """Which key of a map a client may publish to."""

    ANY = ""
    CLIENT = "client_id"
    """One named by its connection, whatever it asks for."""
    USER = "user_id"


class Lists(StrEnum):
    """Whom a map lists, of those who are subscribed to the channel that it is about."""

    NOBODY = ""
    CLIENTS = "clients"
    """By client id, while they are there."""
    USERS = "users"
    """By user id, and for the time of a key beyond."""


def _lane(value: object) -> object:
    if isinstance(value, str):
        try:
            return Lane[value.upper()]
        except KeyError:
            raise ValueError(f"must be one of {', '.join(lane.name.lower() for lane in Lane)}") from None
    return value


def refuse_truth(cls: type[BaseModel], value: object, info: ValidationInfo) -> object:
    """Refuse true and false where a number belongs: as Python has it they would be 1 and 0."""
    if isinstance(value, bool):
        for number in {int, float}.intersection(_parts(cls.model_fields[str(info.field_name)].annotation)):
            raise PydanticCustomError(f"{number.__name__}_type", "must be a number")
    return value


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotation, and all that it is put together from."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


class Section(BaseModel):
    """A part of the settings: an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    _refuse_truth = field_validator("*", mode="before")(refuse_truth)


class Kind(Section):
    threshold_ms: Annotated[float, Field(gt=0, le=60_000)] | None = None
    """Promised from publish to the last client's socket; None promises nothing."""


class Namespace(Section):
    lane: Annotated[Lane, BeforeValidator(_lane)] = Lane.NORMAL
    delivery: Delivery = Delivery.STREAM
    kind: str = "message"
    """The kind of a publication that names none."""
    access: Access = Access.PUBLIC
    gather: bool = False
    """Gather publications for one tick, so that they leave in one shared frame."""
    interval_ms: Annotated[int, Field(ge=0, le=600_000)] = 0
    """Least time between two publications of market state; 0 is every tick."""
    history_size: Annotated[int, Field(ge=0, le=100_000)] = 0
    history_bytes: Annotated[int, Field(ge=1_024, le=1_073_741_824)] = 4_194_304
    """Of the payloads that are kept; a publication that is larger is not kept."""
    history_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = 0
    """0 keeps what `history_size` and `history_bytes` allow for as long as the server runs."""
    delta: bool = False
    """Clients that ask for it get publications as Fossil deltas of the ones before, where that is shorter."""
    tags_filter: bool = False
    """Subscribers may ask for the publications with certain tags only."""
    journal: bool = False
    """Publications go to the journal before they are sent, and survive the server."""
    key_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = 0
    """Of a map: a key that is not written for so long goes; 0 keeps it."""
    key_limit: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    """Of a map: keys a channel."""
    client_key: ClientKey = ClientKey.ANY
    """Of a map: the one key that a client may publish to, so that none writes another's."""
    lists: Lists = Lists.NOBODY
    """Of a map: it lists who is subscribed to the channel that stands after its colon, if that is listed."""
    listed_in: tuple[str, ...] = ()
    """Namespaces of maps with `lists`: who is subscribed to `news:a` is in `here:news:a`, for "here"."""
    publish_debounce_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    """Of a map: clients are asked to publish a key at most once in so long."""
    publish: bool = False
    """Subscribers may publish."""
    presence: bool = False
    join_leave: bool = False
    """Subscribers are told who comes and goes."""
    subscriber_limit: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """0 is unlimited."""

    @model_validator(mode="after")
    def _check_map(self) -> Self:
        if self.delivery is Delivery.MAP and not (self.history_size or self.key_seconds):
            raise ValueError(
                'delivery "map" needs history_size, so that clients can come back to where they were,'
                " or key_seconds, so that keys which nobody writes go"
            )
        return self

    @property
    def subscription_type(self) -> int:
        """What the protocol calls it."""
        return 1 + list(Lists).index(self.lists) if self.delivery is Delivery.MAP else 0

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if self.lists and (self.delivery is not Delivery.MAP or self.publish or self.listed_in):
            raise ValueError('lists needs delivery "map", without publish or listed_in')
        if self.lists is Lists.USERS and not self.key_seconds:
            raise ValueError('lists "users" needs key_seconds: a user goes by that time, not with a client')
        return self

    @model_validator(mode="after")
    def _check_delta(self) -> Self:
        if self.delta and self.delivery is Delivery.STATE:
            raise ValueError("delta is not for delivery state: its publications are changes already")
        return self

    @model_validator(mode="after")
    def _check_tags_filter(self) -> Self:
        if self.tags_filter and self.delivery.merges:
            raise ValueError(
                "tags_filter is for delivery stream or map: a latest or state publication stands for others"
            )
        return self

    @model_validator(mode="after")
    def _journal_keeps_positions(self) -> Self:
        if self.journal and (self.delivery is not Delivery.STREAM or not self.history_size):
            raise ValueError(
                f"journal needs delivery stream and a history_size of at least 1,"
                f" got {self.delivery} and {self.history_size}"
            )
        return self


def _namespace_name(name: str) -> str:
    if "." in name or name.count(":") > 1:
        raise ValueError("must be what stands before a channel's colon, or the channel up to its first dot")
    if name.startswith("$") or not (name.isascii() and name.isprintable()):
        raise ValueError(
            "must be printable ASCII, and without the $ of private channels: no other is looked for"
        )
    return name


NamespaceName = Annotated[str, AfterValidator(_namespace_name)]


def _market(**changes: Any) -> Namespace:
    return Namespace(**{"gather": True, **changes})


def _account_stream(kind: str) -> Namespace:
    return Namespace(lane=Lane.IMMEDIATE, kind=kind, access=Access.TOKEN, history_size=1_000, journal=True)


DEFAULT_NAMESPACES: dict[str, Namespace] = {
    "orders": _account_stream("order_update"),
    "bots": _account_stream("bot_status"),
    "botstate": Namespace(
        lane=Lane.HIGH,
        kind="bot_state",
        access=Access.TOKEN,
        delivery=Delivery.MAP,
        interval_ms=50,
        history_size=1_000,
    ),
    "open_orders": Namespace(
        lane=Lane.HIGH,
        kind="open_orders",
        access=Access.TOKEN,
        delivery=Delivery.MAP,
        interval_ms=50,
        history_size=1_000,
    ),
    "trades": _market(kind="trade", history_size=300),
    "ticker": _market(kind="ticker", delivery=Delivery.LATEST),
    "book": _market(kind="book", delivery=Delivery.STATE, interval_ms=100),
    "market:hot": _market(lane=Lane.LOW, kind="hot_markets", delivery=Delivery.STATE, interval_ms=5_000),
    "market:analytics": _market(lane=Lane.LOW, kind="analytics", delivery=Delivery.STATE, interval_ms=2_000),
    "market:sparkline": _market(lane=Lane.LOW, kind="sparkline", delivery=Delivery.STATE, interval_ms=5_000),
    "market:feeds": Namespace(lane=Lane.HIGH, kind="ops", delivery=Delivery.LATEST),
    "ops": Namespace(lane=Lane.HIGH, kind="ops", access=Access.OPERATOR, delivery=Delivery.LATEST),
    "experiment": Namespace(lane=Lane.HIGH, subscriber_limit=1_000),
    "session": Namespace(lane=Lane.HIGH, subscriber_limit=1_000),
    "dashboard": Namespace(lane=Lane.HIGH, subscriber_limit=1_000),
}
"""Keyed by what stands before the colon, or by the channel up to a dot for a finer rule."""

_FILLED = {
    name: namespace.delivery
    for name, namespace in DEFAULT_NAMESPACES.items()
    if name not in ("experiment", "session", "dashboard")
}


def delivery_of_ours(name: str) -> Delivery | None:
    """How a namespace must be delivered, as Lanecast itself fills its channels; None if it fills none."""
    return _FILLED.get(name) or _FILLED.get(name.partition(":")[0])


DEFAULT_KINDS: dict[str, Kind] = {
    "order_fill": Kind(threshold_ms=10),
    "order_update": Kind(threshold_ms=25),
    "bot_status": Kind(threshold_ms=50),
    "bot_cycle": Kind(threshold_ms=50),
    "bot_lifecycle": Kind(threshold_ms=100),
    "bot_state": Kind(threshold_ms=100),
    "open_orders": Kind(threshold_ms=100),
    "trade": Kind(threshold_ms=100),
    "ticker": Kind(threshold_ms=100),
    "book": Kind(threshold_ms=100),
    "message": Kind(threshold_ms=100),
    "hot_markets": Kind(),
    "analytics": Kind(),
    "sparkline": Kind(),
    "ops": Kind(),
}


def is_probes_own(name: str) -> bool:
    """Whether a run of `lanecast probe` called its channels so: what it tells of there is nobody's."""
    return re.fullmatch(r"probe-[0-9a-f]{8}", name) is not None


def journaled_namespaces(namespaces: Mapping[str, Namespace]) -> str:
    """Those that are journaled, and finer ones of theirs that are not: a text to compare, empty for none."""
    journaled = {name for name, namespace in namespaces.items() if namespace.journal}
    told = {name: name in journaled for name in namespaces if {name, name.partition(":")[0]} & journaled}
    return json.dumps(told, sort_keys=True) if told else ""


class Namespaces:
    """Which namespace a channel belongs to."""

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self._namespaces = namespaces
        self.find: Callable[[str], Namespace | None] = lru_cache(maxsize=4_096)(self._find)
        """The channel's namespace, None for an unknown one. It remembers few: clients choose the names."""

    def _find(self, channel: str) -> Namespace | None:
        name, colon, rest = channel.removeprefix("$").partition(":")
        if not colon:
            return self._namespaces.get("")
        finer = f"{name}:{rest.partition('.')[0]}"
        return self._namespaces.get(finer) or self._namespaces.get(name)
