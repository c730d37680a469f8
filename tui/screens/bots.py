"""The bots of an account with their cycles, what is open at the venues, and the last fills."""

from collections.abc import Mapping
from typing import Any, ClassVar

from tui.figures import UNKNOWN, amount_text, count_text, span_text
from tui.model import Model, Part
from tui.row import Cell, Column, Row, Tone
from tui.screens.account import AccountView, account_title
from tui.screens.fills import SIDES, FillsTable
from tui.table import Table

BOTS, OPEN_ORDERS = "botstate", "open_orders"
_STATUSES = {
    "active": ("●", Tone.GOOD),
    "paused": ("○", Tone.PLAIN),
    "stopped": ("◌", Tone.DIM),
    "error": ("✖", Tone.BAD),
}


class BotsTable(Table):
    TITLE = "Bots"
    SHOWS = frozenset({Part.MAPS, Part.ACCOUNTS})
    EMPTY = "no bot yet"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("sign", "", 1),
        Column("name", "bot", 16),
        Column("account", "account", 10, from_width=158),
        Column("market", "market", 0, most=48),
        Column("status", "status", 8, from_width=132),
        Column("cycle", "cycle", 6, is_number=True),
        Column("phase", "phase", 13),
        Column("safety_orders", "safety", 6, is_number=True),
        Column("average_price", "average", 14, is_number=True, from_width=112),
        Column("take_profit_price", "take profit", 14, is_number=True, from_width=96),
        Column("position", "position", 12, is_number=True, from_width=146),
        Column("cycles", "done", 6, is_number=True, from_width=120),
        Column("profit", "profit", 10, is_number=True),
    )

    def title(self, model: Model) -> str:
        return account_title(self.TITLE, model)

    def rows(self, model: Model, now: float) -> list[Row]:
        return [bot_row(account, bot, state) for (account, bot), state in model.maps[BOTS].items()]


def bot_row(account: str, bot: str, state: Mapping[str, Any]) -> Row:
    """One line of the table; what any publisher left out is a dash."""
    status = _text(state, "status")
    sign, tone = _STATUSES.get(status, ("?", Tone.PLAIN))
    levels = "/".join(_text(state, name) for name in ("safety_orders", "safety_orders_max"))
    return Row(
        f"{account}\n{bot}",
        (
            Cell(sign, tone, status),
            Cell(_text(state, "name") if state.get("name") else bot, Tone.STRONG),
            Cell(account, Tone.DIM),
            Cell(_text(state, "market")),
            Cell(status, tone),
            Cell(_text(state, "cycle")),
            Cell(_text(state, "phase").replace("_", " ")),
            Cell(UNKNOWN if levels == f"{UNKNOWN}/{UNKNOWN}" else levels),
            Cell(_price(state, "average_price")),
            Cell(_price(state, "take_profit_price")),
            Cell(_text(state, "position"), Tone.DIM),
            Cell(_text(state, "cycles"), Tone.DIM),
            _profit_cell(state),
        ),
    )


class OpenOrdersTable(Table):
    TITLE = "Open orders"
    SHOWS = frozenset({Part.MAPS, Part.TIME})
    EMPTY = "none open"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("age", "age", 7, is_number=True),
        Column("market", "market", 0, most=48),
        Column("side", "side", 6),
        Column("size", "size", 12, is_number=True),
        Column("price", "price", 14, is_number=True),
        Column("filled", "filled", 12, is_number=True, from_width=104),
        Column("role", "role", 12, from_width=92),
        Column("bot", "bot", 10, from_width=116),
        Column("account", "account", 10, from_width=128),
        Column("order", "order", 36, from_width=160),
    )

    def rows(self, model: Model, now: float) -> list[Row]:
        orders = model.maps[OPEN_ORDERS].items()
        return [order_row(account, order, state, now) for (account, order), state in orders]

    def title(self, model: Model) -> str:
        return f"{self.TITLE} · {count_text(len(model.maps[OPEN_ORDERS]))}"


def order_row(account: str, order: str, state: Mapping[str, Any], now: float) -> Row:
    """One line of the table."""
    side, tone = SIDES.get(_text(state, "side"), (_text(state, "side"), Tone.PLAIN))
    time_ms = state.get("time")
    age = span_text(now - time_ms / 1_000) if isinstance(time_ms, int) else UNKNOWN
    return Row(
        f"{account}\n{order}",
        (
            Cell(age, Tone.DIM, time_ms if isinstance(time_ms, int) else None),
            Cell(_text(state, "market"), Tone.STRONG),
            Cell(side, tone, _text(state, "side")),
            Cell(_text(state, "size")),
            Cell(_text(state, "price"), Tone.STRONG),
            Cell(_text(state, "filled"), Tone.DIM),
            Cell(_text(state, "role").replace("_", " "), Tone.DIM),
            Cell(_text(state, "bot"), Tone.DIM),
            Cell(account, Tone.DIM),
            Cell(_text(state, "order"), Tone.DIM),
        ),
    )


def _profit_cell(state: Mapping[str, Any]) -> Cell:
    """What nobody told is neither a gain nor a loss: the dash is no sign."""
    profit = _text(state, "profit")
    if profit == UNKNOWN:
        return Cell(UNKNOWN, Tone.DIM)
    return Cell(amount_text(profit), Tone.SELL if profit.startswith("-") else Tone.BUY, profit)


def _price(state: Mapping[str, Any], name: str) -> str:
    """One that is not known yet comes as 0."""
    text = _text(state, name)
    return UNKNOWN if text == "0" else text


def _text(state: Mapping[str, Any], name: str) -> str:
    value = state.get(name)
    return UNKNOWN if value is None or value == "" else str(value)


class BotsView(AccountView):
    NAME = "bots"
    ALIASES = ("fills", "orders")
    MAPS = (BOTS, OPEN_ORDERS)
    PANELS = (BotsTable, OpenOrdersTable, FillsTable)

    def path(self) -> list[str]:
        """With whose they are."""
        return [*super().path(), self.console.model.account]
