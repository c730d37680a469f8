"""The remote calls behind the console: who is connected and how they fare; and a client's own row."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import msgspec
import orjson

from monitor.serve import protocol
from monitor.serve.protocol import FORCE_DISCONNECT
from monitor.serve.session import Rpc, Session

ROWS_MAX = 200
"""What one call returns at most, however many are connected."""


class ConnectionsParams(msgspec.Struct):
    sort: str = "connected"
    descending: bool = False
    filter: str = ""
    limit: int = ROWS_MAX


class DisconnectParams(msgspec.Struct):
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
        "rtt_ms": session.rtt_ms,
        "encoding": client.encoding.name,
        "connected": session.connected_ms,
    }


def _state(session: Session) -> str:
    if session.claims is None:
        return "connecting"
    return "behind" if session.client.is_behind else "ok"


_SORT_KEYS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "depth": lambda row: sum(row["lanes"]),
    "channels": lambda row: len(row["channels"]),
    "rtt_ms": lambda row: row["rtt_ms"] or 0.0,
    **{
        column: itemgetter(column)
        for column in (
            "id",
            "user",
            "name",
            "address",
            "state",
            "outbox_bytes",
            "sent",
            "sent_bytes",
            "merged",
            "dropped",
            "encoding",
            "connected",
        )
    },
}


def _connections(caller: Session, data: msgspec.Raw) -> bytes:
    params = _decode(ConnectionsParams, data)
    if params.sort not in _SORT_KEYS:
        raise protocol.bad_request(f"sort {params.sort!r}: must be one of {', '.join(_SORT_KEYS)}")
    rows = [_row(session) for session in caller.house.registry]
    if params.filter:
        rows = [row for row in rows if _matches(row, params.filter.lower())]
    rows.sort(key=_SORT_KEYS[params.sort], reverse=params.descending)
    shown = rows[: max(0, min(params.limit, ROWS_MAX))]
    return orjson.dumps({"total": len(rows), "rows": shown})


def _matches(row: dict[str, Any], text: str) -> bool:
    texts = (
        row["id"],
        row["user"],
        row["name"],
        row["address"],
        row["state"],
        row["encoding"],
        *row["channels"],
    )
    return any(text in each.lower() for each in texts)


def _disconnect(caller: Session, data: msgspec.Raw) -> bytes:
    params = _decode(DisconnectParams, data)
    session = caller.house.registry.get(params.client)
    if session is None:
        raise protocol.bad_request(f"client {params.client!r} is not connected")
    session.disconnect(FORCE_DISCONNECT)
    return b"{}"


def _me(caller: Session, data: msgspec.Raw) -> bytes:
    return orjson.dumps(_row(caller))


def _decode(params: type[Any], data: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(data or b"{}", type=params)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise protocol.bad_request(str(error)) from None


RPCS: Mapping[str, Rpc] = {"me": _me, "ops.connections": _connections, "ops.disconnect": _disconnect}
