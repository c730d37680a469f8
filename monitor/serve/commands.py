"""What each command of the client protocol does, and which error or close it may end in.

A handler returns the lane its reply travels in and the reply's result: a reply about a channel
goes in that channel's lane, so that it keeps its place among the channel's publications.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from monitor import __version__
from monitor.broadcast.hub import TooMany
from monitor.config import Lane, Namespace
from monitor.serve import channels, protocol
from monitor.serve.access import Claims, ExpiredToken, InvalidToken, allows, read_token
from monitor.serve.protocol import CommandError, Disconnect

if TYPE_CHECKING:
    from monitor.serve.session import Session

CLIENT_HISTORY_LIMIT = 300
TTL_MAX_SECONDS = 365 * 86_400

Outcome = tuple[Lane, bytes]

_ANONYMOUS = Claims("", None, False, None, (), None, None)
_EMPTY = b"{}"


def _connect(session: "Session", request: protocol.ConnectRequest) -> Outcome:
    if session.claims is not None:
        raise protocol.bad_command("connect was sent before")
    claims = _authenticate(session, request.token)
    session.begin(claims, request.name[:64])
    limits = session.house.settings.limits
    return Lane.IMMEDIATE, protocol.result(
        client=session.id,
        version=__version__,
        subs=_server_side(session, claims) or None,
        **_expiry(claims.expires_at),
        ping=_number(limits.ping_seconds),
        pong=True,
    )


def _authenticate(session: "Session", token: str) -> Claims:
    if not token:
        if not session.house.settings.anonymous:
            raise protocol.bad_command("a token is needed to connect")
        return _ANONYMOUS
    try:
        claims = _read(session, token)
    except ExpiredToken:
        raise CommandError(protocol.TOKEN_EXPIRED) from None
    if claims.channel is not None:
        raise Disconnect(protocol.INVALID_TOKEN)
    return claims


def _read(session: "Session", token: str) -> Claims:
    """Raises ExpiredToken; ends the connection for a token that is not genuine."""
    keys = session.house.keys
    try:
        return read_token(token, token_key=keys.token, operator_key=keys.operator, now=time.time())
    except InvalidToken:
        raise Disconnect(protocol.INVALID_TOKEN) from None


def _expiry(expires_at: int | None) -> dict[str, Any]:
    if expires_at is None:
        return {}
    return {"expires": True, "ttl": min(max(1, int(expires_at - time.time())), TTL_MAX_SECONDS)}


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _server_side(session: "Session", claims: Claims) -> dict[str, msgspec.Raw]:
    return {
        channel: msgspec.Raw(_start(session, channel, is_server_side=True))
        for channel in dict.fromkeys(claims.channels)
    }


def _start(
    session: "Session",
    channel: str,
    *,
    is_server_side: bool = False,
    channel_info: Any = None,
    expires_at: int | None = None,
) -> bytes:
    """Subscribe and make the subscribe result."""
    namespace = channels.find_namespace(session.house.hub, channel)
    try:
        whole = session.subscribe(
            channel,
            session.info(channel_info) if namespace.presence else b"",
            is_server_side=is_server_side,
            expires_at=expires_at,
        )
    except TooMany:
        raise CommandError(protocol.LIMIT_EXCEEDED) from None
    return protocol.result(data=msgspec.Raw(whole) if whole else None, **_expiry(expires_at))


def start_server_side(session: "Session", channel: str, channel_info: Any, expires_at: int | None) -> None:
    """Subscribe a client on behalf of a backend, and tell it.

    Raises:
        CommandError: unknown channel, or a limit is reached.
    """
    result = _start(session, channel, is_server_side=True, channel_info=channel_info, expires_at=expires_at)
    lane = session.house.hub.namespace(channel).lane
    session.send(lane, protocol.push(channel, "subscribe", result))


def _subscribe(session: "Session", request: protocol.SubscribeRequest) -> Outcome:
    channel = request.channel
    namespace = _check_subscribe(session, request)
    claims = _subscription_claims(session, request.token, channel) if request.token else None
    if claims is None and not _may_read(session, namespace, channel):
        raise CommandError(protocol.PERMISSION_DENIED)
    return namespace.lane, _start(
        session,
        channel,
        channel_info=claims.info if claims else None,
        expires_at=claims.expires_at if claims else None,
    )


def _check_subscribe(session: "Session", request: protocol.SubscribeRequest) -> Namespace:
    """Everything but permission, in the protocol's order."""
    channel = request.channel
    if not channel:
        raise protocol.bad_command("channel is empty")
    if channel in session.subscriptions:
        raise CommandError(protocol.ALREADY_SUBSCRIBED)
    if len(session.subscriptions) >= session.house.settings.limits.channels_per_client:
        raise CommandError(protocol.LIMIT_EXCEEDED)
    namespace = channels.find_namespace(session.house.hub, channel)
    if not (channel.isascii() and channel.isprintable()):
        raise protocol.bad_request("a channel name is printable ASCII")
    if request.type:
        raise CommandError(protocol.PERMISSION_DENIED)
    if request.delta not in ("", "fossil"):
        raise protocol.bad_command(f"delta {request.delta!r} is not known")
    if request.tf:
        raise protocol.bad_request("this namespace allows no tags filter")
    return namespace


def _may_read(session: "Session", namespace: Namespace, channel: str) -> bool:
    assert session.claims is not None
    if channel.startswith("$") and not session.is_operator:
        return False
    return allows(namespace, channel, session.claims, public_accounts=session.house.public_accounts)


