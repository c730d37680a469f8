"""Which accounts' feeds are to begin anew: more is to be looked up at a venue than they know of.

Decides it for each account at each venue by itself: what finds no room for one costs no other its
feed, and two feeds of one account do not take the demand from each other.
"""

from dataclasses import dataclass, field

import trio


@dataclass(slots=True)
class Recheck:
    """Of one account at one venue, since its feed began."""

    due: trio.Event = field(default_factory=trio.Event)
    refused: int = 0
    """Orders and fills that found no room."""


class Rechecks:
    """Those of all feeds that can look up what nobody told."""

    def __init__(self) -> None:
        self._rechecks: dict[tuple[str, str], Recheck] = {}
        """By account and venue."""

    def begin(self, account: str, venue: str) -> Recheck:
        """The feed begins; what was demanded before is done by that."""
        recheck = self._rechecks[account, venue] = Recheck()
        return recheck

    def is_due(self, account: str, venue: str) -> bool:
        recheck = self._rechecks.get((account, venue))
        return recheck is not None and recheck.due.is_set()

    def refuse(self, account: str, venue: str) -> bool:
        """One more has found no room; whether it is the first of which that is known."""
        recheck = self._rechecks.get((account, venue))
        if recheck is None:
            return True
        recheck.due.set()
        recheck.refused += 1
        return recheck.refused == 1

    def demand_all(self) -> None:
        for recheck in self._rechecks.values():
            recheck.due.set()
