"""The channels in use, and which of them is to make room for a new one.

Clients invent names. So channels are counted by who has spoken in them, and room for one is made
among its like alone: what strangers wait in takes no room of what feeds and backends publish to, and
those of one place are given a part of it only.
"""

from collections import Counter
from collections.abc import Iterator

from monitor.broadcast.channel import Channel, Voice
from monitor.health.health import Health

PLACE_SHARE = 10
"""Of the channels in which nobody has spoken one part in so many, at most, were opened from one place."""


class Rooms:
    def __init__(self, limit: int, health: Health) -> None:
        """`limit` bounds the channels of each voice."""
        self._limit = limit
        self._channels: dict[str, Channel] = {}
        self._rooms: dict[Voice, dict[str, Channel]] = {voice: {} for voice in Voice}
        self._opened_from = Counter[str]()
        """By place, those in which nobody has spoken."""
        health.channels = {voice.name.lower(): room for voice, room in self._rooms.items()}

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._channels.values())

    def __getitem__(self, name: str) -> Channel:
        return self._channels[name]

    def get(self, name: str) -> Channel | None:
        return self._channels.get(name)

    def is_full(self, voice: Voice) -> bool:
        return len(self._rooms[voice]) >= self._limit

    def has_share_left(self, place: str) -> bool:
        """Whether one more may be opened from a place before anybody speaks in it."""
        return self._opened_from[place] < max(1, self._limit // PLACE_SHARE)

    def forget_idle(self, voice: Voice) -> Iterator[Channel]:
        """While there are too many of this voice, take out the oldest that nobody follows, and tell which."""
        # Where nobody has spoken nothing is kept: those without subscribers are forgotten already.
        while voice > Voice.NOBODY and self.is_full(voice):
            idle = next((each for each in self._rooms[voice].values() if not each.is_followed), None)
            if idle is None:
                return
            self._remove(idle)
            yield idle

    def add(self, channel: Channel) -> None:
        self._channels[channel.name] = channel
        self._rooms[channel.voice][channel.name] = channel
        self._count(channel, 1)

    def move(self, channel: Channel, voice: Voice) -> None:
        """A stronger voice has spoken in a channel: from now on it is counted there."""
        del self._rooms[channel.voice][channel.name]
        self._count(channel, -1)
        channel.voice = voice
        self.add(channel)

    def let_go(self, channel: Channel) -> None:
        """Forget a channel that nobody follows and that keeps nothing."""
        if not channel.is_needed:
            self._remove(channel)

    def _remove(self, channel: Channel) -> None:
        # Another one of its name, that was made since, stays.
        if self._channels.get(channel.name) is channel:
            del self._channels[channel.name]
            del self._rooms[channel.voice][channel.name]
            self._count(channel, -1)

    def _count(self, channel: Channel, change: int) -> None:
        if channel.voice is Voice.NOBODY and channel.place:
            self._opened_from[channel.place] += change
            if not self._opened_from[channel.place]:
                del self._opened_from[channel.place]
