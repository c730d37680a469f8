"""Whose orders and bots there are, for an operator who has to choose between accounts.

No setting names them all: a backend tells of any it likes. So an account is there once something was said
in one of its channels, or a feed has its key; guessing names would leave the others unseen. What a probe
leaves in the journal is no account: it would be the one told of last, and shown first.
"""

from collections.abc import Generator, Iterable
from operator import itemgetter

from monitor.broadcast.channel import Channel
from monitor.broadcast.hub import Hub
from monitor.config import is_probes_own
from monitor.health.latency import NS_PER_MS
from monitor.serve.listing import Listing, slices

OF_ACCOUNTS = frozenset({"orders", "bots"})
"""Namespaces in which an account is told of; its maps are made from them."""

Activity = tuple[str, int | None]
"""An account, and when it was told of last, in ms since 1970; None before that."""

ACCOUNTS: Listing[Activity] = Listing(
    keys={"active": itemgetter(1), "account": itemgetter(0)},
    texts=lambda activity: (activity[0],),
    row=lambda activity: dict(zip(("account", "active"), activity, strict=True)),
)


def read_activity(hub: Hub) -> Generator[None, None, Iterable[Activity]]:
    """Each account with its last activity; gives way after every slice of the channels."""
    now_ns, now_ms = hub.health.clock_ns(), hub.health.wall_ms()
    newest: dict[str, int | None] = {
        feed.account: None for feed in hub.health.feeds.values() if feed.account is not None
    }
    for some in slices(hub.channels()):
        for channel in some:
            namespace, _, account = channel.name.partition(":")
            if namespace not in OF_ACCOUNTS or not account or is_probes_own(account):
                continue
            if (stamp_ns := _newest_ns(channel, now_ns)) is not None:
                active_ms = now_ms - (now_ns - stamp_ns) // NS_PER_MS
                newest[account] = max(newest.get(account) or 0, active_ms)
        yield
    return newest.items()


def _newest_ns(channel: Channel, now_ns: int) -> int | None:
    """When the newest publication that is kept came; None where none is: who only listens is no account."""
    kept = channel.history.read(now_ns, since=None, limit=1, reverse=True) if channel.history else ()
    return kept[0].stamp_ns if kept else None
