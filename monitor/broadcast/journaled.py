"""The journaled channels of a hub, and where they stand: what a journal restores and asks for.

Decides that positions of before and after a loss are told apart by their epochs: a client that
holds one from before must not believe that it missed nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.broadcast.epochs import new_epoch
from monitor.broadcast.history import Position
from monitor.broadcast.hub import Hub, UnknownChannel
from monitor.broadcast.item import Publication


@dataclass(frozen=True, slots=True)
class Standing:
    """Where journaled channels stand."""

    epoch: str
    """Of those that are not among `positions`: nothing was ever published in them under it."""
    positions: Mapping[str, Position]


class Journaled:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def restore(self, standing: Standing, kept: Mapping[str, Sequence[Publication]]) -> None:
        """Let channels that are journaled still go on where they stood, with what is kept of them."""
        self._hub.epochs.of_journal = standing.epoch
        for channel, position in standing.positions.items():
            if self._is_journaled(channel):
                history = self._hub.open(channel).history
                assert history is not None, "a journaled namespace has history"
                history.restore(position, kept.get(channel, ()))

    def _is_journaled(self, channel: str) -> bool:
        try:
            return self._hub.namespace(channel).journal
        except UnknownChannel:
            return False

    def renew_epochs(self) -> None:
        """Positions from here on are not those from before, nor any that a journal will restore."""
        self._hub.epochs.of_journal = epoch = new_epoch()
        for channel in self._hub.channels():
            if channel.namespace.journal:
                channel.begin_epoch(epoch)

    def standing(self) -> Standing:
        """As it is now."""
        positions = {
            channel.name: channel.history.position
            for channel in self._hub.channels()
            if channel.namespace.journal and channel.history is not None and channel.history.offset
        }
        return Standing(self._hub.epochs.of_journal, positions)
