"""Why the server doesn't let this console look, and what the operator can do about it.

A client's token is let in, and then refused each report; the protocol's words for it (`permission denied`)
would leave him to guess that there are two kinds of token.
"""

from monitor.client import CommandRejected, Disconnected
from monitor.errors import PeerError

_REMEDY = "lanecast token NAME --operator makes one, for LANECAST_OPERATOR_TOKEN"
_WHY = {
    103: f"this is not an operator's token: {_REMEDY}",
    109: f"the token has expired: {_REMEDY}",
    3005: f"the token has expired: {_REMEDY}",
    3500: f"this server did not sign the token: {_REMEDY}",
}
"""By the code of an error or a close."""


def refusal_text(error: PeerError) -> str:
    """In words that help, with the code."""
    code = error.code if isinstance(error, CommandRejected | Disconnected) else 0
    return f"{_WHY[code]} (code {code})" if code in _WHY else str(error)


def close_text(code: int, reason: str) -> str:
    """Why there is no connection, without the code."""
    return _WHY.get(code, reason)
