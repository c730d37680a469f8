"""What the server's limits refused: which limit, what whoever met it was told, how often, and when last.

All limits are listed, so that one sees which of them nobody has met.
"""

from typing import ClassVar, NamedTuple

from tui.figures import UNKNOWN, count_text, span_text
from tui.model import Model, Part
from tui.row import Cell, Column, Row, Tone
from tui.table import Table


class Limit(NamedTuple):
    """What is limited, and what is answered beyond it."""

    what: str
    answer: str


LIMITS = {
    "connections": Limit("clients in all", "HTTP 503"),
    "connections_per_address": Limit("clients of one address", "HTTP 429, cut off"),
    "connections_per_user": Limit("clients of one user", "close 3504"),
    "handshakes_per_second": Limit("handshakes of one address a second", "HTTP 429"),
    "answer_bytes_per_second": Limit("bytes that one address is answered a second", "error 111"),
    "handshake_seconds": Limit("time to the end of a request's head", "HTTP 408"),
    "connect_seconds": Limit("time to the first command", "close 3502"),
    "body_seconds": Limit("time to the end of a request's body", "HTTP 408"),
    "head_bytes": Limit("size of a request's head", "HTTP 431"),
    "body_bytes": Limit("size of a request's body", "HTTP 413"),
    "message_bytes": Limit("size of a message", "close 1009"),
    "commands_per_second": Limit("commands of one client a second", "error 111, close 3013"),
    "channels_per_client": Limit("channels of one client", "error 106"),
    "subscriber_limit": Limit("subscribers of one channel", "error 106"),
    "tags_filters": Limit("different tags filters of one channel", "error 106"),
    "publications_per_second": Limit("publications to one channel a second", "error 111"),
    "gather_bytes": Limit("bytes of one channel that wait for its clients", "error 111 or 107"),
    "queue_bytes": Limit("bytes that wait for the journal", "error 111 or 107"),
    "channels": Limit("channels of one sort", "error 106"),
    "write_seconds": Limit("time in which a reader takes nothing", "cut off"),
    "sockets": Limit("sockets in all", "cut off"),
}
"""By the name that the server counts them by."""
OTHERS = {
    "connection lost": Limit("clients that were gone before their answer", UNKNOWN),
    "tls": Limit("TLS that is broken, or is none", "cut off"),
    "event": Limit("events of markets that it does not keep", "left out"),
    "key": Limit("keys of the market that a map can't take", "left out"),
    "roster": Limit("subscribers that a map of them can't take", "tried again"),
}
"""What is no limit, and no bad request either."""
BAD_REQUESTS = {
    "400": "what can't be read",
    "401": "calls without the API key",
    "403": "pages of other origins",
    "404": "paths with nothing there",
    "405": "methods a path lacks",
    "421": "names of other hosts",
    "426": "no WebSocket, or another",
    "503": "requests during the end",
}
"""By the status of the answer, under which the server counts them."""


class RefusalsTable(Table):
    TITLE = "Refused, by limit"
    SHOWS = frozenset({Part.HEALTH, Part.TIME})
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("count", "refused", 9, is_number=True),
        Column("last", "last", 7, is_number=True),
        Column("cause", "limit", 24),
        Column("answer", "answered", 21),
        Column("what", "what it bounds", 0, from_width=96),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        """Those that refused something first."""
        if model.health is None:
            return []
        totals = model.health["totals"]
        counts, at = dict.fromkeys(LIMITS, 0) | totals["refused"], totals["refused_at"]
        causes = sorted(counts, key=lambda cause: not counts[cause])
        return [refusal_row(cause, counts[cause], at.get(cause), now) for cause in causes]


def refusal_row(cause: str, count: int, at_ms: int | None, now: float) -> Row:
    """One line of the table; what is counted by a status was a bad request."""
    is_status = cause.isdigit()
    other = Limit("a bad request", f"HTTP {cause}" if is_status else UNKNOWN)
    what, answer = LIMITS.get(cause) or OTHERS.get(cause, other)
    name = BAD_REQUESTS.get(cause, "other requests") if is_status else cause
    tone = Tone.PLAIN if count else Tone.DIM
    return Row(
        cause,
        (
            Cell(count_text(count), tone, count),
            Cell(UNKNOWN if at_ms is None else span_text(now - at_ms / 1_000), tone, at_ms),
            Cell(name, Tone.STRONG if count else Tone.DIM),
            Cell(answer, tone),
            Cell(what, Tone.DIM),
        ),
    )
