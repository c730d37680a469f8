"""What all venues' messages have in common, without a socket.

A dialect turns one message into events, and says what it wants of the connection as commands.
Whatever a venue sends, `receive` returns: what can't be understood is counted and, at most once
in 5 s a cause, logged, so that one bad message never costs the feed.
"""

import logging
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from monitor.errors import FeedError
from monitor.events import Event
from monitor.health.feeds import FeedHealth

logger = logging.getLogger("lanecast.feeds")

DIGITS_LIMIT = 30
"""No price or size of any venue has more; int() of an endless text would hold the loop."""
POWERS: list[int] = [10**exponent for exponent in range(DIGITS_LIMIT + 1)]
OVERLAP_MS = 600_000
"""Looked up again before what is known: clocks differ, and a process may end before its last lookup did.
What is known already is passed over."""
IDS_REMEMBERED = 10_000
"""Trades and fills; a venue that repeats itself after a reconnect goes back less far."""
TIME_LIMIT_MS = 2**53
"""What every reader of JSON holds exactly; far beyond any time."""


class Garbage(FeedError):
    """A message that can't be what the venue documents; its text is the cause it is counted under."""


UNREADABLE = (Garbage, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading a message of the wrong shape raises."""


@dataclass(frozen=True, slots=True)
class Send:
    """Say this on the socket."""

    text: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Look something up over HTTP: the snapshot of a market, an account's fills or orders."""

    subject: str


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Leave this connection for a new one."""

    cause: str


Command = Send | Fetch | Reconnect


class Dialect(ABC):
    """One venue's language over the life of a feed; `commands` is emptied by whoever runs it."""

    pace_seconds: float = 0.1
    """Least time between two messages that we send."""
    lifetime_seconds: float = math.inf
    """How old a connection may get before we renew it ourselves."""

    def __init__(self, health: FeedHealth) -> None:
        self.health = health
        self.commands: deque[Command] = deque()

    @property
    def unanswered(self) -> int:
        """Subscriptions that were asked for on this connection and neither granted nor refused yet."""
        return 0

    @abstractmethod
    def connect(self) -> list[Event]:
        """Forget the last connection and ask for the subscriptions."""

    @abstractmethod
    def decode(self, message: Any, received_ns: int) -> Sequence[Event]:
        """The events of one parsed message; may raise Garbage or what a wrong shape raises."""

    def disconnect(self, cause: str) -> list[Event]:
        """What a lost connection makes of what is shown."""
        return []

    def judge(self, now_ns: int) -> list[Event]:
        """What the passing of time changes; called about once a second."""
        return []

    def receive(self, message: str | bytes, received_ns: int) -> Sequence[Event]:
        """The events of one message, none when it is garbage; never raises on venue input."""
        self.health.hear(received_ns)
        try:
            return self.decode(orjson.loads(message), received_ns)
        except orjson.JSONDecodeError:
            cause = "not json"
        except UNREADABLE as error:
            cause = str(error) if isinstance(error, Garbage) else f"wrong shape ({type(error).__name__})"
        self._refuse(cause, message, received_ns)
        return ()

    def complain(self, cause: str, detail: str) -> None:
        """Log what the venue refuses to do for us, and show it as the feed's error."""
        self.health.error = f"{cause}: {detail}"
        if self.health.may_say(cause, time.monotonic_ns()):
            logger.warning("%s: %s: %.300s", self.health.name, cause, detail)

    def _refuse(self, cause: str, message: str | bytes, received_ns: int) -> None:
        if self.health.count_garbage(cause, received_ns):
            logger.warning("%s: garbage, %s: %.120r", self.health.name, cause, message)


def scaled(number: str, decimals: int) -> int:
    """`"61837.63"` at 8 decimals is 6183763000000; garbage when a digit would be lost."""
    whole, _, fraction = number.partition(".")
    digits = whole + fraction
    missing = decimals - len(fraction)
    if missing < 0 or not digits.isdigit() or not digits.isascii() or len(digits) > DIGITS_LIMIT:
        raise Garbage(f"not a decimal number of at most {decimals} decimals")
    return int(digits) * POWERS[missing]


def signed(number: str, decimals: int) -> int:
    """As `scaled`, with a leading minus allowed."""
    return -scaled(number[1:], decimals) if number.startswith("-") else scaled(number, decimals)


def whole(value: object) -> int:
    """The value when it is a whole number of JSON, which true and 1.0 are not."""
    if type(value) is not int:
        raise Garbage("not a whole number")
    return value


def moment(value: object) -> int:
    """The value when it can be a time in ms since 1970: what comes later reckons with it, and writes it."""
    time_ms = whole(value)
    if not 0 <= time_ms < TIME_LIMIT_MS:
        raise Garbage("not a time")
    return time_ms


def text(value: object) -> str:
    """The value when it is a text."""
    if not isinstance(value, str):
        raise Garbage("not a text")
    return value


def plain(number: str) -> str:
    """A decimal text without trailing zeros; garbage when it is none."""
    if not number.removeprefix("-").replace(".", "", 1).isdecimal() or not number.isascii():
        raise Garbage("not a decimal number")
    return number.rstrip("0").rstrip(".") if "." in number else number
