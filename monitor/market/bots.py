"""One account's bots: who they are, where their martingale cycle stands, what they earned.

Status, cycle and lifecycle arrive apart; the state puts them together by bot, and what a
message does not know (a delay that this step did not have) keeps its last value.
"""

from typing import Any

from monitor.events import BotCycle, BotLifecycle, BotStatus
from monitor.market.entries import Entries
from monitor.market.market import Market
from monitor.market.told import Told
from monitor.market.view import Sections

_STATUS_AFTER = {"created": "stopped", "started": "active", "paused": "paused", "stopped": "stopped"}
_STATUS = ("name", "market", "status", "cycles", "profit", "time")
_CYCLE = (
    "market",
    "cycle",
    "phase",
    "safety_orders",
    "safety_orders_max",
    "average_price",
    "take_profit_price",
    "position",
    "safety_order_delay_ms",
    "take_profit_delay_ms",
    "time",
)
"""Without the cycle's profit: the bot's is in its status."""
_LIFECYCLE = ("name", "market", "time")
_UNKNOWN: dict[str, Any] = {
    "name": "",
    "market": "",
    "status": "unknown",
    "cycle": None,
    "phase": None,
    "safety_orders": None,
    "safety_orders_max": None,
    "average_price": None,
    "take_profit_price": None,
    "position": None,
    "safety_order_delay_ms": None,
    "take_profit_delay_ms": None,
    "cycles": None,
    "profit": None,
    "time": None,
}
"""What nobody has told is null: a profit of 0 that means this would be taken for one."""


class Bots:
    """What `botstate:` shows and `bots:` starts from."""

    def __init__(self, *, awaits_past: bool) -> None:
        self._bots = Entries(awaits_past=awaits_past)
        """Of each what was told; what a past told late knows is not unknown."""

    @property
    def version(self) -> int:
        return self._bots.version

    def take(self, told: Told, payload: bytes) -> None:
        """Take what a payload says; a deleted bot is let go."""
        bot = told["bot"]
        match told["type"]:
            case "bot_status":
                self._bots.merge(bot, _known(told, _STATUS))
            case "bot_cycle":
                self._bots.merge(bot, _known(told, _CYCLE))
            case "bot_lifecycle" if told["action"] == "deleted":
                self._bots.drop(bot)
            case "bot_lifecycle" if told["action"] in _STATUS_AFTER:
                status = {"status": _STATUS_AFTER[told["action"]]}
                self._bots.merge(bot, _known(told, _LIFECYCLE) | status)

    def entries(self) -> dict[str, dict[str, Any]]:
        return {bot: _UNKNOWN | {"name": bot} | fields for bot, fields in self._bots.entries().items()}

    def sections(self) -> Sections:
        return {"bots": self.entries()}

    def recall(self, before: "Bots") -> None:
        """Be as if what `before` was told had been told first."""
        self._bots.recall(before._bots)


def _known(told: Told, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: told[name] for name in names if told.get(name) is not None}


def tell_status(market: Market, status: BotStatus) -> Told:
    """The payload of a bot's status."""
    return {
        "type": "bot_status",
        "bot": status.bot_id,
        "name": status.name,
        "market": market.key,
        "status": status.status,
        "cycles": status.cycles_completed,
        "profit": status.profit,
        "time": status.time_ms,
    }


def tell_cycle(market: Market, cycle: BotCycle) -> Told:
    """The payload of a step of a bot's cycle."""
    return {
        "type": "bot_cycle",
        "bot": cycle.bot_id,
        "market": market.key,
        "cycle": cycle.cycle,
        "phase": cycle.phase,
        "safety_orders": cycle.safety_orders_filled,
        "safety_orders_max": cycle.safety_orders_max,
        "average_price": market.price_text(cycle.average_price),
        "take_profit_price": market.price_text(cycle.take_profit_price),
        "position": market.size_text(cycle.position),
        "safety_order_delay_ms": cycle.safety_order_delay_ms,
        "take_profit_delay_ms": cycle.take_profit_delay_ms,
        "time": cycle.time_ms,
        "profit": cycle.profit,
    }


def tell_lifecycle(market: Market, lifecycle: BotLifecycle) -> Told:
    """The payload of what happened to a bot."""
    return {
        "type": "bot_lifecycle",
        "bot": lifecycle.bot_id,
        "name": lifecycle.name,
        "market": market.key,
        "action": lifecycle.action,
        "time": lifecycle.time_ms,
    }
