"""One connection: what waits for it and why, what became of what it was offered, and what can be done."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.confirm import ConfirmScreen
from tui.figures import UNKNOWN, bytes_text, count_text, moment_text, ms_text, span_text
from tui.model import Call, ConnectionPage, Model, Part
from tui.panels.facts import Fact, Facts
from tui.panels.kinds import ID_CELLS
from tui.question import Question
from tui.reports import CloseReport, ConnectionReport, LedgerReport
from tui.screens.view import View
from tui.table import Cell, Column, Row, Table, Tone

LANES = ("immediate", "high", "normal", "low")
STEPS = ("full", "merge", "book 20", "book 5", "slow", "snapshots")
"""Of the ladder, by number."""
BUDGET_MAX = 1_000_000_000


class ConnectionFacts(Facts):
    TITLE = "Connection"
    SHOWS = frozenset({Part.CONNECTION, Part.TIME})

    def facts(self, model: Model, now: float) -> Sequence[Fact]:
        return connection_facts(model.connection, now) if model.connection else ()

    def notes(self, model: Model, now: float) -> Sequence[Fact]:
        return connection_notes(model.connection, now) if model.connection else ()


def connection_facts(page: ConnectionPage, now: float) -> list[Fact]:
    """Who it is and how it fares."""
    entry = page.row
    gone = Fact("state", "gone", Tone.WARNING)
    if entry is None:
        return [Fact("client", page.client), gone if page.is_gone else Fact("state", UNKNOWN)]
    state = Tone.GOOD if entry["state"] == "ok" else Tone.BAD
    lost = Tone.WARNING if entry["dropped"] else Tone.PLAIN
    return [
        Fact("user", entry["user"] or "anonymous"),
        Fact("address", entry["address"]),
        Fact("client", entry["name"] or UNKNOWN),
        gone if page.is_gone else Fact("state", entry["state"], state),
        Fact(
            "connected",
            f"{moment_text(entry['connected'], now)}, {span_text(now - entry['connected'] / 1_000)}",
        ),
        Fact("encoding", entry["encoding"]),
        Fact("channels", count_text(len(entry["channels"]))),
        Fact("round trip", UNKNOWN if entry["rtt_ms"] is None else f"{ms_text(entry['rtt_ms'])} ms"),
        Fact("end to end", _end_to_end_text(entry)),
        Fact("sent", f"{count_text(entry['sent'])} msg, {bytes_text(entry['sent_bytes'])}"),
        Fact("merged", count_text(entry["merged"])),
        Fact("dropped", count_text(entry["dropped"]), lost),
        Fact("late", count_text(entry["late"]), Tone.WARNING if entry["late"] else Tone.PLAIN),
    ]


def connection_notes(page: ConnectionPage, now: float) -> list[Fact]:
    """What waits by lane, the ladder, the budget."""
    if (entry := page.row) is None:
        return []
    if page.is_gone:
        return [_departure(entry), Fact("id", entry["id"], Tone.DIM)]
    waiting = " · ".join(f"{lane} {count_text(n)}" for lane, n in zip(LANES, entry["lanes"], strict=True))
    is_waiting = Tone.STRONG if entry["outbox_bytes"] else Tone.PLAIN
    return [
        Fact("waiting", f"{waiting} · {bytes_text(entry['outbox_bytes'])}", is_waiting),
        Fact("ladder", _ladder_text(entry, now), Tone.WARNING if entry["ladder"]["step"] else Tone.PLAIN),
        Fact("budget", _budget_text(entry)),
        Fact("id", entry["id"], Tone.DIM),
    ]


def _departure(entry: ConnectionReport) -> Fact:
    """What becomes of what waited, in the last look before it went."""
    if not entry["pending"]:
        return Fact("waiting", "nothing did when it was last seen", Tone.DIM)
    waited = f"{count_text(entry['pending'])} msg, {bytes_text(entry['outbox_bytes'])}"
    return Fact(
        "waiting", f"{waited} when it was last seen: dropped, but for what still reached it", Tone.WARNING
    )


def _end_to_end_text(entry: ConnectionReport) -> str:
    """From publish to the client's hands, with its error; known of clients that answer samples."""
    if entry["e2e_ms"] is None:
        return UNKNOWN
    return f"{ms_text(entry['e2e_ms'])} ± {ms_text(entry['e2e_error_ms'])} ms"


def _ladder_text(entry: ConnectionReport, now: float) -> str:
    """The step, and why it stands there."""
    ladder = entry["ladder"]
    since = "" if ladder["since"] is None else f", for {span_text(now - ladder['since'] / 1_000)}"
    backlog = f"{bytes_text(ladder['backlog_bytes'])} wait" if ladder["backlog_bytes"] else "nothing waits"
    why = f"kept there by an operator, {backlog}" if ladder["pinned"] else backlog
    return f"{ladder['step']} {STEPS[ladder['step']]}{since}: {why}"


def _budget_text(entry: ConnectionReport) -> str:
    budget = entry["budget"]
    messages, size_bytes = budget["messages_per_second"], budget["bytes_per_second"]
    return (
        f"{f'{messages:g} msg/s' if messages else 'any number of messages'}"
        f", {f'{bytes_text(size_bytes)}/s' if size_bytes else 'any number of bytes'}"
    )


