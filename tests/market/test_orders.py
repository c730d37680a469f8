from dataclasses import replace

import orjson
import pytest

from monitor.events import AccountPast, FillsMissing, OrdersListed
from monitor.market import entries
from monitor.recent import SeenIds
from tests.market.events import NOW_MS, market_state, order_fill, order_update, tell
from tests.market.patches import MapWatcher, Watcher


def test_fill_is_published_with_everything_known() -> None:
    (published,) = tell(market_state("BTCUSDT"), order_fill("f1"))
    assert (published.channel, published.kind) == ("orders:paper", "order_fill")
    assert orjson.loads(published.payload) == {
        "type": "order_fill",
        "market": "sim.BTCUSDT",
        "order": "o1",
        "fill": "f1",
        "side": "buy",
        "price": "60000",
        "size": "0.5",
        "filled": "0.5",
        "order_size": "0.5",
        "status": "FILLED",
        "fee": "0.03",
        "fee_asset": "USDT",
        "maker": False,
        "client_order": "",
        "bot": "bot-1",
        "role": "base_order",
        "delay_ms": 12,
        "time": NOW_MS,
    }


def test_fill_told_twice_is_published_once() -> None:
    state = market_state("BTCUSDT", "ETHUSDT")
    assert tell(state, order_fill("f1"))
    assert tell(state, order_fill("f1")) == []
    assert tell(state, order_fill("f1", "ETHUSDT"))
    assert len(Watcher(state.view("orders:paper")).state["fills"]) == 2


def test_remembered_ids_are_bounded_and_the_oldest_go_first() -> None:
    seen = SeenIds(2)
    assert [seen.add(key) for key in ("a", "b", "a", "c", "b", "a")] == [True, True, False, True, False, True]


def test_stream_starts_from_open_orders_and_the_last_fifty_fills() -> None:
    state = market_state("BTCUSDT")
    tell(state, order_update("o1", "NEW"))
    for number in range(60):
        tell(state, order_fill(f"f{number}"))
    watcher = Watcher(state.view("orders:paper"))
    assert [order["type"] for order in watcher.state["orders"]] == ["order_update"]
    assert [fill["fill"] for fill in watcher.state["fills"]] == [f"f{number}" for number in range(10, 60)]
    assert watcher.update() is None


def test_open_orders_follow_an_order_until_it_is_closed() -> None:
    state = market_state("BTCUSDT")
    watcher = MapWatcher(state.view("open_orders:paper"))
    (published,) = tell(state, order_update("o1", "NEW"))
    assert published.kind == "order_update"
    watcher.update()
    told = orjson.loads(published.payload)
    assert told.pop("type") == "order_update"
    assert watcher.state == {"sim.BTCUSDT/o1": told}
    tell(state, order_update("o1", "PARTIALLY_FILLED", 200))
    watcher.update()
    assert watcher.state["sim.BTCUSDT/o1"]["filled"] == "0.2"
    tell(state, order_update("o1", "FILLED", 500))
    assert watcher.update() == {"sim.BTCUSDT/o1": None}


def test_orders_of_two_markets_may_have_the_same_id() -> None:
    state = market_state("BTCUSDT", "ETHUSDT")
    watcher = MapWatcher(state.view("open_orders:paper"))
    for market in ("BTCUSDT", "ETHUSDT"):
        tell(state, replace(order_update("o1", "NEW"), market=market))
    watcher.update()
    assert list(watcher.state) == ["sim.BTCUSDT/o1", "sim.ETHUSDT/o1"]
    tell(state, order_update("o1", "CANCELED"))
    assert watcher.update() == {"sim.BTCUSDT/o1": None}


def test_open_orders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "_ENTRIES", 2)
    state = market_state("BTCUSDT")
    for order_id in ("o1", "o2", "o3"):
        tell(state, order_update(order_id, "NEW"))
    assert list(MapWatcher(state.view("open_orders:paper")).state) == ["sim.BTCUSDT/o2", "sim.BTCUSDT/o3"]


def test_accounts_do_not_see_each_other() -> None:
    state = market_state("BTCUSDT")
    tell(state, order_fill("f1", account="alice"))
    assert Watcher(state.view("orders:bob")).state == {"orders": [], "fills": []}


def test_a_fill_that_was_looked_up_afterwards_says_so() -> None:
    state = market_state("BTCUSDT")
    (late,) = tell(state, replace(order_fill("f1"), is_backfilled=True, filled=None, order_size=None))
    (live,) = tell(state, order_fill("f2"))
    told = orjson.loads(late.payload)
    assert (told["backfilled"], told["size"], told["filled"], told["order_size"]) == (True, "0.5", None, None)
    assert "backfilled" not in orjson.loads(live.payload)


