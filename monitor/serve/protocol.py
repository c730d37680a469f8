"""The client protocol's words: Centrifuge JSON, protocol version 2, bidirectional.

Commands are decoded into records whose payloads stay raw bytes; replies are put together from
bytes. Nothing here knows a socket, a client or the hub.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from monitor.errors import LanecastError

PING = b"{}"
NOTHING = msgspec.Raw(b"")
CHANNEL_BYTES = 255


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command can't be done, in the protocol's words."""

    code: int
    message: str
    temporary: bool = False
    """It may go well later."""


class CommandError(LanecastError):
    """A command is refused; the connection goes on.

    Made anew for each raise: an exception that is kept holds on to the frames of all its raises.
    """

    def __init__(self, refusal: Refusal, why: object = "") -> None:
        """`why` is a sentence on this very case, for whoever is told."""
        if why:
            refusal = replace(refusal, message=f"{refusal.message}: {why}")
        super().__init__(refusal.message)
        self.refusal = refusal


UNKNOWN_CHANNEL = Refusal(102, "unknown channel")
PERMISSION_DENIED = Refusal(103, "permission denied")
METHOD_NOT_FOUND = Refusal(104, "method not found")
ALREADY_SUBSCRIBED = Refusal(105, "already subscribed")
LIMIT_EXCEEDED = Refusal(106, "limit exceeded")
BAD_REQUEST = Refusal(107, "bad request")
NOT_AVAILABLE = Refusal(108, "not available")
TOKEN_EXPIRED = Refusal(109, "token expired")
EXPIRED = Refusal(110, "expired")
TOO_MANY_REQUESTS = Refusal(111, "too many requests", temporary=True)
UNRECOVERABLE_POSITION = Refusal(112, "unrecoverable position")
CONCURRENT_PAGINATION = Refusal(113, "concurrent pagination", temporary=True)


def unknown_channel(channel: str) -> CommandError:
    colon = "" if ":" in channel else ": a channel is a namespace, a colon and a name, as 'orders:ann'"
    return CommandError(UNKNOWN_CHANNEL, f"the settings have no namespace for {channel!r}{colon}")


def bad_request(message: str) -> CommandError:
    return CommandError(BAD_REQUEST, message)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """How a connection ends. 3000 to 3499 and 4000 to 4499 let the client come back."""

    code: int
    reason: str


class Disconnect(LanecastError):
    """A command ends its connection; made anew for each raise."""

    def __init__(self, goodbye: Goodbye) -> None:
        super().__init__(f"{goodbye.code} {goodbye.reason}")
        self.goodbye = goodbye


CONNECTION_LOST = Goodbye(1006, "connection lost")
"""It was said by nobody."""
CONNECTION_CLOSED = Goodbye(3000, "connection closed")
SHUTDOWN = Goodbye(3001, "shutdown")
INTERNAL_ERROR = Goodbye(3004, "internal error")
CONNECTION_EXPIRED = Goodbye(3005, "connection expired")
SUBSCRIPTION_END = Goodbye(3006, "subscription expired")
SLOW = Goodbye(3008, "slow")
WRITE_ERROR = Goodbye(3009, "write error")
STATE_LOST = Goodbye(3010, "insufficient state")
NO_PONG = Goodbye(3012, "no pong")
TOO_MANY_COMMANDS = Goodbye(3013, "too many requests")
INVALID_TOKEN = Goodbye(3500, "invalid token")
STALE = Goodbye(3502, "stale")
FORCE_DISCONNECT = Goodbye(3503, "force disconnect")
CONNECTION_LIMIT = Goodbye(3504, "connection limit")
NO_MESSAGE_HANDLER = Goodbye(3508, "not available")

UNSUBSCRIBED_BY_SERVER = (2000, "server unsubscribe")
INSUFFICIENT_STATE = (2500, "insufficient state")
OTHER_FORM = (2500, "the channel has another form on this step of the ladder")
SUBSCRIPTION_EXPIRED = (2501, "subscription expired")

KNOWN_CODES = frozenset({*range(1000, 1014), *range(3000, 3015), *range(3500, 3510)})
"""WebSocket's and this protocol's; a peer, or a backend, may close with 2,000 others."""


def bad_command(reason: str) -> Disconnect:
    return Disconnect(Goodbye(3501, f"bad request: {reason}"))


class Since(msgspec.Struct):
    offset: int = 0
    epoch: str = ""


class Recovery(Since):
    """Where a client was in a channel, if it wants to go on from there."""

    recover: bool = False


