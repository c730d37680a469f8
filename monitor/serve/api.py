"""The HTTP API for backends: Centrifugo's methods, one POST each, with an API key.

Application errors are answered with status 200 and an `error` body, as its clients expect;
HTTP's own statuses are for a wrong key, verb, method or body. Payloads stay raw bytes.
"""

import hmac
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import msgspec
import orjson

from monitor import __version__
from monitor.broadcast.channel import Channel
from monitor.broadcast.history import Position
from monitor.broadcast.hub import Hub
from monitor.broadcast.receipt import Receipt
from monitor.health.rates import NS_PER_SECOND
from monitor.keyring import Keyring
from monitor.serve import channels, protocol
from monitor.serve.access import opens_to_backends
from monitor.serve.bodies import (
    BatchParams,
    BroadcastParams,
    ChannelParams,
    ChannelsParams,
    DisconnectParams,
    HistoryParams,
    InfoParams,
    PayloadParams,
    PublishParams,
    RefreshParams,
    SessionParams,
    check_utf8,
    decode,
)
from monitor.serve.house import House
from monitor.serve.http import HttpError, Request, Response, json
from monitor.serve.map_api import MAP_METHODS, Method, repeated
from monitor.serve.once import Once
from monitor.serve.protocol import CommandError, Goodbye, Refusal
from monitor.serve.session import Session
from monitor.serve.subscription import push_server_side
from monitor.serve.tokens import Grant, json_text
from monitor.turn import Turn

NODE_ID = str(uuid.uuid4())

_EMPTY = b"{}"
_TRANSPORT_STATUS = {100: 500, 102: 404, 104: 404, 107: 400, 108: 400, 112: 416, 113: 409}


End = Callable[[], Awaitable[bytes]]
"""Makes the result of a call, once what it published is on its way."""


class Api:
    def __init__(self, house: House, keys: Keyring) -> None:
        self._house = house
        self._keys = keys
        self._published: Once[Receipt] = Once()
        self._called: Mapping[str, Once[bytes]] = {method: Once() for method in METHODS}
        """By method: a key that has set something does not keep it from being removed."""

    def check_key(self, request: Request) -> None:
        """Raises HttpError 401 unless the request carries an API key, 400 for one in the URL."""
        if "api_key=" in request.query:
            raise HttpError(
                400,
                "a key in a URL ends up in logs and histories: rotate it, and send the new one as X-API-Key",
            )
        given = request.headers.get("x-api-key", "")
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if not given and scheme.lower() == "apikey":
            given = credentials.strip()
        if not any(hmac.compare_digest(given.encode(), key.encode()) for key in self._keys.api):
            raise HttpError(401, "the API key is missing or wrong: send it as X-API-Key")

    async def answer(self, method: str, request: Request) -> Response:
        """Carry out one call; the key has been checked. What it says of many gives way in between.

        Raises:
            HttpError: unknown method, or a body that does not parse.
        """
        if method not in (*NAMES, "batch"):
            raise HttpError(404, f"no API method {method!r}; there are {', '.join([*NAMES, 'batch'])}")
        body = check_utf8(request.body) or _EMPTY
        if method == "batch":
            commands = decode(BatchParams, body).commands
            begun = await _in_turns(partial(self._begin_one, command) for command in commands)
            return json(200, b'{"replies":[%s]}' % await _joined(begun))
        try:
            end = await self._begin(method, body)
            return json(200, b'{"result":%s}' % await end())
        except CommandError as error:
            return _failure(error.refusal, request.headers.get("x-centrifugo-error-mode") == "transport")

    async def _begin(self, method: str, body: bytes) -> End:
        """Carry out a call; several are all begun before one is waited for, so one commit keeps them."""
        if method == "publish":
            publish = decode(PublishParams, body)
            return _published(self._publish_once(publish.channel, publish))
        if method == "broadcast":
            return await self._broadcast(decode(BroadcastParams, body))
        return _ready(self._call(method, body))

    def _call(self, method: str, body: bytes) -> bytes:
        """Carry out what publishes no message, or give the first result again for an idempotency key."""
        params, carry_out = METHODS[method]
        given = decode(params, body)
        channel, key = getattr(given, "channel", ""), getattr(given, "idempotency_key", "")
        if channel:
            self._check_reach(channel)
        call = partial(carry_out, self._house, given)
        result, is_first = self._called[method].once(channel, key, call)
        return result if is_first else repeated(result)

    def _check_reach(self, channel: str) -> None:
        if not _is_in_reach(self._house.hub, channel):
            raise CommandError(protocol.PERMISSION_DENIED)

    async def _begin_one(self, command: dict[str, msgspec.Raw]) -> End:
        """One command of a batch."""
        if len(command) != 1 or (method := next(iter(command))) not in NAMES:
            return _ready(b'{"error":%s}' % protocol.error_object(protocol.METHOD_NOT_FOUND))
        try:
            return _wrapped(method, await self._begin(method, bytes(command[method])))
        except CommandError as error:
            return _ready(b'{"error":%s}' % protocol.error_object(error.refusal))

    async def _broadcast(self, params: BroadcastParams) -> End:
        if not params.channels:
            raise protocol.bad_request("channels is empty")
        begun = await _in_turns(partial(self._begin_channel, name, params) for name in params.channels)

        async def end() -> bytes:
            return b'{"responses":[%s]}' % await _joined(begun)

        return end

    async def _begin_channel(self, channel: str, params: BroadcastParams) -> End:
        try:
            return _wrapped("result", _published(self._publish_once(channel, params)))
        except CommandError as error:
            return _ready(b'{"error":%s}' % protocol.error_object(error.refusal))

    def _publish_once(self, channel: str, params: PayloadParams) -> Receipt:
        """Publish, or give the first receipt again for an idempotency key that was seen before."""
        receipt, _ = self._published.once(
            channel, params.idempotency_key, lambda: self._publish_to(channel, params)
        )
        return receipt

    def _publish_to(self, channel: str, params: PayloadParams) -> Receipt:
        self._check_reach(channel)
        return channels.publish(
            self._house,
            channel,
            params.payload(),
            kind=params.kind,
            skip_history=params.skip_history,
            tags=params.encoded_tags(),
            key=params.idempotency_key,
        )


