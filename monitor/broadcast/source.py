"""Where the state of the channels that Lanecast itself fills comes from, as the hub sees it."""

from typing import Protocol

from monitor.broadcast.ladder import Variant


class Source(Protocol):
    def owns(self, channel: str) -> bool:
        """Whether it fills the channel, in every form."""
        ...

    def knows(self, channel: str) -> bool:
        """Whether it has anything to fill the channel with."""
        ...

    def whole(self, channel: str, variant: Variant) -> bytes | None:
        """State for a new subscriber, None if the channel is not the source's; opens its view.

        Those who are subscribed already hear nothing of it, and what they are told next is right for all.
        """
        ...

    def close(self, channel: str, variant: Variant) -> None:
        """Nobody watches the channel in this form any more."""
        ...


class NoSource:
    def owns(self, channel: str) -> bool:
        return False

    def knows(self, channel: str) -> bool:
        return False

    def whole(self, channel: str, variant: Variant) -> bytes | None:
        return None

    def close(self, channel: str, variant: Variant) -> None:
        pass
