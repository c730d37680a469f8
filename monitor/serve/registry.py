"""Who is connected: found by id and by user, counted by where from."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import trio

from monitor.health.health import Health

if TYPE_CHECKING:
    from monitor.serve.session import Session


class Registry:
    def __init__(self, health: Health) -> None:
        self._sessions: dict[str, Session] = {}
        self._users: dict[str, dict[str, Session]] = {}
        self._places: Counter[str] = Counter()
        self._health = health
        self._emptied = trio.Event()

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> "Iterator[Session]":
        return iter(list(self._sessions.values()))

    @property
    def user_count(self) -> int:
        return len(self._users)

    def count_at(self, place: str) -> int:
        """How many are connected from there."""
        return self._places[place]

    def add(self, session: "Session") -> None:
        self._sessions[session.id] = session
        self._places[session.place] += 1
        self._health.encodings[session.client.encoding.name].clients += 1
        self._health.clients = len(self._sessions)

    def name_user(self, session: "Session") -> None:
        """Make a session findable by its user, once the user is known."""
        self._users.setdefault(session.user, {})[session.id] = session

    def unname_user(self, session: "Session") -> None:
        """Let nobody find a session by its user any more: all that can still come of it is its end."""
        of_user = self._users.get(session.user, {})
        of_user.pop(session.id, None)
        if not of_user:
            self._users.pop(session.user, None)

    def remove(self, session: "Session") -> None:
        if self._sessions.pop(session.id, None) is not None:
            self._health.encodings[session.client.encoding.name].clients -= 1
            self._places[session.place] -= 1
            if not self._places[session.place]:
                del self._places[session.place]
        self._health.clients = len(self._sessions)
        if not self._sessions:
            self._emptied.set()
            self._emptied = trio.Event()

    async def wait_empty(self) -> None:
        """Wait until nobody is connected."""
        while self._sessions:
            await self._emptied.wait()

    def lose_positions(self) -> None:
        """Positions of journaled channels are others now."""
        for session in self:
            session.lose_positions()

    def get(self, client_id: str) -> "Session | None":
        return self._sessions.get(client_id)

    def of_user(self, user: str, client_id: str = "") -> "list[Session]":
        """The sessions of a user, or the one of them that is named."""
        sessions = self._users.get(user, {})
        if client_id:
            return [sessions[client_id]] if client_id in sessions else []
        return list(sessions.values())
