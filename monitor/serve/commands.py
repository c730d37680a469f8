"""What each command of the client protocol does, and which error or close it may end in.

A reply about a channel goes in that channel's lane, so that it keeps its place among the channel's
publications.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from monitor import __version__
from monitor.broadcast.channel import Voice
from monitor.broadcast.recovery import Wish
from monitor.broadcast.tags import TagsFilter, parse_filter
from monitor.config import ClientKey, Delivery, Lane, Namespace
from monitor.health.latency import NS_PER_MS
from monitor.serve import channels, maps, protocol
from monitor.serve.access import FOR_OPERATORS, may_call
from monitor.serve.house import Handler, Outcome
from monitor.serve.loading import Phase, take_up
from monitor.serve.protocol import CommandError, Disconnect
from monitor.serve.session import Session
from monitor.serve.subscription import Subscribed, check_room, expiry, may_read, subscribe, wish_since
from monitor.serve.tokens import Claims, ExpiredToken, InvalidToken

CLIENT_HISTORY_LIMIT = 300

_ANONYMOUS = Claims()
_EMPTY = b"{}"


def _connect(session: Session, request: protocol.ConnectRequest) -> Outcome:
    if session.claims is not None:
        raise protocol.bad_command("connect was sent before")
    claims = _authenticate(session, request.token)
    session.house.admission.check_user(claims)
    offers = protocol.read(protocol.Offers, request.data)
    session.begin(claims, request.name[:64], is_volunteer=offers is not None and offers.latency)
    limits = session.house.settings.limits
    subscribed = _server_side(session, claims, request.subs)
    result = protocol.result(
        client=session.id,
        version=__version__,
        subs={channel: msgspec.Raw(each.result) for channel, each in subscribed.items()} or None,
        **expiry(claims.expires_at),
        ping=_number(limits.ping_seconds),
        pong=True,
    )
    resent = tuple(resent for each in subscribed.values() for resent in each.resent)
    return Outcome(Lane.IMMEDIATE, result, resent)


def _authenticate(session: Session, token: str) -> Claims:
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


def _read(session: Session, token: str) -> Claims:
    """Raises ExpiredToken; ends the connection for a token that is not genuine."""
    try:
        return session.house.tokens.read(token, time.time())
    except InvalidToken:
        raise Disconnect(protocol.INVALID_TOKEN) from None


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _server_side(
    session: Session, claims: Claims, positions: Mapping[str, protocol.Recovery]
) -> dict[str, Subscribed]:
    """What a token grants, but for maps: those are read in pages, at the client's pace."""
    return {
        channel: subscribe(
            session, channel, claims, wish_since(_since(positions.get(channel))), is_server_side=True
        )
        for channel in claims.grants
        if channels.find_namespace(session.house.hub, channel).delivery is not Delivery.MAP
    }


def _since(recovery: protocol.Recovery | None) -> protocol.Since | None:
    return recovery if recovery is not None and recovery.recover else None


def _wish(namespace: Namespace, request: protocol.SubscribeRequest) -> Wish:
    if request.delta not in ("", "fossil"):
        raise protocol.bad_command(f"delta {request.delta!r} is not known")
    if request.delta and request.tf:
        raise protocol.bad_request("deltas and a tags filter can't be had together")
    return replace(
        wish_since(_since(request)),
        is_strict=bool(request.flag & protocol.REFUSE_UNRECOVERED),
        wants_chain=bool(request.delta),
        only=_filter(namespace, request.tf) if request.tf else None,
    )


def _filter(namespace: Namespace, text: msgspec.Raw) -> TagsFilter:
    if not namespace.tags_filter:
        raise protocol.bad_request("this namespace allows no tags filter")
    try:
        return parse_filter(bytes(text))
    except ValueError as error:
        raise protocol.bad_request(str(error)) from None


def _subscribe(session: Session, request: protocol.SubscribeRequest) -> Outcome:
    channel = request.channel
    loading = session.loading.get(channel)
    if loading is not None and (request.cursor or request.phase != Phase.STATE):
        subscribed = loading.answer(request)
        return _subscribed(session.house.hub.namespace(channel), subscribed)
    namespace = _check_subscribe(session, request)
    wish = _wish(namespace, request)
    claims = _subscription_claims(session, request.token, channel) if request.token else None
    bearer, expires_at = (claims, claims.expires_at) if claims else (_claims(session), None)
    if namespace.delivery is Delivery.MAP:
        subscribed = take_up(session, bearer, request, wish, expires_at)
    else:
        subscribed = subscribe(session, channel, bearer, wish, expires_at=expires_at)
    return _subscribed(namespace, subscribed)


