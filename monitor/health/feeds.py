"""What a feed has heard, and how fresh each of its subscriptions is.

A quiet market is not a dead feed and a live socket is not a live feed: a subscription is stale
when the connection is silent, or when a sibling showed something that it owes and did not send.
Feeds write here with plain calls; `row` is what `ops:feeds` shows.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, Literal, NamedTuple

FRESH_NS = 5_000_000_000
"""A message this recent makes a subscription fresh."""
OWED_NS = 5_000_000_000
"""What a sibling showed must arrive within this; depth comes at most 100 ms behind at its venue."""
SILENT_NS = 30_000_000_000
"""Beyond two unanswered keep-alives nothing that was heard before can be called live."""
RATE_NS = 1_000_000_000
SPOKEN_NS = 5_000_000_000
GAPS_SECONDS = 300
CAUSES_LIMIT = 64
"""Causes are our own words, but some carry a venue's; the rest share one."""


class FeedState(StrEnum):
    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    RETRYING = "retrying"
    STOPPED = "stopped"


class Freshness(StrEnum):
    WAITING = "waiting"
    FRESH = "fresh"
    QUIET = "quiet"
    STALE = "stale"


@dataclass(slots=True)
class Subscription:
    """One stream of a feed; times are `time.monotonic_ns()`."""

    name: str
    messages: int = 0
    heard_ns: int | None = None
    owed_ns: int | None = None
    """Since when a sibling has shown something that this stream has not sent."""

    def hear(self, now_ns: int) -> None:
        self.messages += 1
        self.heard_ns = now_ns
        self.owed_ns = None

    def owe(self, now_ns: int) -> None:
        if self.owed_ns is None:
            self.owed_ns = now_ns

    def is_overdue(self, now_ns: int) -> bool:
        return self.owed_ns is not None and now_ns - self.owed_ns > OWED_NS

    def freshness(self, now_ns: int, *, is_connected: bool) -> Freshness:
        if self.is_overdue(now_ns) or (self.heard_ns is not None and not is_connected):
            return Freshness.STALE
        if self.heard_ns is None:
            return Freshness.WAITING
        return Freshness.FRESH if now_ns - self.heard_ns <= FRESH_NS else Freshness.QUIET

    def row(self, now_ns: int, *, is_connected: bool) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.freshness(now_ns, is_connected=is_connected),
            "age_ms": _age_ms(self.heard_ns, now_ns),
            "messages": self.messages,
        }


def _age_ms(then_ns: int | None, now_ns: int) -> int | None:
    return None if then_ns is None else max(0, now_ns - then_ns) // 1_000_000


class Standing(NamedTuple):
    """Whether a venue is heard."""

    state: Literal["live", "stale", "lost"]
    since_ns: int | None
    """When it was heard last; 0 if it never was. Of one that is stale, since when something is owed."""


