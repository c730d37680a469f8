"""What the HTTP API's calls take: their bodies, member by member, but for those of maps alone.

A member that a body can't have is an error that names those that there are: a misspelt limit would
be none. The client protocol, which newer clients speak too, passes over what it does not know.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

from monitor.serve import protocol
from monitor.serve.http import HttpError
from monitor.serve.protocol import Since
from monitor.serve.tokens import UNIX_SECONDS_MAX

UnixSeconds = Annotated[int, msgspec.Meta(ge=0, le=UNIX_SECONDS_MAX)]


class ChannelParams(msgspec.Struct, forbid_unknown_fields=True):
    channel: str = ""


class PayloadParams(msgspec.Struct, forbid_unknown_fields=True):
    """What a backend publishes, to one channel or to several."""

    data: msgspec.Raw = protocol.NOTHING
    b64data: str = ""
    kind: str | None = None
    skip_history: bool = False
    tags: dict[str, str] = {}
    idempotency_key: str = ""
    delta: bool = False
    """Changes nothing: its namespace and each subscriber say whether it goes out as a change."""

    def payload(self) -> bytes:
        """Its JSON text. Raises CommandError."""
        if self.b64data:
            return _from_base64(self.b64data)
        if not self.data:
            raise protocol.bad_request("data is missing")
        return bytes(self.data)

    def encoded_tags(self) -> bytes:
        return msgspec.json.encode(self.tags) if self.tags else b""


class PublishParams(PayloadParams):
    channel: str = ""


class BroadcastParams(PayloadParams):
    channels: list[str] = msgspec.field(default_factory=list)


class SinceParams(Since, forbid_unknown_fields=True):
    pass


class HistoryParams(msgspec.Struct, forbid_unknown_fields=True):
    channel: str = ""
    limit: int = 0
    since: SinceParams | None = None
    reverse: bool = False


class SessionParams(msgspec.Struct, forbid_unknown_fields=True):
    """Which sessions a call is about: all of a user, or the one that is named."""

    user: str = ""
    client: str = ""
    channel: str = ""
    info: Any = None
    data: Any = None
    expire_at: UnixSeconds | None = None
    recover_since: SinceParams | None = None


class DisconnectCode(msgspec.Struct, forbid_unknown_fields=True):
    code: int = protocol.FORCE_DISCONNECT.code
    reason: str = protocol.FORCE_DISCONNECT.reason


class DisconnectParams(msgspec.Struct, forbid_unknown_fields=True):
    user: str = ""
    client: str = ""
    whitelist: list[str] = []
    disconnect: DisconnectCode = msgspec.field(default_factory=DisconnectCode)


class RefreshParams(msgspec.Struct, forbid_unknown_fields=True):
    user: str = ""
    client: str = ""
    expired: bool = False
    expire_at: UnixSeconds | None = None


class ChannelsParams(msgspec.Struct, forbid_unknown_fields=True):
    pattern: str = ""


class InfoParams(msgspec.Struct, forbid_unknown_fields=True):
    pass


class BatchParams(msgspec.Struct, forbid_unknown_fields=True):
    commands: list[dict[str, msgspec.Raw]] = []
    parallel: bool = False
    """Changes nothing: they are begun in order, and one commit keeps them all."""


def check_utf8(body: bytes) -> bytes:
    """The body as it is. Raises HttpError 400."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise HttpError(400, f"the body is not UTF-8: {error}") from None
    return body


def decode(params: type[Any], body: bytes) -> Any:
    """A call's body as what the call takes. Raises HttpError 400."""
    try:
        return msgspec.json.decode(body, type=params)
    except (msgspec.MsgspecError, RecursionError) as error:
        known = _known(params, str(error)) if "unknown field" in str(error) else ""
        raise HttpError(400, f"the body does not fit: {error}{known}") from None


def _known(params: type[Any], complaint: str) -> str:
    """Which members there are, in the object within the body that the complaint is about."""
    place = complaint.rpartition(" - at `$.")[2].removesuffix("`")
    hint = get_type_hints(params).get(place)
    found = next((each for each in (hint, *get_args(hint)) if hasattr(each, "__struct_fields__")), params)
    return f"; there are {', '.join(found.__struct_fields__)}"


def _from_base64(encoded: str) -> bytes:
    try:
        data = b64decode(encoded, validate=True)
        msgspec.json.decode(data, type=msgspec.Raw)
        data.decode()
    except (Base64Error, ValueError, RecursionError):
        raise protocol.bad_request("b64data must be base64 of JSON") from None
    return data
