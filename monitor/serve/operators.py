"""The remote calls behind the console: who is connected, what the channels carry, and what to do about it.

Whatever an operator does to a client is logged with his name.
"""

import logging
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
import orjson

from monitor.broadcast.ladder import Step
from monitor.broadcast.pace import Budget
from monitor.health.alerts import SILENCE_SECONDS_MAX, UnknownAlert
from monitor.health.report import tuning_report
from monitor.serve import protocol
from monitor.serve.accounts import ACCOUNTS, read_activity
from monitor.serve.house import Rpc
from monitor.serve.listing import ListParams
from monitor.serve.protocol import FORCE_DISCONNECT
from monitor.serve.rows import BOOKS, CONNECTIONS, channels_listing, connection_row
from monitor.serve.session import Session

_log = logging.getLogger("lanecast.operators")

BUDGET_MAX = 1_000_000_000
BOOK_LEVELS = 20
"""A side, of one book that an operator looks into: as many as fit on his screen."""


class ChannelsParams(ListParams):
    ledgers: bool = False
    """With what became of each channel's publications, over all clients."""


class BudgetParams(msgspec.Struct):
    client: str = ""
    messages_per_second: float = 0
    bytes_per_second: float = 0


class LadderParams(msgspec.Struct):
    client: str = ""
    step: Literal[0, 1, 2, 3, 4, 5] | None = None


class LogsParams(msgspec.Struct):
    after: int = 0


class AcknowledgeParams(msgspec.Struct):
    id: int


class SilenceParams(msgspec.Struct):
    name: str
    seconds: Annotated[float, msgspec.Meta(ge=0, le=SILENCE_SECONDS_MAX)]
    """0 ends the silence."""


class TuningParams(msgspec.Struct):
    action: Literal["show", "on", "off", "revert"] = "show"


class BookParams(msgspec.Struct):
    market: str = ""


class ClientParams(msgspec.Struct):
    client: str = ""


def _connections(caller: Session, data: msgspec.Raw) -> Generator[None, None, bytes]:
    """The clients that come first by a column."""
    params = _decode(ListParams, data)
    return orjson.dumps((yield from CONNECTIONS.report(caller.house.registry, params)))


def _channels(caller: Session, data: msgspec.Raw) -> Generator[None, None, bytes]:
    """The channels that come first by a column."""
    params = _decode(ChannelsParams, data)
    house = caller.house
    channels = house.hub.channels()
    house.census.read_rates(channels)
    if params.ledgers:
        yield from house.census.sum_ledgers(house.registry)
    return orjson.dumps((yield from channels_listing(house.census).report(channels, params)))


def _connection(caller: Session, data: msgspec.Raw) -> bytes:
    """One client with its ledgers, and how its peer's connections have ended; no row once it is gone."""
    house, client_id = caller.house, _decode(ClientParams, data).client
    session = house.registry.get(client_id)
    if session is None:
        row, ledgers, closes = None, {}, house.closes.among(client_id)
    else:
        row, ledgers, closes = connection_row(session), session.client.ledgers, house.closes.before(session)
    return orjson.dumps(
        {
            "client": client_id,
            "row": row,
            "ledgers": {channel: asdict(ledger) for channel, ledger in ledgers.items()},
            "closes": [asdict(close) for close in closes],
        }
    )


def _limit_own(caller: Session, data: msgspec.Raw) -> bytes:
    caller.client.limit(_budget(_decode(BudgetParams, data)))
    return b"{}"


def _limit(caller: Session, data: msgspec.Raw) -> bytes:
    params = _decode(BudgetParams, data)
    budget = _budget(params)
    session = _find(caller, params.client)
    session.client.limit(budget)
    messages, size_bytes = (f"{most:g}" if most else "any number of" for most in budget)
    _note(caller, f"allows {messages} messages and {size_bytes} bytes a second to", session)
    return b"{}"


def _budget(params: "BudgetParams") -> Budget:
    budget = Budget(params.messages_per_second, params.bytes_per_second)
    if not 0 <= min(budget) <= max(budget) <= BUDGET_MAX:
        raise protocol.bad_request(
            f"a budget is from 0 (unlimited) to {BUDGET_MAX} a second, got {tuple(budget)}"
        )
    return budget


def _ledger(caller: Session, data: msgspec.Raw) -> bytes:
    """What became of every publication for one client, in all and channel by channel."""
    client = _find(caller, _decode(ClientParams, data).client).client
    total = client.settle()
    channels = {channel: asdict(ledger) for channel, ledger in client.ledgers.items()}
    return orjson.dumps({"total": asdict(total), "channels": channels})


