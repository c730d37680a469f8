"""Which publications are sampled, and which clients are asked: of those who said they would answer.

A sample is taken as a fan-out begins, so that no history, state or journal ever holds its mark.
Looking for volunteers is bounded in clients and in how often, whatever is published.
"""

import random
from heapq import nsmallest

from msgspec.structs import replace

from monitor.broadcast.client import Client
from monitor.broadcast.group import SendGroup
from monitor.broadcast.item import Publication
from monitor.broadcast.ladder import Variant
from monitor.broadcast.tags import with_tag
from monitor.health.end_to_end import CLIENTS_PER_SAMPLE, SAMPLE_SECONDS
from monitor.health.health import Health
from monitor.sampling import TAG, Mark, rank

VOLUNTEERS_MAX = 500
"""More would only make the choice dearer: ten are asked."""
LOOK_AGAIN_SECONDS = 0.25
"""Where nobody who watches the channel volunteers."""


class Volunteers:
    def __init__(self, health: Health) -> None:
        self._health = health
        self._clients: dict[str, Client] = {}

    def add(self, client: Client) -> None:
        """Have the client asked from now on, if there is room for another one."""
        if len(self._clients) < VOLUNTEERS_MAX:
            self._clients[client.id] = client

    def remove(self, client: Client) -> None:
        self._clients.pop(client.id, None)

    def sample(
        self, channel: str, publications: list[Publication], variant: Variant | None, now_ns: int
    ) -> list[Publication]:
        """The publications as they are to go out; one of them is marked if a sample is due."""
        meter = self._health.kinds[publications[0].kind].end_to_end
        if not self._clients or now_ns < meter.due_ns:
            return publications
        candidates = self._watching(channel, variant)
        seconds = SAMPLE_SECONDS if candidates else LOOK_AGAIN_SECONDS
        meter.due_ns = now_ns + int(seconds * 1e9)
        return self._mark(publications, candidates) if candidates else publications

    def _watching(self, channel: str, variant: Variant | None) -> list[str]:
        groups = ((name, client.groups.get(channel)) for name, client in self._clients.items())
        return [name for name, group in groups if group and _gets_all(group, variant)]

    def _mark(self, publications: list[Publication], candidates: list[str]) -> list[Publication]:
        """Mark one of them, any: the newest alone would have waited least for its tick."""
        place = random.getrandbits(32) % len(publications)
        chosen = publications[place]
        salt = f"{random.getrandbits(32):08x}"
        asked = nsmallest(CLIENTS_PER_SAMPLE, candidates, key=lambda client: rank(client, salt))
        mark = Mark(salt, rank(asked[-1], salt))
        meter = self._health.kinds[chosen.kind].end_to_end
        self._health.samples.open(salt, meter, chosen.published_ns or chosen.stamp_ns, set(asked))
        marked = replace(chosen, tags=with_tag(chosen.tags, TAG, str(mark)))
        return [*publications[:place], marked, *publications[place + 1 :]]


def _gets_all(group: SendGroup, variant: Variant | None) -> bool:
    """Who filters may never see the mark, and would seem not to answer."""
    return group.key.only is None and variant in (None, group.key.variant)
