from typing import Any

import orjson
import pytest

from monitor.events import BotCycle, BotLifecycle, BotStatus, Event
from monitor.market import state as state_module
from monitor.market.told import BadTold, check_told
from tests.market.events import NOW_MS, market_state, order_fill, order_update, tell
from tests.market.patches import MapWatcher, Watcher

DEAL = {"market": "my.X", "side": "buy", "price": "1.5", "size": "0.25"}
ORDER = {"type": "order_update", **DEAL, "order": "7", "status": "NEW"}
FILL = {"type": "order_fill", **DEAL, "fill": "f7", "time": NOW_MS}
MARKET = 'a venue and its market, as "my.BTCUSDT"'
BOT = {"type": "bot_status", "bot": "b", "status": "active"}


def said(state: state_module.MarketState, channel: str, told: Any) -> state_module.Publication | None:
    return state.read(channel, orjson.dumps(told))


def test_what_a_backend_says_of_an_account_is_in_its_state_once_noted() -> None:
    state = market_state()
    watcher, opened = Watcher(state.view("orders:ann")), MapWatcher(state.view("open_orders:ann"))
    for told in (ORDER, FILL):
        found = said(state, "orders:ann", told)
        assert found is not None
        assert found.kind == told["type"]
        found.note()
    watcher = Watcher(state.view("orders:ann"))
    assert watcher.state == {"orders": [ORDER], "fills": [FILL]}
    opened.update()
    assert list(opened.state) == ["my.X/7"]


def test_fill_of_a_backend_and_of_a_feed_are_known_by_the_same_key() -> None:
    state = market_state("BTCUSDT")
    (told,) = tell(state, order_fill("f1"))
    found = state.read("orders:paper", told.payload)
    assert found is not None
    assert found.key == told.key


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("orders:ann", {"type": "note"}),
        ("orders:ann", "hello"),
        ("orders:ann", {"type": ["order_fill"]}),
        ("orders:ann", BOT),
        ("bots:ann", FILL),
        ("orders:", FILL),
        ("chat:ann", FILL),
    ],
    ids=str,
)
def test_anything_else_is_its_publishers_own_affair(channel: str, told: Any) -> None:
    assert said(market_state(), channel, told) is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({**FILL, "fill": 7}, "order_fill: fill 7: must be a text"),
        ({**FILL, "size": "much"}, "order_fill: size 'much': must be a decimal text, as \"61837.63\""),
        ({**FILL, "size": "-5"}, "order_fill: size '-5': must be a decimal text, as \"61837.63\""),
        ({**FILL, "price": 1.5}, 'order_fill: price 1.5: must be a decimal text, as "61837.63"'),
        ({**FILL, "side": "BUY"}, "order_fill: side 'BUY': must be one of buy, sell"),
        ({**FILL, "time": 1_700_000_000}, "order_fill: time 1700000000: must be milliseconds since 1970"),
        (
            {**FILL, "market": "X"},
            "order_fill: market 'X': must be a venue and its market, as \"my.BTCUSDT\"",
        ),
        ({**FILL, "time": None}, "order_fill needs time: milliseconds since 1970"),
        ({"type": "order_fill"}, 'order_fill needs market: a venue and its market, as "my.BTCUSDT"'),
        (
            {**FILL, "type": "order_fil"},
            "type 'order_fil' is none of order_update, order_fill; did you mean 'order_fill'?",
        ),
        (BOT, "bot_status belongs to bots:, not to orders:"),
    ],
    ids=str,
)
def test_what_can_not_be_shown_is_refused_with_what_is_wrong(told: Any, words: str) -> None:
    with pytest.raises(BadTold) as refused:
        check_told("orders:ann", orjson.dumps(told))
    assert str(refused.value) == words


def test_status_of_another_venue_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadTold, match="status 'OPEN': must be one of NEW, PARTIALLY_FILLED, "):
        check_told("orders:ann", orjson.dumps({**ORDER, "status": "OPEN"}))


@pytest.mark.parametrize("told", [FILL, "hello"])
def test_nothing_is_told_of_no_account(told: Any) -> None:
    with pytest.raises(BadTold, match="'orders:' names no account, as 'orders:ann' does"):
        check_told("orders:", orjson.dumps(told))


@pytest.mark.parametrize(
    ("channel", "told"),
    [("orders:ann", ORDER), ("orders:ann", FILL), ("bots:ann", BOT), ("orders:ann", {"type": "note"})],
)
def test_what_is_right_and_what_is_none_of_ours_passes(channel: str, told: Any) -> None:
    check_told(channel, orjson.dumps(told))


@pytest.mark.parametrize(
    "event",
    [
        order_update("o1", "NEW"),
        order_fill("f1"),
        BotStatus("sim", "paper", "b", "Bot", "BTCUSDT", "active", 3, "-1.5", NOW_MS),
        BotCycle("sim", "paper", "b", "BTCUSDT", 4, "base_order", 0, 5, 1, 2, 3, NOW_MS),
        BotLifecycle("sim", "paper", "b", "Bot", "BTCUSDT", "started", NOW_MS),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_feeds_tell_is_in_the_form_that_backends_are_held_to(event: Event) -> None:
    (told,) = market_state("BTCUSDT").apply(event, NOW_MS)
    check_told(told.channel, told.payload)


def test_accounts_that_backends_tell_of_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "ACCOUNT_LIMIT", 1)
    state = market_state()
    assert said(state, "bots:ann", BOT)
    assert said(state, "bots:ann", BOT)
    with pytest.raises(BadTold, match="bots:bob: more than 1 accounts"):
        said(state, "bots:bob", BOT)