@dataclass(slots=True)
class FeedHealth:
    """The counters of one feed; one writer (its feed), read at a fixed pace."""

    name: str
    venue: str
    url: str = ""
    messages: int = 0
    gaps: int = 0
    last_gap: str = ""
    """What was missing."""
    retries: int = 0
    """Times that the venue could not be reached, or was lost: after each it is dialled again."""
    garbage: int = 0
    error: str | None = None
    account: str | None = None
    """Whose orders it tells of; None for a feed of market data alone."""
    heard_ns: int | None = None
    """The last message."""
    alive_ns: int | None = None
    """The last other sign of life: the upgrade, an answered ping."""
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    _phase: FeedState = FeedState.CONNECTING
    _rate: float = 0.0
    _rate_since: tuple[int, int] | None = None
    _spoken: dict[str, int] = field(default_factory=dict)
    _gaps_before: deque[int] = field(default_factory=lambda: deque([0], maxlen=GAPS_SECONDS))

    def subscription(self, name: str) -> Subscription:
        """The one of that name, made when it is new."""
        return self.subscriptions.setdefault(name, Subscription(name))

    def hear(self, now_ns: int) -> None:
        self.messages += 1
        self.heard_ns = now_ns

    def connecting(self) -> None:
        self._phase = FeedState.CONNECTING

    def connected(self, now_ns: int) -> None:
        self._phase = FeedState.LIVE
        self.error = None
        self.alive_ns = now_ns

    def retrying(self, error: str) -> None:
        self._end(FeedState.RETRYING)
        self.error = error
        self.retries += 1

    def stopped(self) -> None:
        self._end(FeedState.STOPPED)

    def _end(self, phase: FeedState) -> None:
        """The connection is over, and what was owed on it."""
        self._phase = phase
        for subscription in self.subscriptions.values():
            subscription.owed_ns = None

    def count_garbage(self, cause: str, now_ns: int) -> bool:
        """True when the cause may be logged: not more than once in 5 s each."""
        self.garbage += 1
        return self.may_say(cause, now_ns)

    def may_say(self, cause: str, now_ns: int) -> bool:
        """Whether this cause was silent for 5 s; counts as saying it."""
        if cause not in self._spoken and len(self._spoken) >= CAUSES_LIMIT:
            cause = "other"
        if now_ns - self._spoken.get(cause, -SPOKEN_NS) < SPOKEN_NS:
            return False
        self._spoken[cause] = now_ns
        return True

    def miss(self, what: str) -> None:
        """Note that something the venue sent has not arrived."""
        self.gaps += 1
        self.last_gap = what

    def end_second(self) -> None:
        """Remember how many gaps there were by now."""
        self._gaps_before.append(self.gaps)

    @property
    def gap_seconds(self) -> int:
        """Seconds of the last five minutes with any: one cut may leave fifty books with gaps."""
        counts = (*self._gaps_before, self.gaps)
        return sum(after > before for before, after in pairwise(counts))

    def state(self, now_ns: int) -> FeedState:
        if self._phase is not FeedState.LIVE:
            return self._phase
        overdue = any(subscription.is_overdue(now_ns) for subscription in self.subscriptions.values())
        return FeedState.STALE if overdue or self._is_silent(now_ns) else FeedState.LIVE

    def standing(self, now_ns: int) -> Standing:
        """What everybody may know of it: neither its address nor what is wrong stands there."""
        owed_ns = [each.owed_ns for each in self.subscriptions.values() if each.is_overdue(now_ns)]
        heard_ns = max(self.heard_ns or 0, self.alive_ns or 0)
        match self.state(now_ns):
            case FeedState.LIVE:
                return Standing("live", None)
            case FeedState.STALE:
                return Standing("stale", min(filter(None, owed_ns), default=heard_ns))
        return Standing("lost", heard_ns)

    def row(self, now_ns: int) -> dict[str, Any]:
        """The feed's row of `ops:feeds`."""
        is_connected = self._phase is FeedState.LIVE and not self._is_silent(now_ns)
        return {
            "name": self.name,
            "venue": self.venue,
            "account": self.account,
            "state": self.state(now_ns),
            "url": self.url,
            "rate": self._measure_rate(now_ns),
            "messages": self.messages,
            "age_ms": _age_ms(self.heard_ns, now_ns),
            "gaps": self.gaps,
            "retries": self.retries,
            "garbage": self.garbage,
            "error": self.error,
            "subscriptions": [
                subscription.row(now_ns, is_connected=is_connected)
                for subscription in self.subscriptions.values()
            ],
        }

    def _is_silent(self, now_ns: int) -> bool:
        return now_ns - max(self.heard_ns or 0, self.alive_ns or 0) > SILENT_NS

    def _measure_rate(self, now_ns: int) -> float:
        if self._rate_since is None:
            self._rate_since = (now_ns, self.messages)
        since_ns, messages = self._rate_since
        if now_ns - since_ns >= RATE_NS:
            self._rate = round((self.messages - messages) * 1e9 / (now_ns - since_ns), 1)
            self._rate_since = (now_ns, self.messages)
        return self._rate