class LedgersTable(Table):
    TITLE = "Ledger by channel"
    SHOWS = frozenset({Part.CONNECTION})
    EMPTY = "no channels"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("channel", "channel", 0, most=64),
        Column("offered", "offered", 11, is_number=True),
        Column("sent", "sent", 11, is_number=True),
        Column("sent_bytes", "bytes", 9, is_number=True, from_width=112),
        Column("merged", "merged", 9, is_number=True),
        Column("dropped", "dropped", 9, is_number=True),
        Column("pending", "pending", 8, is_number=True),
        Column("resent", "resent", 8, is_number=True, from_width=112),
        Column("late", "late", 8, is_number=True, from_width=96),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        page = model.connection
        return (
            [Row(name, (Cell(name), *ledger_cells(ledger))) for name, ledger in page.ledgers.items()]
            if page
            else []
        )


def ledger_cells(ledger: LedgerReport) -> tuple[Cell, ...]:
    """Offered, then what became of it; then what of it was resent, and late."""
    return (
        _counted(ledger["offered"], Tone.PLAIN),
        _counted(ledger["sent"], Tone.PLAIN),
        Cell(bytes_text(ledger["sent_bytes"]), value=ledger["sent_bytes"]),
        _counted(ledger["merged"], Tone.PLAIN),
        _counted(ledger["dropped"], Tone.WARNING),
        _counted(ledger["pending"], Tone.STRONG),
        _counted(ledger["resent"], Tone.PLAIN),
        _counted(ledger["late"], Tone.WARNING),
    )


def _counted(count: int, tone: Tone) -> Cell:
    return Cell(count_text(count), tone if count else Tone.DIM, count)


class ClosesTable(Table):
    TITLE = "Connections before"
    SHOWS = frozenset({Part.CONNECTION})
    EMPTY = "none that the server remembers"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("closed", "closed", 11),
        Column("code", "code", 5, is_number=True),
        Column("reason", "reason", 0, most=64),
        Column("lasted", "lasted", 8, is_number=True),
        Column("address", "address", 21),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        return [close_row(close, now) for close in model.connection.closes] if model.connection else []


def close_row(close: CloseReport, now: float) -> Row:
    """One line of the table."""
    lasted_ms = close["closed"] - close["connected"]
    return Row(
        close["client"],
        (
            Cell(moment_text(close["closed"], now), value=close["closed"]),
            Cell(str(close["code"])),
            Cell(close["reason"]),
            Cell(span_text(lasted_ms / 1_000), value=lasted_ms),
            Cell(close["address"], Tone.DIM),
        ),
    )


class ConnectionView(View):
    """Opened from the list of connections, from what names a client, or by its id."""

    AUTO_FOCUS = "LedgersTable"
    PANELS = (ConnectionFacts, LedgersTable, ClosesTable)
    ACTS = frozenset({"disconnect", "move", "limit"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "disconnect", "Disconnect", id="disconnect"),
        Binding("m", "move", "Ladder", id="ladder", tooltip="Move on the ladder"),
        Binding("b", "limit", "Budget", id="budget", tooltip="Messages and bytes a second at most"),
    ]

    def __init__(self, client_id: str, called: str = "") -> None:
        """One that is gone has no better name than the beginning of its id."""
        super().__init__()
        self._client_id = client_id
        self._called = called or client_id[:ID_CELLS]

    @property
    def crumb(self) -> str:
        return self._called

    def calls(self, model: Model) -> tuple[Call, ...]:
        """The one client."""
        return (Call("ops.connection", {"client": self._client_id}),)

    def on_screen_resume(self) -> None:
        """What is known of another client is not shown for this one."""
        self.console.model.open_connection(self._client_id)
        super().on_screen_resume()

    def action_disconnect(self) -> None:
        self._do("Disconnect", "ops.disconnect", {})

    def action_move(self) -> None:
        """Put the client on a step of the ladder, or let its backlog lead it."""
        steps = ", ".join(f"{number} {name}" for number, name in enumerate(STEPS))
        self.app.push_screen(Question(f"{steps}, auto", trouble=_step_trouble), self._move)

    def _move(self, typed: str | None) -> None:
        if typed is not None:
            step = None if typed == "auto" else int(typed)
            what = "Let the backlog lead" if step is None else f"Keep on step {step} ({STEPS[step]})"
            self._do(what, "ops.ladder", {"step": step})

    def action_limit(self) -> None:
        """Change what the client is sent a second at most."""
        question = "Messages and bytes a second, as 100 20000; 0 is any number"
        self.app.push_screen(Question(question, trouble=_budget_trouble), self._limit)

    def _limit(self, typed: str | None) -> None:
        if typed is not None:
            messages, size_bytes = map(float, typed.split())
            budget = {"messages_per_second": messages, "bytes_per_second": size_bytes}
            what = f"Allow {messages:g} messages and {size_bytes:g} bytes a second to"
            self._do(what, "ops.limit", budget)

    def _do(self, what: str, method: str, params: Mapping[str, object]) -> None:
        """Once it is confirmed."""
        words, call = f"{what} {self._called}", Call(method, {"client": self._client_id, **params})

        def act(is_sure: bool | None) -> None:
            if is_sure:
                self.console.act(call, words)

        self.app.push_screen(ConfirmScreen(f"{words}?"), act)


def _step_trouble(text: str) -> str | None:
    if text == "auto" or (len(text) == 1 and text.isdigit() and int(text) < len(STEPS)):
        return None
    return f"{text!r} is neither 0 to {len(STEPS) - 1} nor auto"


def _budget_trouble(text: str) -> str | None:
    words = text.split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        return f"{text!r} is not two whole numbers"
    if max(map(int, words)) > BUDGET_MAX:
        return f"at most {BUDGET_MAX:,}"
    return None