class Offers(msgspec.Struct):
    """What `data` of a connect may hold: a client that answers samples says so."""

    latency: bool = False


class ConnectRequest(msgspec.Struct):
    token: str = ""
    name: str = ""
    version: str = ""
    data: msgspec.Raw = NOTHING
    subs: dict[str, Recovery] = {}
    """Positions in server-side subscriptions."""


REFUSE_UNRECOVERED = 2
"""The bit of a subscribe's flag by which a client asks for an error if it can't be told all it missed."""


class SubscribeRequest(Recovery):
    channel: str = ""
    token: str = ""
    flag: int = 0
    type: int = 0
    phase: int = 0
    cursor: str = ""
    limit: int = 0
    delta: str = ""
    tf: msgspec.Raw = NOTHING


class UnsubscribeRequest(msgspec.Struct):
    channel: str = ""


class PublishRequest(msgspec.Struct):
    channel: str = ""
    type: int = 0
    """1 for a key of a map."""
    key: str = ""
    data: msgspec.Raw = NOTHING
    removed: bool = False


class ChannelRequest(msgspec.Struct):
    channel: str = ""


class HistoryRequest(msgspec.Struct):
    channel: str = ""
    limit: int = 0
    since: Since | None = None
    reverse: bool = False


class RpcRequest(msgspec.Struct):
    method: str = ""
    data: msgspec.Raw = NOTHING


class Answer(msgspec.Struct):
    """What `data` of a send may hold: the salt of the sample that it answers."""

    latency: str


class SendRequest(msgspec.Struct):
    data: msgspec.Raw = NOTHING


class RefreshRequest(msgspec.Struct):
    token: str = ""


class SubRefreshRequest(msgspec.Struct):
    channel: str = ""
    token: str = ""


class PingRequest(msgspec.Struct):
    pass


class Command(msgspec.Struct):
    """One document from a client: an id and one method, or neither (a pong)."""

    id: int = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: HistoryRequest | None = None
    rpc: RpcRequest | None = None
    send: SendRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None
    ping: PingRequest | None = None

    def method(self) -> str:
        """The name of its one method, empty for a pong.

        Raises:
            Disconnect: it has several.
        """
        values = msgspec.structs.astuple(self)[1:]
        names = [name for name, value in zip(METHODS, values, strict=True) if value is not None]
        if len(names) > 1:
            raise bad_command(f"one command holds {' and '.join(names)}")
        return names[0] if names else ""


Words = TypeVar("Words", Offers, Answer)


def read(words: type[Words], data: msgspec.Raw) -> Words | None:
    """What an application's free `data` says to the server; None if it is about something else."""
    try:
        return msgspec.json.decode(data, type=words)
    except (msgspec.MsgspecError, RecursionError):
        return None


METHODS = tuple(field for field in Command.__struct_fields__ if field != "id")
_decoder = msgspec.json.Decoder(Command)


def read_commands(message: bytes) -> Iterator[Command]:
    """The commands of one message, which are separated by newlines, each as it is asked for.

    Raises:
        Disconnect: the message is empty or holds something that is not a command.
    """
    documents = [line for line in message.split(b"\n") if line.strip()]
    if not documents:
        raise bad_command("empty message")
    try:
        # A payload is passed on unread: in others' text frames it would end their connections.
        message.decode()
        yield from map(_decoder.decode, documents)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise bad_command(str(error)) from None


def reply(command_id: int, method: str, result: bytes = b"{}") -> bytes:
    return b'{"id":%d,"%s":%s}' % (command_id, method.encode(), result)


def error_reply(command_id: int, refusal: Refusal) -> bytes:
    return b'{"id":%d,"error":%s}' % (command_id, error_object(refusal))


def error_object(refusal: Refusal) -> bytes:
    body: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.temporary:
        body["temporary"] = True
    return msgspec.json.encode(body)


def push(channel: str, what: str, body: bytes) -> bytes:
    """An asynchronous event of a channel, other than a publication."""
    return b'{"push":{"channel":%s,"%s":%s}}' % (msgspec.json.encode(channel), what.encode(), body)


def message(data: object) -> bytes:
    """An asynchronous message to one client, outside of channels."""
    return b'{"push":{"message":{"data":%s}}}' % msgspec.json.encode(data)


def result(**members: object) -> bytes:
    """A result object without the members that are zero, as the protocol has it; raw bytes stay raw."""
    return msgspec.json.encode(
        {name: value for name, value in members.items() if value not in (None, "", 0, b"")}
    )
