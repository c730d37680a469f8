"""The remote calls behind the console: who is connected and how they fare; and a client's own row."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from heapq import nlargest, nsmallest
from operator import attrgetter
from typing import Any, Literal

import msgspec
import orjson

from monitor.broadcast.pace import Budget
from monitor.health.latency import NS_PER_MS
from monitor.health.report import tuning_report
from monitor.serve import protocol
from monitor.serve.protocol import FORCE_DISCONNECT
from monitor.serve.session import Rpc, Session

BUDGET_MAX = 1_000_000_000
ROWS_MAX = 200
"""What one call returns at most, however many are connected."""


class ConnectionsParams(msgspec.Struct):
    sort: str = "connected"
    descending: bool = False
    filter: str = ""
    limit: int = ROWS_MAX


class BudgetParams(msgspec.Struct):
    client: str = ""
    messages_per_second: float = 0
    bytes_per_second: float = 0


class TuningParams(msgspec.Struct):
    action: Literal["show", "on", "off", "revert"] = "show"


class ClientParams(msgspec.Struct):
    client: str = ""


def _row(session: Session) -> dict[str, Any]:
    client = session.client
    depths = client.depths()
    ledger = client.settle()
    return {
        "id": session.id,
        "user": session.user,
        "name": session.name,
        "address": session.address,
        "state": _state(session),
        "channels": list(session.subscriptions),
        "lanes": depths,
        "outbox_bytes": client.pending_bytes,
        "sent": ledger.sent,
        "sent_bytes": ledger.sent_bytes + client.reply_bytes,
        "merged": ledger.merged,
        "dropped": ledger.dropped,
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


_SORT_KEYS: Mapping[str, Callable[[Session], Any]] = {
    "depth": lambda session: sum(session.client.depths()),
    "channels": lambda session: len(session.subscriptions),
    "id": attrgetter("id"),
    "user": attrgetter("user"),
    "name": attrgetter("name"),
    "address": attrgetter("address"),
    "state": _state,
    "step": attrgetter("client.step"),
    "outbox_bytes": attrgetter("client.pending_bytes"),
    "sent": lambda session: session.client.settle().sent,
    "sent_bytes": lambda session: session.client.settle().sent_bytes + session.client.reply_bytes,
    "merged": lambda session: session.client.settle().merged,
    "dropped": lambda session: session.client.settle().dropped,
    "resent": lambda session: session.client.settle().resent,
    "rtt_ms": lambda session: session.rtt_ms or 0.0,
    "e2e_ms": lambda session: session.end_to_end or (0, 0),
    "encoding": attrgetter("client.encoding.name"),
    "connected": attrgetter("connected_ms"),
}
"""Of a session and not of its row: a row is made for those that are shown, whoever else is connected."""


def _connections(caller: Session, data: msgspec.Raw) -> bytes:
    params = _decode(ConnectionsParams, data)
    if params.sort not in _SORT_KEYS:
        raise protocol.bad_request(f"sort {params.sort!r}: must be one of {', '.join(_SORT_KEYS)}")
    found = list(caller.house.registry)
    if params.filter:
        found = [session for session in found if _matches(session, params.filter.lower())]
    pick = nlargest if params.descending else nsmallest
    shown = pick(min(params.limit, ROWS_MAX), found, key=_SORT_KEYS[params.sort])
    return orjson.dumps({"total": len(found), "rows": [_row(session) for session in shown]})


def _matches(session: Session, text: str) -> bool:
    texts = (
        session.id,
        session.user,
        session.name,
        session.address,
        _state(session),
        session.client.encoding.name,
        *session.subscriptions,
    )
    return text in "\n".join(texts).lower()


def _limit_own(caller: Session, data: msgspec.Raw) -> bytes:
    caller.client.limit(_budget(_decode(BudgetParams, data)))
    return b"{}"


def _limit(caller: Session, data: msgspec.Raw) -> bytes:
    params = _decode(BudgetParams, data)
    _find(caller, params.client).client.limit(_budget(params))
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


def _disconnect(caller: Session, data: msgspec.Raw) -> bytes:
    _find(caller, _decode(ClientParams, data).client).disconnect(FORCE_DISCONNECT)
    return b"{}"


def _find(caller: Session, client_id: str) -> Session:
    session = caller.house.registry.get(client_id)
    if session is None:
        raise protocol.bad_request(f"client {client_id!r} is not connected")
    return session


def _me(caller: Session, data: msgspec.Raw) -> bytes:
    return orjson.dumps(_row(caller))


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


RPCS: Mapping[str, Rpc] = {
    "me": _me,
    "me.limit": _limit_own,
    "ops.limit": _limit,
    "ops.connections": _connections,
    "ops.ledger": _ledger,
    "ops.disconnect": _disconnect,
    "ops.tuning": _tune,
}
