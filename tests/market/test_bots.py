from typing import Any

import orjson

from monitor.events import BotCycle, BotLifecycle, BotStatus
from tests.market.events import NOW_MS, market_state, tell
from tests.market.patches import MapWatcher, Watcher


def _cycle(**changes: Any) -> BotCycle:
    fields: dict[str, Any] = {
        "venue": "sim",
        "account": "paper",
        "bot_id": "bot-1",
        "market": "BTCUSDT",
        "cycle": 3,
        "phase": "take_profit",
        "safety_orders_filled": 1,
        "safety_orders_max": 5,
        "average_price": 6_000_050,
        "take_profit_price": 6_010_000,
        "position": 1_500,
        "time_ms": NOW_MS,
    }
    return BotCycle(**(fields | changes))


def _status(status: str = "active") -> BotStatus:
    return BotStatus("sim", "paper", "bot-1", "Slow and steady", "BTCUSDT", status, 2, "1.25", NOW_MS)


def _lifecycle(action: str) -> BotLifecycle:
    return BotLifecycle("sim", "paper", "bot-1", "Slow and steady", "BTCUSDT", action, NOW_MS)


def test_each_bot_event_is_published_with_its_kind() -> None:
    state = market_state("BTCUSDT")
    published = [tell(state, event)[0] for event in (_lifecycle("created"), _status(), _cycle())]
    assert [(each.channel, each.kind) for each in published] == [
        ("bots:paper", "bot_lifecycle"),
        ("bots:paper", "bot_status"),
        ("bots:paper", "bot_cycle"),
    ]
    assert orjson.loads(published[2].payload) == {
        "type": "bot_cycle",
        "bot": "bot-1",
        "market": "sim.BTCUSDT",
        "cycle": 3,
        "phase": "take_profit",
        "safety_orders": 1,
        "safety_orders_max": 5,
        "average_price": "60000.5",
        "take_profit_price": "60100",
        "position": "1.5",
        "safety_order_delay_ms": None,
        "take_profit_delay_ms": None,
        "profit": "0",
        "time": NOW_MS,
    }


def test_state_joins_status_and_cycle_and_keeps_the_total_profit() -> None:
    state = market_state("BTCUSDT")
    watcher = MapWatcher(state.view("botstate:paper"))
    tell(state, _status())
    tell(state, _cycle(profit="0.5", take_profit_delay_ms=31))
    watcher.update()
    bot = watcher.state["bot-1"]
    assert (bot["name"], bot["status"], bot["cycles"], bot["profit"]) == (
        "Slow and steady",
        "active",
        2,
        "1.25",
    )
    assert (bot["cycle"], bot["phase"], bot["take_profit_delay_ms"]) == (3, "take_profit", 31)
    assert Watcher(state.view("bots:paper")).state == {"bots": watcher.state}


def test_delay_unknown_to_a_step_keeps_its_last_value() -> None:
    state = market_state("BTCUSDT")
    tell(state, _cycle(safety_order_delay_ms=40))
    tell(state, _cycle(phase="safety_order"))
    assert MapWatcher(state.view("botstate:paper")).state["bot-1"]["safety_order_delay_ms"] == 40


def test_lifecycle_sets_the_status_and_deleted_removes_the_bot() -> None:
    state = market_state("BTCUSDT")
    watcher = MapWatcher(state.view("botstate:paper"))
    seen = []
    for action in ("created", "started", "paused", "stopped"):
        tell(state, _lifecycle(action))
        watcher.update()
        seen.append(watcher.state["bot-1"]["status"])
    assert seen == ["stopped", "active", "paused", "stopped"]
    tell(state, _lifecycle("deleted"))
    assert watcher.update() == {"bot-1": None}
