"""What a backend publishes, as the HTTP API's calls have it in their bodies."""

from base64 import b64decode
from binascii import Error as Base64Error

import msgspec

from monitor.serve import protocol


class PayloadParams(msgspec.Struct, forbid_unknown_fields=True):
    """What is published, to one channel or to several."""

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
            return _decode(self.b64data)
        if not self.data:
            raise protocol.bad_request("data is missing")
        return bytes(self.data)

    def encoded_tags(self) -> bytes:
        return msgspec.json.encode(self.tags) if self.tags else b""


def _decode(encoded: str) -> bytes:
    try:
        data = b64decode(encoded, validate=True)
        msgspec.json.decode(data, type=msgspec.Raw)
        data.decode()
    except (Base64Error, ValueError, RecursionError):
        raise protocol.bad_request("b64data must be base64 of JSON") from None
    return data