def test_markets_of_an_account_are_known_by_its_orders_and_its_fills() -> None:
    state = market_state("BTCUSDT", "ETHUSDT")
    tell(state, order_fill("f1"))
    tell(state, replace(order_update("o1", "NEW"), market="ETHUSDT", time_ms=NOW_MS + 5))
    assert state.past("paper", "sim") == AccountPast(NOW_MS + 5, frozenset({"BTCUSDT", "ETHUSDT"}))
    assert state.past("paper", "kalshi") is None


def test_what_is_told_behind_a_hole_says_so_and_the_past_ends_before_the_hole() -> None:
    state, restarted = market_state("BTCUSDT"), market_state()
    missing = FillsMissing("sim", "paper", NOW_MS - 9)
    published = [
        *tell(state, order_update("o1", "NEW")),
        *tell(state, missing),
        *tell(state, order_fill("f1")),
    ]
    published += tell(state, OrdersListed("sim", "paper", frozenset()))
    told = [orjson.loads(publication.payload).get("missing_since") for publication in published]
    assert told == [None, NOW_MS - 9, NOW_MS - 9]
    tell(state, replace(missing, since_ms=None))
    assert "missing_since" not in orjson.loads(tell(state, order_fill("f2"))[0].payload)
    for publication in published[1:]:
        said = restarted.read(publication.channel, publication.payload)
        assert said is not None
        said.note()
    assert restarted.past("paper", "sim") == AccountPast(NOW_MS - 9, frozenset({"BTCUSDT"}))


def test_an_account_told_of_before_its_past_is_known_has_none_when_nothing_was_before() -> None:
    state = market_state("BTCUSDT", "ETHUSDT")
    state.await_past()
    tell(state, order_update("o1", "NEW"))
    assert state.past("paper", "sim") is None
    assert list(state.recall(market_state())) == [None]
    assert state.past("paper", "sim") is None
    tell(state, order_fill("f1", "ETHUSDT"))
    assert state.past("paper", "sim") == AccountPast(NOW_MS, frozenset({"BTCUSDT", "ETHUSDT"}))


def test_an_order_is_as_it_was_told_last_though_fills_were_missing_then() -> None:
    state = market_state("BTCUSDT")
    tell(state, FillsMissing("sim", "paper", NOW_MS - 9))
    tell(state, order_update("o1", "NEW"))
    tell(state, FillsMissing("sim", "paper", None))
    assert tell(state, order_update("o1", "NEW")) == []


def test_an_order_that_its_venue_lists_no_longer_is_gone() -> None:
    state = market_state("BTCUSDT")
    watcher = MapWatcher(state.view("open_orders:paper"))
    for order_id in ("o1", "o2"):
        tell(state, order_update(order_id, "PARTIALLY_FILLED", 200))
    watcher.update()
    (published,) = tell(state, OrdersListed("sim", "paper", frozenset({("BTCUSDT", "o1")})))
    assert (published.channel, published.kind) == ("orders:paper", "order_update")
    told = orjson.loads(published.payload)
    assert told == {
        "type": "order_update",
        **watcher.state["sim.BTCUSDT/o2"],
        "status": "GONE",
        "reason": "not among the venue's open orders",
        "time": None,
    }
    assert watcher.update() == {"sim.BTCUSDT/o2": None}
    assert tell(state, OrdersListed("sim", "paper", frozenset({("BTCUSDT", "o1")}))) == []


def test_a_venue_that_lists_its_orders_says_nothing_of_others() -> None:
    state = market_state("BTCUSDT")
    tell(state, order_update("o1", "NEW"))
    own = state.read(
        "orders:paper", b'{"type":"order_update","market":"simple.X","order":"o2","status":"NEW"}'
    )
    assert own is not None
    own.note()
    assert tell(state, OrdersListed("binance", "paper", frozenset())) == []
    assert tell(state, OrdersListed("sim", "ann", frozenset())) == []
    (gone,) = tell(state, OrdersListed("sim", "paper", frozenset({("ETHUSDT", "o1")})))
    assert orjson.loads(gone.payload)["order"] == "o1"


def test_when_a_gone_order_ended_is_not_taken_for_when_the_venue_was_heard_last() -> None:
    state = market_state("BTCUSDT")
    tell(state, order_update("o1", "NEW"))
    tell(state, OrdersListed("sim", "paper", frozenset()))
    assert state.past("paper", "sim") == AccountPast(NOW_MS, frozenset({"BTCUSDT"}))


def test_an_open_order_that_is_told_again_as_it_is_goes_nowhere() -> None:
    state = market_state("BTCUSDT")
    assert tell(state, order_update("o1", "NEW"))
    assert tell(state, order_update("o1", "NEW")) == []
    assert tell(state, order_update("o1", "PARTIALLY_FILLED", 200))