def _ladder(caller: Session, data: msgspec.Raw) -> bytes:
    """Keep a client on a step of the ladder, or let its backlog lead it again."""
    params = _decode(LadderParams, data)
    session = _find(caller, params.client)
    session.client.pin(None if params.step is None else Step(params.step))
    caller.house.hub.watch.add(session.client)
    target = "where its backlog leads" if params.step is None else f"on step {Step(params.step).name.lower()}"
    _note(caller, f"keeps {target}", session)
    return b"{}"


def _disconnect(caller: Session, data: msgspec.Raw) -> bytes:
    session = _find(caller, _decode(ClientParams, data).client)
    session.disconnect(FORCE_DISCONNECT)
    _note(caller, "disconnects", session)
    return b"{}"


def _note(caller: Session, what: str, session: Session) -> None:
    peer = f"client {session.id} (user {session.user!r}, {session.address})"
    _log.info("operator %r %s %s", caller.user, what, peer)


def _find(caller: Session, client_id: str) -> Session:
    session = caller.house.registry.get(client_id)
    if session is None:
        raise protocol.bad_request(f"client {client_id!r} is not connected")
    return session


def _acknowledge(caller: Session, data: msgspec.Raw) -> bytes:
    """Let the others know that somebody has seen an alert."""
    params = _decode(AcknowledgeParams, data)
    try:
        alert = caller.house.hub.health.alerts.acknowledge(params.id)
    except UnknownAlert as error:
        raise protocol.bad_request(str(error)) from None
    _log.info("operator %r acknowledges alert %d, %s", caller.user, alert.id, alert.name)
    return b"{}"


def _silence(caller: Session, data: msgspec.Raw) -> bytes:
    """Have an alert call nobody for a time, however often it is raised."""
    params = _decode(SilenceParams, data)
    health = caller.house.hub.health
    until_ms = health.wall_ms() + round(params.seconds * 1_000) if params.seconds else None
    try:
        health.alerts.silence(params.name, until_ms)
    except UnknownAlert as error:
        raise protocol.bad_request(str(error)) from None
    _log.info("operator %r silences alert %s for %g s", caller.user, params.name, params.seconds)
    return b"{}"


def _me(caller: Session, data: msgspec.Raw) -> bytes:
    return orjson.dumps(connection_row(caller))


def _decode(params: type[Any], data: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(data or b"{}", type=params)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise protocol.bad_request(str(error)) from None


def _tune(caller: Session, data: msgspec.Raw) -> bytes:
    """Switch tuning, or put back what it did; answers how it stands."""
    tuning = caller.house.tuning
    match _decode(TuningParams, data).action:
        case "on":
            tuning.switch(is_on=True)
        case "off":
            tuning.switch(is_on=False)
        case "revert":
            tuning.revert()
    return orjson.dumps(tuning_report(caller.house.hub.health))


def _books(caller: Session, data: msgspec.Raw) -> Generator[None, None, bytes]:
    """The order books that come first by a column."""
    params = _decode(ListParams, data)
    return orjson.dumps((yield from BOOKS.report(caller.house.market.books(), params)))


def _book(caller: Session, data: msgspec.Raw) -> bytes:
    """The best levels of one market's book."""
    market = _decode(BookParams, data).market
    if (found := caller.house.market.book(market)) is None:
        raise protocol.bad_request(f"market {market!r} has no book")
    return orjson.dumps({"market": market, **found.sections(BOOK_LEVELS)})


def _accounts(caller: Session, data: msgspec.Raw) -> Generator[None, None, bytes]:
    """The accounts that come first by a column; by `active` those told of last, others at the end."""
    params = _decode(ListParams, data)
    found = yield from read_activity(caller.house.hub)
    return orjson.dumps((yield from ACCOUNTS.report(found, params)))


def _logs(caller: Session, data: msgspec.Raw) -> bytes:
    """What the server has logged after a line."""
    lines = caller.house.hub.health.logbook.after(_decode(LogsParams, data).after)
    return orjson.dumps({"lines": [asdict(line) for line in lines]})


RPCS: Mapping[str, Rpc] = {
    "me": _me,
    "me.limit": _limit_own,
    "ops.limit": _limit,
    "ops.connections": _connections,
    "ops.connection": _connection,
    "ops.channels": _channels,
    "ops.ladder": _ladder,
    "ops.ledger": _ledger,
    "ops.disconnect": _disconnect,
    "ops.books": _books,
    "ops.book": _book,
    "ops.accounts": _accounts,
    "ops.logs": _logs,
    "ops.alerts.ack": _acknowledge,
    "ops.alerts.silence": _silence,
    "ops.tuning": _tune,
}
