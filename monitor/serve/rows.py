"""What an operator is shown of a connection and of a channel, and by what both can be sorted."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from monitor.broadcast.channel import Channel
from monitor.events import BookStatus
from monitor.health.latency import NS_PER_MS
from monitor.market.book import Book
from monitor.serve.census import Census
from monitor.serve.listing import Listing
from monitor.serve.session import Session


def connection_row(session: Session) -> dict[str, Any]:
    """One client: where it stands, and what became of what it was offered."""
    client = session.client
    ledger = client.settle()
    return {
        "id": session.id,
        "user": session.user,
        "name": session.name,
        "address": session.address,
        "operator": session.is_operator,
        "state": _state(session),
        "channels": list(session.subscriptions),
        "lanes": client.backlog.depths(),
        "outbox_bytes": client.backlog.bytes,
        "offered": ledger.offered,
        "sent": ledger.sent,
        "sent_bytes": ledger.sent_bytes + client.accounts.reply_bytes,
        "merged": ledger.merged,
        "dropped": ledger.dropped,
        "late": ledger.late,
        "pending": ledger.pending,
        "resent": ledger.resent,
        "rtt_ms": session.rtt_ms,
        **_end_to_end(session),
        "encoding": client.encoding.name,
        "connected": session.connected_ms,
        **session.ladder_report(),
        "budget": client.budget._asdict(),
    }


def _end_to_end(session: Session) -> dict[str, float | None]:
    """How long a publication takes to the client, and how far that may be off; null before a sample."""
    latency_ns, error_ns = session.end_to_end or (None, None)
    return {
        "e2e_ms": None if latency_ns is None else round(latency_ns / NS_PER_MS, 3),
        "e2e_error_ms": None if error_ns is None else round(error_ns / NS_PER_MS, 3),
    }


def _state(session: Session) -> str:
    if session.claims is None:
        return "connecting"
    return "behind" if session.client.is_behind else "ok"


_LEDGER_COLUMNS = ("offered", "sent", "sent_bytes", "merged", "dropped", "late", "pending", "resent")


def _settled(field: str) -> Callable[[Session], Any]:
    read = attrgetter(field)
    return lambda session: read(session.client.settle())


def _counted(field: str) -> Callable[[Session], Any]:
    read = attrgetter(field)
    return lambda session: session.client.accounts.count(read)


CONNECTIONS: Listing[Session] = Listing(
    keys={
        "connected": attrgetter("connected_ms"),
        "depth": lambda session: sum(session.client.backlog.depths()) if session.client.is_behind else 0,
        "channels": lambda session: len(session.subscriptions),
        "id": attrgetter("id"),
        "user": attrgetter("user"),
        "name": attrgetter("name"),
        "address": attrgetter("address"),
        "state": _state,
        "step": attrgetter("client.ladder.step"),
        "outbox_bytes": attrgetter("client.backlog.bytes"),
        **{name: _settled(name) for name in ("offered", "sent", "late")},
        **{name: _counted(name) for name in ("merged", "dropped", "pending", "resent")},
        "sent_bytes": lambda session: (
            session.client.settle().sent_bytes + session.client.accounts.reply_bytes
        ),
        "rtt_ms": attrgetter("rtt_ms"),
        "e2e_ms": attrgetter("end_to_end"),
        "encoding": attrgetter("client.encoding.name"),
    },
    texts=lambda session: (
        session.id,
        session.user,
        session.name,
        session.address,
        _state(session),
        session.client.encoding.name,
        *session.subscriptions,
    ),
    row=connection_row,
)


_CHANNEL_COLUMNS: Mapping[str, Callable[[Channel], Any]] = {
    "channel": attrgetter("name"),
    "lane": lambda channel: channel.lane.name.lower(),
    "delivery": attrgetter("namespace.delivery"),
    "subscribers": lambda channel: len(channel.subscribers),
    "published": attrgetter("published"),
    "kept": lambda channel: channel.kept[0],
    "kept_bytes": lambda channel: channel.kept[1],
    "queued_bytes": lambda channel: channel.gathered_bytes + channel.queued_bytes,
}


def channels_listing(census: Census) -> Listing[Channel]:
    """Channels, with what a census knows of them."""

    def summed(field: str) -> Callable[[Channel], Any]:
        return lambda channel: getattr(census.ledgers.get(channel.name), field, None)

    def row(channel: Channel) -> dict[str, Any]:
        position, ledger = channel.position, census.ledgers.get(channel.name)
        return {
            **{name: read(channel) for name, read in _CHANNEL_COLUMNS.items()},
            "offset": position.offset if position else None,
            "epoch": position.epoch if position else None,
            "rate": census.rates.get(channel.name),
            "ledger": None if ledger is None else asdict(ledger),
        }

    keys: dict[str, Callable[[Channel], Any]] = {
        **_CHANNEL_COLUMNS,
        "offset": lambda channel: channel.position.offset if channel.position else None,
        "rate": lambda channel: census.rates.get(channel.name),
        **{name: summed(name) for name in _LEDGER_COLUMNS},
    }
    return Listing(keys, lambda channel: (channel.name, channel.lane.name, channel.namespace.delivery), row)


_BOOK_COLUMNS: Mapping[str, Callable[[tuple[str, Book]], Any]] = {
    "market": lambda entry: entry[0],
    "status": lambda entry: entry[1].status,
    "since": lambda entry: entry[1].since_ms,
    "time": lambda entry: entry[1].time_ms,
    "bids": lambda entry: len(entry[1].bids),
    "asks": lambda entry: len(entry[1].asks),
}

BOOKS: Listing[tuple[str, Book]] = Listing(
    keys={**_BOOK_COLUMNS, "trouble": lambda entry: entry[1].status is not BookStatus.SYNCED},
    texts=lambda entry: (entry[0], entry[1].status),
    row=lambda entry: {name: read(entry) for name, read in _BOOK_COLUMNS.items()},
)
"""Order books by market: in which state, since when, as of when, and how many prices a side."""