def _is_in_reach(hub: Hub, channel: str) -> bool:
    """Whether it is neither for operators, nor a map of who is in such a one."""
    namespace = channels.find_namespace(hub, channel)
    if not opens_to_backends(namespace):
        return False
    return not namespace.lists or _is_in_reach(hub, channel.partition(":")[2])


def _sessions(house: House, user: str, client: str) -> list[Session]:
    """Those of a user, or the one that is named: nothing named would mean everybody anonymous."""
    if not user and not client:
        raise protocol.bad_request("user is empty: name a user, or the client of an anonymous one")
    return house.registry.of_user(user, client)


def _subscribe(house: House, params: SessionParams) -> bytes:
    grant = _grant(params)
    for session in _sessions(house, params.user, params.client):
        if params.channel not in session.subscriptions:
            push_server_side(
                session, params.channel, grant, params.recover_since, expires_at=params.expire_at
            )
    return _EMPTY


def _unsubscribe(house: House, params: SessionParams) -> bytes:
    for session in _sessions(house, params.user, params.client):
        names = [params.channel] if params.channel else [*session.subscriptions, *session.loading]
        for channel in names:
            session.stop_loading(channel)
            if channel in session.subscriptions:
                session.force_unsubscribe(channel, *protocol.UNSUBSCRIBED_BY_SERVER)
    return _EMPTY


def _disconnect(house: House, params: DisconnectParams) -> bytes:
    goodbye = Goodbye(_close_code(params.disconnect.code), params.disconnect.reason or "force disconnect")
    for session in _sessions(house, params.user, params.client):
        if session.id not in params.whitelist:
            session.disconnect(goodbye)
    return _EMPTY


def _refresh(house: House, params: RefreshParams) -> bytes:
    for session in _sessions(house, params.user, params.client):
        if params.expired:
            session.disconnect(protocol.CONNECTION_EXPIRED)
        else:
            session.live_until(params.expire_at)
    return _EMPTY


