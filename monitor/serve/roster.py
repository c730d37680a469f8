"""The maps that list who is subscribed to a channel, by client or by user.

An entry is published once the subscriber has his reply, since he may watch the map himself. One by
client goes with him; one by user is kept alive by each of the user's clients, and goes by its time.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from monitor.broadcast.channel import Voice
from monitor.broadcast.hub import BadPublication, TooBusy, TooMany
from monitor.config import Lists
from monitor.serve.timers import Timer

if TYPE_CHECKING:
    from monitor.serve.house import House
    from monitor.serve.session import Session

RENEWALS = 2
"""In the time after which a key goes that nobody writes."""
RETRY_SECONDS = 1.0


class Entry:
    """One subscriber in one map, from soon after it is made until `end`."""

    __slots__ = ("_channel", "_house", "_info", "_key", "_namespace", "_timer")

    def __init__(self, house: "House", channel: str, key: str, info: bytes) -> None:
        self._house = house
        self._channel = channel
        self._namespace = house.hub.namespace(channel)
        self._key = key
        self._info = info
        self._timer: Timer | None = house.timers.after(0, self._renew)

    def _renew(self) -> None:
        seconds = self._namespace.key_seconds / RENEWALS
        try:
            self._house.maps.keep(self._channel, self._key, self._info)
        except (TooBusy, TooMany, BadPublication):
            self._house.hub.health.totals.refused["roster"] += 1
            seconds = RETRY_SECONDS
        self._timer = self._house.timers.after(seconds, self._renew) if seconds else None

    def end(self) -> None:
        """The subscriber has left."""
        if self._timer is not None:
            self._timer.cancel()
        if self._namespace.lists is Lists.CLIENTS:
            # Too many only if the map was forgotten, and the entry with it.
            with suppress(TooMany):
                self._house.maps.remove(self._channel, self._key, voice=Voice.CLIENTS)


def enter(session: "Session", channel: str, info: bytes) -> Iterator[Entry]:
    """Have a subscriber listed wherever the channel's namespace says."""
    hub = session.house.hub
    for roster in hub.namespace(channel).listed_in:
        name = f"{roster}:{channel}"
        key = session.id if hub.namespace(name).lists is Lists.CLIENTS else session.user
        if key:
            yield Entry(session.house, name, key, info)
