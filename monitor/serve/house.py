"""What all sessions share, and what a command is answered with.

One record instead of module globals: a test or a benchmark builds a house of its own.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from monitor.broadcast.hub import Hub
from monitor.broadcast.item import Resent
from monitor.broadcast.maps import Maps
from monitor.broadcast.receipt import Receipt
from monitor.broadcast.tuning import Tuning
from monitor.config import Lane, Settings
from monitor.market.state import MarketState
from monitor.serve.admission import Admission
from monitor.serve.closes import Closes
from monitor.serve.registry import Registry
from monitor.serve.timers import Timers
from monitor.serve.tokens import TokenReader
from monitor.serve.window import Rates
from monitor.turnstile import Turnstile

if TYPE_CHECKING:
    from monitor.serve.census import Census
    from monitor.serve.session import Session


class Outcome(NamedTuple):
    """What a command is answered."""

    lane: Lane
    result: bytes
    resent: tuple[Resent, ...] = ()
    """What the result holds of publications that the client had missed."""
    receipt: Receipt | None = None
    """It is answered once this publication is on its way."""
    read_bytes: int = 0
    """Of what was read for it, whether it is in the result or not."""


Handler = Callable[["Session", Any], Outcome | Generator[None, None, Outcome]]
"""Carries out one command; what takes longer than a turn in slices, between which others have theirs."""
Rpc = Callable[["Session", msgspec.Raw], bytes | Generator[None, None, bytes]]
"""Answers one remote call with JSON."""


@dataclass(frozen=True, slots=True)
class House:
    """What all sessions share."""

    settings: Settings
    tokens: TokenReader
    hub: Hub
    maps: Maps
    tuning: Tuning
    registry: Registry
    closes: Closes
    market: MarketState
    census: "Census"
    admission: Admission
    publications: Rates
    """By channel; of clients and backends, a feed is not held up."""
    timers: Timers
    turnstile: Turnstile
    public_accounts: frozenset[str]
    """Readable by everybody: the simulator's demonstration data."""
    handlers: Mapping[str, Handler]
    rpcs: Mapping[str, Rpc]
