"""How the connections of each user, or of each address without one, have ended lately.

Who looks at a client that keeps coming back wants to know why it went; by then its sessions are gone.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.recent import Recent

if TYPE_CHECKING:
    from monitor.serve.session import Session

PEERS_MAX = 1_000
"""The one that was heard of longest ago is forgotten."""
CLOSES_EACH = 8


@dataclass(frozen=True, slots=True)
class Close:
    client: str
    address: str
    connected: int
    """Like `closed` in ms since 1970."""
    closed: int
    code: int
    reason: str


class Closes:
    def __init__(self) -> None:
        self._peers = Recent[tuple[str, str], deque[Close]](PEERS_MAX)

    def note(self, session: "Session", now_ms: int) -> None:
        """A session is about to say goodbye."""
        assert session.goodbye is not None
        code, reason = session.goodbye.code, session.goodbye.reason
        close = Close(session.id, session.address, session.connected_ms, now_ms, code, reason)
        closes = self._peers.get(_peer(session)) or deque(maxlen=CLOSES_EACH)
        closes.appendleft(close)
        self._peers.keep(_peer(session), closes)

    def before(self, session: "Session") -> Sequence[Close]:
        """How the peer's connections ended before, the last one first."""
        return self._peers.get(_peer(session), ())

    def had(self, session: "Session", code: int, since_ms: int) -> bool:
        """Whether one of the peer's has ended by this code since then."""
        return any(close.code == code and close.closed >= since_ms for close in self.before(session))

    def among(self, client_id: str) -> Sequence[Close]:
        """Those of the peer whose client that was, if they are remembered."""
        for closes in self._peers.values():
            if any(close.client == client_id for close in closes):
                return closes
        return ()


def _peer(session: "Session") -> tuple[str, str]:
    return session.user, "" if session.user else session.place