def _history(house: House, params: HistoryParams) -> bytes:
    return channels.history(
        house.hub,
        params.channel,
        limit=params.limit,
        since=params.since,
        reverse=params.reverse,
        limit_max=None,
    )


def _history_remove(house: House, params: ChannelParams) -> bytes:
    channels.check_history(house.hub, params.channel)
    if house.hub.namespace(params.channel).journal:
        # A restart would bring back what the journal still has.
        raise CommandError(protocol.NOT_AVAILABLE)
    house.hub.stream(params.channel).clear()
    return _EMPTY


def _channels(house: House, params: ChannelsParams) -> bytes:
    counts = {
        channel.name: len(channel.subscribers)
        for channel in _subscribed(house.hub)
        if not params.pattern or fnmatchcase(channel.name, params.pattern)
    }
    return msgspec.json.encode({"channels": {name: {"num_clients": n} for name, n in counts.items()}})


def _subscribed(hub: Hub) -> list[Channel]:
    """Those with subscribers, but for operators'."""
    return [channel for channel in hub.channels() if channel.subscribers and _is_in_reach(hub, channel.name)]


def _info(house: House, params: InfoParams) -> bytes:
    health = house.hub.health
    node = {
        "uid": NODE_ID,
        "name": health.address or "lanecast",
        "version": __version__,
        "num_clients": health.clients,
        "num_users": house.registry.user_count,
        "num_channels": len(_subscribed(house.hub)),
        "num_subs": health.subscriptions,
        "uptime": health.uptime_ns() // NS_PER_SECOND,
    }
    return msgspec.json.encode({"nodes": [node]})


def _presence(house: House, params: ChannelParams) -> bytes:
    return channels.presence(house.hub, params.channel)


def _presence_stats(house: House, params: ChannelParams) -> bytes:
    return channels.presence_stats(house.hub, params.channel)


METHODS: Mapping[str, Method] = {
    "subscribe": (SessionParams, _subscribe),
    "unsubscribe": (SessionParams, _unsubscribe),
    "disconnect": (DisconnectParams, _disconnect),
    "refresh": (RefreshParams, _refresh),
    "presence": (ChannelParams, _presence),
    "presence_stats": (ChannelParams, _presence_stats),
    "history": (HistoryParams, _history),
    "history_remove": (ChannelParams, _history_remove),
    "channels": (ChannelsParams, _channels),
    "info": (InfoParams, _info),
    **MAP_METHODS,
}
NAMES = ("publish", "broadcast", *METHODS)


def _ready(result: bytes) -> End:
    async def end() -> bytes:
        return result

    return end


def _published(receipt: Receipt) -> End:
    async def end() -> bytes:
        position = await receipt.wait()
        return _position(position, **({"durable": False} if receipt.is_lost else {}))

    return end


def _wrapped(name: str, inner: End) -> End:
    async def end() -> bytes:
        return b'{"%s":%s}' % (name.encode(), await inner())

    return end


async def _in_turns(calls: Iterable[Callable[[], Awaitable[End]]]) -> list[End]:
    """Begin them in order; the others get their turn after each millisecond of it."""
    begun: list[End] = []
    turn = Turn()
    for call in calls:
        begun.append(await call())
        await turn.give_way()
    return begun


async def _joined(begun: list[End]) -> bytes:
    return b",".join([await end() for end in begun])


def _position(position: Position | None, **more: Any) -> bytes:
    if position is None:
        return _EMPTY
    return msgspec.json.encode({"offset": position.offset, "epoch": position.epoch} | more)


def _grant(params: SessionParams) -> Grant:
    try:
        return Grant(json_text(params.info), json_text(params.data))
    except orjson.JSONEncodeError as error:
        raise protocol.bad_request(f"info or data can't be told to others: {error}") from None


def _close_code(code: int) -> int:
    if not 3000 <= code <= 4999:
        raise protocol.bad_request(f"disconnect.code {code}: must be from 3000 to 4999")
    return code


def _failure(refusal: Refusal, is_transport: bool) -> Response:
    body = protocol.error_object(refusal)
    if is_transport:
        return json(_TRANSPORT_STATUS.get(refusal.code, 400), body)
    return json(200, b'{"error":%s}' % body)
