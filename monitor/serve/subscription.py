"""What a client is told when it becomes a subscriber: its position, and what it missed or the state."""

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from monitor.broadcast.history import Position
from monitor.broadcast.hub import TooMany
from monitor.broadcast.item import Resent
from monitor.broadcast.recovery import ANEW, Start, Unrecoverable, Wish
from monitor.serve import channels, protocol
from monitor.serve.protocol import CommandError, Since

if TYPE_CHECKING:
    from monitor.serve.session import Session

TTL_MAX_SECONDS = 365 * 86_400


class Subscribed(NamedTuple):
    """A subscribe result, and what of it was missed before."""

    result: bytes
    resent: tuple[Resent, ...]


def subscribe(
    session: "Session",
    channel: str,
    wish: Wish = ANEW,
    *,
    is_server_side: bool = False,
    channel_info: Any = None,
    expires_at: int | None = None,
) -> Subscribed:
    """Subscribe a client and make the result.

    Raises:
        CommandError: unknown channel, a limit is reached, or nothing but a whole recovery would do.
    """
    start = _start(session, channel, wish, is_server_side, channel_info, expires_at)
    missed = [publication.document() for publication in start.missed or ()]
    result = _result(
        start,
        was_recovering=wish.since is not None,
        publications=msgspec.Raw(b"[%s]" % b",".join(missed)) if missed else None,
        **expiry(expires_at),
    )
    return Subscribed(result, resent_of(channel, missed))


def push_server_side(
    session: "Session",
    channel: str,
    since: Since | None,
    *,
    channel_info: Any,
    expires_at: int | None,
) -> None:
    """Subscribe a client on behalf of a backend, and tell it; what it missed follows as if published now.

    Raises:
        CommandError: unknown channel, or a limit is reached.
    """
    start = _start(session, channel, wish_since(since), True, channel_info, expires_at)
    missed = [publication.document() for publication in start.missed or ()]
    pushes = [protocol.push(channel, "pub", document) for document in missed]
    result = _result(start, **expiry(expires_at))
    session.send(
        session.house.hub.namespace(channel).lane,
        b"\n".join([protocol.push(channel, "subscribe", result), *pushes]),
        resent_of(channel, missed),
    )


def wish_since(since: Since | None, *, is_strict: bool = False) -> Wish:
    return Wish(Position(since.offset, since.epoch), is_strict) if since is not None else ANEW


def expiry(expires_at: int | None) -> dict[str, Any]:
    """The members of a result that say when a token's permission ends."""
    if expires_at is None:
        return {}
    return {"expires": True, "ttl": min(max(1, int(expires_at - time.time())), TTL_MAX_SECONDS)}


def resent_of(channel: str, documents: list[bytes]) -> tuple[Resent, ...]:
    return (Resent(channel, len(documents), sum(map(len, documents))),) if documents else ()


def _start(
    session: "Session",
    channel: str,
    wish: Wish,
    is_server_side: bool,
    channel_info: Any,
    expires_at: int | None,
) -> Start:
    namespace = channels.find_namespace(session.house.hub, channel)
    try:
        return session.subscribe(
            channel,
            session.info(channel_info) if namespace.presence else b"",
            wish,
            is_server_side=is_server_side,
            expires_at=expires_at,
        )
    except TooMany:
        raise CommandError(protocol.LIMIT_EXCEEDED) from None
    except Unrecoverable:
        raise CommandError(protocol.UNRECOVERABLE_POSITION) from None


def _result(start: Start, **members: object) -> bytes:
    position = start.position
    return protocol.result(
        recoverable=position is not None,
        positioned=position is not None,
        epoch=position.epoch if position else "",
        offset=position.offset if position else 0,
        recovered=start.missed is not None,
        data=msgspec.Raw(start.whole) if start.whole else None,
        **members,
    )
