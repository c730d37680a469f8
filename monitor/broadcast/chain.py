"""Publications for those who asked for deltas: each payload is a string, in full or as a change.

A change can be read only by who has got the publication before it, so each chain begins in full.
In a map each key is a chain, and whoever is live has what it held before: nobody is to begin anew.
"""

from collections.abc import Iterable

import orjson
from msgspec.structs import replace

from monitor.broadcast.fossil import encode_delta
from monitor.broadcast.item import Item, Publication


def chain_documents(base: bytes | None, publications: Iterable[Publication]) -> list[bytes]:
    """The protocol's publication objects; `base` is the payload before them, None begins a chain."""
    documents = []
    for publication in publications:
        documents.append(_document(publication.base if publication.key else base, publication))
        base = publication.data
    return documents


def full_documents(publications: Iterable[Publication]) -> list[bytes]:
    """The protocol's publication objects, none of them a change."""
    return [_document(None, publication) for publication in publications]


def base_after(item: Item) -> bytes | None:
    """What the item after it is told as a change of."""
    newest = item.publications[-1]
    return None if newest.key else newest.data


def _document(base: bytes | None, publication: Publication) -> bytes:
    delta = encode_delta(base, publication.data) if base is not None else None
    text = orjson.dumps((publication.data if delta is None else delta).decode())
    document = replace(publication, data=text).document()
    return document if delta is None else document[:-1] + b',"delta":true}'


class Link(Item):
    """An item's form in a chain."""

    __slots__ = ("_alone", "base")

    def __init__(self, item: Item, base: bytes | None) -> None:
        documents = chain_documents(base, item.publications)
        super().__init__(
            b"\n".join([item.prefix + document + b"}}" for document in documents]),
            item.lane,
            channel=item.channel,
            prefix=item.prefix,
            delivery=item.delivery,
            publications=item.publications,
        )
        self.base = base
        self.held_bytes = item.held_bytes
        self._alone: Link | None = None

    @property
    def alone(self) -> Item:
        """Of itself, for who has not got what comes before it: it begins a chain."""
        if self.base is None:
            return self
        if self._alone is None:
            alone = Link(self, None)
            # What is told in full anyway is one form, with one frame for all.
            self._alone = self if alone.payload == self.payload else alone
        return self._alone


def link_item(item: Item, base: bytes | None) -> Link:
    """Its form in a chain in which `base` was the last payload; made once."""
    if item.link is None or item.link.base != base:
        item.link = Link(item, base)
    return item.link