def _subscribed(namespace: Namespace, subscribed: Subscribed) -> Outcome:
    return Outcome(namespace.lane, subscribed.result, subscribed.resent, read_bytes=subscribed.read_bytes)


def _check_subscribe(session: Session, request: protocol.SubscribeRequest) -> Namespace:
    """Everything but permission, in the protocol's order."""
    channel = request.channel
    if not channel:
        raise protocol.bad_command("channel is empty")
    if channel in session.subscriptions or channel in session.loading:
        raise CommandError(protocol.ALREADY_SUBSCRIBED)
    check_room(session)
    namespace = channels.find_namespace(session.house.hub, channel)
    if request.type != namespace.subscription_type:
        raise CommandError(protocol.PERMISSION_DENIED)
    return namespace


def _claims(session: Session) -> Claims:
    assert session.claims is not None, "the first command is connect"
    return session.claims


def _subscription_claims(session: Session, token: str, channel: str) -> Claims:
    try:
        claims = session.house.tokens.read(token, time.time())
    except ExpiredToken:
        raise CommandError(protocol.TOKEN_EXPIRED) from None
    except InvalidToken:
        raise CommandError(protocol.PERMISSION_DENIED) from None
    if claims.channel is None:
        raise CommandError(protocol.PERMISSION_DENIED)
    _check_bearer(session, claims, channel)
    return replace(claims, is_operator=claims.is_operator or session.is_operator)


def _check_bearer(session: Session, claims: Claims, channel: str) -> None:
    """End the connection of who shows a subscription token that is another's, or another channel's."""
    is_here = claims.client in (None, "", session.id)
    if claims.channel != channel or claims.user != session.user or not is_here:
        raise Disconnect(protocol.INVALID_TOKEN)


def _unsubscribe(session: Session, request: protocol.UnsubscribeRequest) -> Outcome:
    if not request.channel:
        raise protocol.bad_command("channel is empty")
    session.stop_loading(request.channel)
    if request.channel not in session.subscriptions:
        return Outcome(Lane.IMMEDIATE, _EMPTY)
    session.unsubscribe(request.channel)
    return Outcome(session.house.hub.namespace(request.channel).lane, _EMPTY)


def _publish(session: Session, request: protocol.PublishRequest) -> Outcome:
    if not request.channel:
        raise protocol.bad_command("channel is empty")
    hub = session.house.hub
    namespace = channels.find_namespace(hub, request.channel)
    if not request.data and not (request.type and request.removed):
        raise protocol.bad_request("data is missing")
    if not session.is_operator and not (namespace.publish and _may_use(session, namespace, request.channel)):
        raise CommandError(protocol.PERMISSION_DENIED)
    subscription = session.subscriptions.get(request.channel)
    info = subscription.info if subscription and subscription.info else session.info()
    if request.type:
        _publish_key(session, namespace, request, info)
        return Outcome(namespace.lane, _EMPTY)
    receipt = channels.publish(
        session.house, request.channel, bytes(request.data), info=info, voice=Voice.CLIENTS
    )
    return Outcome(namespace.lane, _EMPTY, receipt=receipt)


def _publish_key(
    session: Session, namespace: Namespace, request: protocol.PublishRequest, info: bytes
) -> None:
    key = request.key
    if namespace.client_key is not ClientKey.ANY:
        key = session.id if namespace.client_key is ClientKey.CLIENT else session.user
    if not key and namespace.client_key is ClientKey.USER:
        raise CommandError(protocol.PERMISSION_DENIED)
    if request.removed:
        maps.remove(session.house, request.channel, key, voice=Voice.CLIENTS)
    else:
        maps.put(session.house, request.channel, key, bytes(request.data), info=info, voice=Voice.CLIENTS)


def _may_use(session: Session, namespace: Namespace, channel: str) -> bool:
    return channel in session.subscriptions or may_read(session, namespace, channel, _claims(session))


def _check_use(session: Session, channel: str) -> None:
    if not channel:
        raise protocol.bad_command("channel is empty")
    if not _may_use(session, channels.find_namespace(session.house.hub, channel), channel):
        raise CommandError(protocol.PERMISSION_DENIED)


def _presence(session: Session, request: protocol.ChannelRequest) -> Outcome:
    _check_use(session, request.channel)
    return Outcome(Lane.IMMEDIATE, channels.presence(session.house.hub, request.channel))


def _presence_stats(session: Session, request: protocol.ChannelRequest) -> Outcome:
    _check_use(session, request.channel)
    return Outcome(Lane.IMMEDIATE, channels.presence_stats(session.house.hub, request.channel))


