"""One account's bots: who they are, where their martingale cycle stands, what they earned.

Status, cycle and lifecycle arrive apart; the state puts them together by bot, and what a
message does not know (a delay that this step did not have) keeps its last value.
"""

from typing import Any

from monitor.events import BotCycle, BotLifecycle, BotStatus
from monitor.market.market import Market
from monitor.market.payload import encode_payload
from monitor.market.view import Sections

_BOTS = 1_000
_STATUS_AFTER = {"created": "stopped", "started": "active", "paused": "paused", "stopped": "stopped"}
_UNKNOWN: dict[str, Any] = {
    "name": "",
    "market": "",
    "status": "stopped",
    "cycle": 0,
    "phase": None,
    "safety_orders": 0,
    "safety_orders_max": 0,
    "average_price": None,
    "take_profit_price": None,
    "position": "0",
    "safety_order_delay_ms": None,
    "take_profit_delay_ms": None,
    "cycles": 0,
    "profit": "0",
    "time": None,
}


class Bots:
    """What `botstate:` shows and `bots:` starts from."""

    def __init__(self) -> None:
        self.version = 0
        self._bots: dict[str, dict[str, Any]] = {}

    def status(self, market: Market, status: BotStatus) -> bytes:
        """Take a bot's status and return its payload."""
        fields = {
            "name": status.name,
            "market": market.key,
            "status": status.status,
            "cycles": status.cycles_completed,
            "profit": status.profit,
            "time": status.time_ms,
        }
        self._merge(status.bot_id, fields)
        return encode_payload({"type": "bot_status", "bot": status.bot_id, **fields})

    def cycle(self, market: Market, cycle: BotCycle) -> bytes:
        """Take a step of a bot's cycle and return its payload."""
        fields = _cycle_fields(market, cycle)
        self._merge(cycle.bot_id, {name: value for name, value in fields.items() if value is not None})
        return encode_payload({"type": "bot_cycle", "bot": cycle.bot_id, **fields, "profit": cycle.profit})

    def lifecycle(self, market: Market, lifecycle: BotLifecycle) -> bytes:
        """Take what happened to a bot and return its payload; a deleted one is let go."""
        fields = {"name": lifecycle.name, "market": market.key}
        if lifecycle.action == "deleted":
            self._bots.pop(lifecycle.bot_id, None)
            self.version += 1
        else:
            status = _STATUS_AFTER[lifecycle.action]
            self._merge(lifecycle.bot_id, {**fields, "status": status, "time": lifecycle.time_ms})
        told = {"action": lifecycle.action, "time": lifecycle.time_ms}
        return encode_payload({"type": "bot_lifecycle", "bot": lifecycle.bot_id, **fields, **told})

    def sections(self) -> Sections:
        return {"bots": dict(self._bots)}

    def _merge(self, bot: str, fields: dict[str, Any]) -> None:
        self._bots[bot] = self._bots.get(bot, _UNKNOWN) | fields
        if len(self._bots) > _BOTS:
            del self._bots[next(iter(self._bots))]
        self.version += 1


def _cycle_fields(market: Market, cycle: BotCycle) -> dict[str, Any]:
    return {
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
    }