def _subscription_claims(session: "Session", token: str, channel: str) -> Claims:
    keys = session.house.keys
    try:
        claims = read_token(token, token_key=keys.token, operator_key=keys.operator, now=time.time())
    except ExpiredToken:
        raise CommandError(protocol.TOKEN_EXPIRED) from None
    except InvalidToken:
        raise CommandError(protocol.PERMISSION_DENIED) from None
    if claims.channel is None:
        raise CommandError(protocol.PERMISSION_DENIED)
    if claims.channel != channel or claims.user != session.user:
        raise Disconnect(protocol.INVALID_TOKEN)
    return claims


def _unsubscribe(session: "Session", request: protocol.UnsubscribeRequest) -> Outcome:
    if not request.channel:
        raise protocol.bad_command("channel is empty")
    if request.channel not in session.subscriptions:
        return Lane.IMMEDIATE, _EMPTY
    session.unsubscribe(request.channel)
    return session.house.hub.namespace(request.channel).lane, _EMPTY


def _publish(session: "Session", request: protocol.PublishRequest) -> Outcome:
    if not request.channel:
        raise protocol.bad_command("channel is empty")
    hub = session.house.hub
    namespace = channels.find_namespace(hub, request.channel)
    if not request.data:
        raise protocol.bad_request("data is missing")
    if not session.is_operator and not (namespace.publish and _may_use(session, namespace, request.channel)):
        raise CommandError(protocol.PERMISSION_DENIED)
    subscription = session.subscriptions.get(request.channel)
    info = subscription.info if subscription and subscription.info else session.info()
    channels.publish(hub, request.channel, bytes(request.data), info=info)
    return namespace.lane, _EMPTY


def _may_use(session: "Session", namespace: Namespace, channel: str) -> bool:
    return channel in session.subscriptions or _may_read(session, namespace, channel)


def _check_use(session: "Session", channel: str) -> None:
    if not channel:
        raise protocol.bad_command("channel is empty")
    if not _may_use(session, channels.find_namespace(session.house.hub, channel), channel):
        raise CommandError(protocol.PERMISSION_DENIED)


def _presence(session: "Session", request: protocol.ChannelRequest) -> Outcome:
    _check_use(session, request.channel)
    return Lane.IMMEDIATE, channels.presence(session.house.hub, request.channel)


def _presence_stats(session: "Session", request: protocol.ChannelRequest) -> Outcome:
    _check_use(session, request.channel)
    return Lane.IMMEDIATE, channels.presence_stats(session.house.hub, request.channel)


def _history(session: "Session", request: protocol.HistoryRequest) -> Outcome:
    _check_use(session, request.channel)
    hub = session.house.hub
    return hub.namespace(request.channel).lane, channels.history(
        hub,
        request.channel,
        limit=request.limit,
        since=request.since,
        reverse=request.reverse,
        limit_max=CLIENT_HISTORY_LIMIT,
    )


def _rpc(session: "Session", request: protocol.RpcRequest) -> Outcome:
    is_for_operators = request.method.startswith("ops.")
    handler = session.house.rpcs.get(request.method)
    if handler is None:
        raise CommandError(protocol.METHOD_NOT_FOUND if is_for_operators else protocol.NOT_AVAILABLE)
    if is_for_operators and not session.is_operator:
        raise CommandError(protocol.PERMISSION_DENIED)
    return Lane.HIGH, protocol.result(data=msgspec.Raw(handler(session, request.data)))


def _send(session: "Session", request: protocol.SendRequest) -> Outcome:
    raise Disconnect(protocol.NO_MESSAGE_HANDLER)


def _ping(session: "Session", request: protocol.PingRequest) -> Outcome:
    return Lane.IMMEDIATE, _EMPTY


def _refresh(session: "Session", request: protocol.RefreshRequest) -> Outcome:
    if not request.token:
        raise protocol.bad_command("token is empty")
    try:
        claims = _read(session, request.token)
    except ExpiredToken:
        raise Disconnect(protocol.CONNECTION_EXPIRED) from None
    if claims.user != session.user or claims.channel is not None:
        raise Disconnect(protocol.INVALID_TOKEN)
    session.renew(claims)
    return Lane.IMMEDIATE, protocol.result(
        client=session.id, version=__version__, **_expiry(claims.expires_at)
    )


def _sub_refresh(session: "Session", request: protocol.SubRefreshRequest) -> Outcome:
    if not request.channel or not request.token:
        raise protocol.bad_command("channel or token is empty")
    if request.channel not in session.subscriptions:
        raise CommandError(protocol.PERMISSION_DENIED)
    try:
        claims = _read(session, request.token)
    except ExpiredToken:
        raise CommandError(protocol.EXPIRED) from None
    if claims.channel != request.channel or claims.user != session.user:
        raise Disconnect(protocol.INVALID_TOKEN)
    session.renew_subscription(request.channel, claims.expires_at)
    return session.house.hub.namespace(request.channel).lane, protocol.result(**_expiry(claims.expires_at))


HANDLERS: Mapping[str, Callable[["Session", Any], Outcome]] = {
    "connect": _connect,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "publish": _publish,
    "presence": _presence,
    "presence_stats": _presence_stats,
    "history": _history,
    "rpc": _rpc,
    "send": _send,
    "refresh": _refresh,
    "sub_refresh": _sub_refresh,
    "ping": _ping,
}
