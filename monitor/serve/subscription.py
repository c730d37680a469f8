"""What a client is told when it becomes a subscriber: its position, and what it missed or the state."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from monitor.broadcast.chain import chain_documents, full_documents
from monitor.broadcast.history import Position
from monitor.broadcast.hub import TooMany
from monitor.broadcast.item import Resent
from monitor.broadcast.recovery import ANEW, Start, Unrecoverable, Wish
from monitor.config import Delivery, Namespace
from monitor.serve import channels, protocol
from monitor.serve.access import allows
from monitor.serve.protocol import CommandError, Since
from monitor.serve.tokens import Claims, Grant

if TYPE_CHECKING:
    from monitor.serve.session import Session

TTL_MAX_SECONDS = 365 * 86_400
CHAINED_MAX = 64
"""Publications; of a longer list that was missed each goes in full: a change takes 20 to 300 µs to make."""


class Subscribed(NamedTuple):
    """A subscribe result, and what of it was missed before."""

    result: bytes
    resent: tuple[Resent, ...]
    read_bytes: int = 0
    """Of what was read for it, whether a filter accepts it or not."""


def subscribe(
    session: "Session",
    channel: str,
    bearer: Claims,
    wish: Wish = ANEW,
    *,
    is_server_side: bool = False,
    expires_at: int | None = None,
) -> Subscribed:
    """Subscribe a client to what the bearer's claims allow, and make the result.

    Raises:
        CommandError: unknown channel, no permission, a limit is reached, or nothing but a whole recovery
            would do.
    """
    start = _start(session, channel, bearer, wish, is_server_side, expires_at)
    missed = _documents(start)
    result = _result(
        start,
        bearer.grants.get(channel, Grant()),
        was_recovering=wish.since is not None,
        publications=msgspec.Raw(b"[%s]" % b",".join(missed)) if missed else None,
        **expiry(expires_at),
    )
    return Subscribed(result, resent_of(channel, missed), start.read_bytes)


def push_server_side(
    session: "Session",
    channel: str,
    grant: Grant,
    since: Since | None,
    *,
    expires_at: int | None,
) -> None:
    """Subscribe a client on behalf of a backend, and tell it; what it missed follows as if published now.

    Raises:
        CommandError: unknown channel, one for operators, or a limit is reached.
    """
    bearer = replace(session.claims or Claims(), grants={channel: grant})
    start = _start(session, channel, bearer, wish_since(since), True, expires_at)
    missed = _documents(start)
    pushes = [protocol.push(channel, "pub", document) for document in missed]
    result = _result(start, grant, **expiry(expires_at))
    session.send(
        session.house.hub.namespace(channel).lane,
        b"\n".join([protocol.push(channel, "subscribe", result), *pushes]),
        resent_of(channel, missed),
    )


def wish_since(since: Since | None) -> Wish:
    return Wish(Position(since.offset, since.epoch) if since is not None else None)


def expiry(expires_at: int | None) -> dict[str, Any]:
    """The members of a result that say when a token's permission ends."""
    if expires_at is None:
        return {}
    return {"expires": True, "ttl": min(max(1, int(expires_at - time.time())), TTL_MAX_SECONDS)}


def resent_of(channel: str, documents: list[bytes]) -> tuple[Resent, ...]:
    return (Resent(channel, len(documents), sum(map(len, documents))),) if documents else ()


def info_of(session: "Session", namespace: Namespace, grant: Grant) -> bytes:
    """What others are shown of the client, where the namespace shows it."""
    is_shown = namespace.presence or namespace.join_leave or namespace.listed_in
    return session.info(grant.info) if is_shown else b""


def check_room(session: "Session") -> None:
    """Raises CommandError if the client has as many channels as it may have."""
    limit = session.house.settings.limits.channels_per_client
    if len(session.subscriptions) + len(session.loading) >= limit:
        session.house.hub.health.totals.refused["channels_per_client"] += 1
        raise CommandError(
            protocol.LIMIT_EXCEEDED, f"a client has at most {limit} channels (limits.channels_per_client)"
        )


def may_read(session: "Session", namespace: Namespace, channel: str, bearer: Claims) -> bool:
    """Whether the bearer may read a channel; who is there is shown to those who may be there."""
    if not allows(namespace, channel, bearer, public_accounts=session.house.public_accounts):
        return False
    if not namespace.lists:
        return True
    listed = channel.partition(":")[2]
    if channel in bearer.grants:
        bearer = replace(bearer, grants={listed: bearer.grants[channel]})
    return may_read(session, channels.find_namespace(session.house.hub, listed), listed, bearer)


def _start(
    session: "Session",
    channel: str,
    bearer: Claims,
    wish: Wish,
    is_server_side: bool,
    expires_at: int | None,
) -> Start:
    if is_server_side:
        check_room(session)
    namespace = channels.find_namespace(session.house.hub, channel)
    if not may_read(session, namespace, channel, bearer):
        raise CommandError(protocol.PERMISSION_DENIED)
    if namespace.delivery is Delivery.MAP:
        raise protocol.bad_request(f"channel {channel!r} is a map: only clients subscribe to it, in pages")
    grant = bearer.grants.get(channel, Grant())
    try:
        return session.subscribe(
            channel,
            info_of(session, namespace, grant),
            wish,
            is_server_side=is_server_side,
            expires_at=expires_at,
        )
    except TooMany as error:
        raise CommandError(protocol.LIMIT_EXCEEDED, error) from None
    except Unrecoverable as error:
        raise CommandError(protocol.UNRECOVERABLE_POSITION, error) from None


def _documents(start: Start) -> list[bytes]:
    missed = start.missed or ()
    if not start.is_chain:
        return [publication.document() for publication in missed]
    return chain_documents(None, missed) if len(missed) <= CHAINED_MAX else full_documents(missed)


def _result(start: Start, grant: Grant, **members: object) -> bytes:
    """A grant's data is for a channel without a state of its own."""
    position, data = start.position, start.whole or grant.data
    return protocol.result(
        recoverable=position is not None,
        positioned=position is not None,
        epoch=position.epoch if position else "",
        offset=position.offset if position else 0,
        recovered=start.missed is not None,
        delta=start.is_chain,
        data=msgspec.Raw(data) if data else None,
        **members,
    )
