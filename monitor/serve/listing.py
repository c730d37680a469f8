"""The first rows of a long list, sorted and filtered, in slices between which others have their turn.

A crowd of thousands is looked at once a second for an operator: in one piece that would be tens of
milliseconds in which no fill goes out.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any, Generic, TypeVar

import msgspec

from monitor.serve import protocol

ROWS_MAX = 200
"""What one call returns at most, however many there are."""
SLICE = 64
"""Entries looked at, or rows made, between two looks at the clock."""

SORTED_FROM = 2_000
"""So many candidates are sorted at once, which takes some 0.3 ms; more would be too long a piece."""

Entry = TypeVar("Entry")


class ListParams(msgspec.Struct):
    sort: str = ""
    descending: bool = False
    filter: str = ""
    limit: int = ROWS_MAX


@dataclass(frozen=True, slots=True)
class Listing(Generic[Entry]):
    keys: Mapping[str, Callable[[Entry], Any]]
    """Of an entry and not of its row: a row is made for those that are shown, whoever else there is."""
    texts: Callable[[Entry], Iterable[str]]
    """In which a filter is looked for."""
    row: Callable[[Entry], dict[str, Any]]

    def key(self, sort: str) -> Callable[[Entry], Any]:
        """What a column is sorted by; the first one if none is named."""
        key = self.keys.get(sort or next(iter(self.keys)))
        if key is None:
            raise protocol.bad_request(f"sort {sort!r}: must be one of {', '.join(self.keys)}")
        return key

    def report(self, entries: Iterable[Entry], params: ListParams) -> Generator[None, None, dict[str, Any]]:
        """How many entries match, and the rows of the first of them."""
        key, limit = self.key(params.sort), max(0, min(params.limit, ROWS_MAX))
        total = 0
        best: list[tuple[Any, Entry]] = []
        for some in slices(entries):
            matching = self._matching(some, params.filter.lower())
            total += len(matching)
            best += [(key(entry), entry) for entry in matching]
            if len(best) > SORTED_FROM:
                _keep_first(best, limit, params)
            yield
        _keep_first(best, limit, params)
        rows: list[dict[str, Any]] = []
        for shown in slices(best):
            rows += [self.row(entry) for _, entry in shown]
            yield
        return {"total": total, "rows": rows}

    def _matching(self, entries: list[Entry], text: str) -> list[Entry]:
        if not text:
            return entries
        return [entry for entry in entries if text in "\n".join(self.texts(entry)).lower()]


def _keep_first(best: list[tuple[Any, Entry]], limit: int, params: ListParams) -> None:
    """In order, those of which the column is not known last whichever way."""
    known = [pair for pair in best if pair[0] is not None]
    known.sort(key=itemgetter(0), reverse=params.descending)
    best[:] = (known + [pair for pair in best if pair[0] is None])[:limit]


def slices(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """The entries, so many at once as may be looked at between two looks at the clock."""
    rest = iter(entries)
    while some := list(islice(rest, SLICE)):
        yield some