def _history(session: Session, request: protocol.HistoryRequest) -> Outcome:
    _check_use(session, request.channel)
    hub = session.house.hub
    result = channels.history(
        hub,
        request.channel,
        limit=request.limit,
        since=request.since,
        reverse=request.reverse,
        limit_max=CLIENT_HISTORY_LIMIT,
    )
    return Outcome(hub.namespace(request.channel).lane, result)


def _rpc(session: Session, request: protocol.RpcRequest) -> Outcome | Generator[None, None, Outcome]:
    handler = session.house.rpcs.get(request.method)
    if handler is None:
        is_known_table = request.method.startswith(FOR_OPERATORS)
        raise CommandError(protocol.METHOD_NOT_FOUND if is_known_table else protocol.NOT_AVAILABLE)
    if not may_call(request.method, _claims(session)):
        raise CommandError(protocol.PERMISSION_DENIED)
    answer = handler(session, request.data)
    return _rpc_outcome(answer) if isinstance(answer, bytes) else _answer_in_slices(answer)


def _answer_in_slices(answer: Generator[None, None, bytes]) -> Generator[None, None, Outcome]:
    return _rpc_outcome((yield from answer))


def _rpc_outcome(answer: bytes) -> Outcome:
    return Outcome(Lane.HIGH, protocol.result(data=msgspec.Raw(answer)))


def _send(session: Session, request: protocol.SendRequest) -> Outcome:
    answer = protocol.read(protocol.Answer, request.data)
    if answer is None or not session.is_volunteer:
        raise Disconnect(protocol.NO_MESSAGE_HANDLER)
    if session.rtt_ms is not None:
        hub, round_trip_ns = session.house.hub, round(session.rtt_ms * NS_PER_MS)
        found = hub.health.samples.answer(answer.latency, session.id, hub.health.clock_ns(), round_trip_ns)
        session.end_to_end = found or session.end_to_end
    return Outcome(Lane.IMMEDIATE, _EMPTY)


def _ping(session: Session, request: protocol.PingRequest) -> Outcome:
    return Outcome(Lane.IMMEDIATE, _EMPTY)


def _refresh(session: Session, request: protocol.RefreshRequest) -> Outcome:
    if not request.token:
        raise protocol.bad_command("token is empty")
    try:
        claims = _read(session, request.token)
    except ExpiredToken:
        raise Disconnect(protocol.CONNECTION_EXPIRED) from None
    is_same = (claims.user, claims.is_operator) == (session.user, session.is_operator)
    if not is_same or claims.channel is not None:
        raise Disconnect(protocol.INVALID_TOKEN)
    session.renew(claims)
    result = protocol.result(client=session.id, version=__version__, **expiry(claims.expires_at))
    return Outcome(Lane.IMMEDIATE, result)


def _sub_refresh(session: Session, request: protocol.SubRefreshRequest) -> Outcome:
    if not request.channel or not request.token:
        raise protocol.bad_command("channel or token is empty")
    if request.channel not in session.subscriptions:
        raise CommandError(protocol.PERMISSION_DENIED)
    try:
        claims = _read(session, request.token)
    except ExpiredToken:
        raise CommandError(protocol.EXPIRED) from None
    _check_bearer(session, claims, request.channel)
    namespace = session.house.hub.namespace(request.channel)
    if not may_read(session, namespace, request.channel, claims):
        raise Disconnect(protocol.INVALID_TOKEN)
    session.renew_subscription(request.channel, claims.expires_at)
    return Outcome(namespace.lane, protocol.result(**expiry(claims.expires_at)))


def _rationed(handler: Callable[[Session, Any], Outcome]) -> Handler:
    """Of a command whose answer may be long: no more of them than an address may be answered."""

    def carry_out(session: Session, request: Any) -> Outcome:
        admission = session.house.admission
        admission.check_answers(session.address)
        outcome = handler(session, request)
        admission.count_answer(session.address, max(len(outcome.result), outcome.read_bytes))
        return outcome

    return carry_out


HANDLERS: Mapping[str, Handler] = {
    "connect": _rationed(_connect),
    "subscribe": _rationed(_subscribe),
    "unsubscribe": _unsubscribe,
    "publish": _publish,
    "presence": _rationed(_presence),
    "presence_stats": _presence_stats,
    "history": _rationed(_history),
    "rpc": _rpc,
    "send": _send,
    "refresh": _refresh,
    "sub_refresh": _sub_refresh,
    "ping": _ping,
}
