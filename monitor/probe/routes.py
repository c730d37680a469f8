"""Where a kind is tested: a channel of the run's own, in the namespace that carries the kind.

Nobody else reads `orders:probe-…`, so a test disturbs no user and no market state.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from monitor.config import Access, Delivery, Namespace

CARRIERS = {"order_fill": "orders", "bot_cycle": "bots", "bot_lifecycle": "bots"}
"""Namespaces of the kinds that are no namespace's own."""
SHARED = "message"
"""The kind in whose namespace those are tested that have none at all."""


@dataclass(frozen=True, slots=True)
class Route:
    kind: str
    channel: str
    namespace: Namespace

    @property
    def is_map(self) -> bool:
        return self.namespace.delivery is Delivery.MAP

    @property
    def is_for_operators(self) -> bool:
        return self.namespace.access is Access.OPERATOR

    @property
    def is_public(self) -> bool:
        return self.namespace.access is Access.PUBLIC


def routes_of(kinds: Iterable[str], namespaces: Mapping[str, Namespace], run: str) -> Iterator[Route]:
    """A route for each kind that these namespaces carry."""
    own = {namespace.kind: name for name, namespace in reversed(list(namespaces.items()))}
    for kind in kinds:
        carrier = CARRIERS.get(kind)
        name = carrier if carrier in namespaces else own.get(kind, own.get(SHARED))
        if name is not None:
            yield Route(kind, channel_of(name, run), namespaces[name])


def channel_of(namespace: str, run: str) -> str:
    """A finer namespace (`market:hot`) goes up to the first dot."""
    separator = "." if ":" in namespace else ":" if namespace else ""
    return f"{namespace}{separator}probe-{run}"
