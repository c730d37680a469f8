from typing import Any

import orjson
import pytest

from monitor.market import state as state_module
from monitor.market.told import BadTold
from tests.market.events import market_state, order_fill, tell
from tests.market.patches import MapWatcher, Watcher

ORDER = {"type": "order_update", "market": "my.X", "order": "7", "status": "NEW", "price": "1.5"}
FILL = {"type": "order_fill", "market": "my.X", "fill": "f7", "size": "0.25"}
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
    assert list(opened.state) == ["7"]


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
        ({**FILL, "fill": 7}, "order_fill: Expected `str`, got `int` - at `$.fill`"),
        ({**FILL, "size": "much"}, "order_fill: .* - at `$.size`"),
        ({"type": "order_fill", "fill": "1"}, "order_fill: Object missing required field `market`"),
        ({**ORDER, "status": "new"}, "order_update: .* - at `$.status`"),
        ({**ORDER, "market": ""}, "order_update: .* - at `$.market`"),
        ({"type": "bot_lifecycle", "bot": "b"}, "bot_lifecycle: Object missing required field `action`"),
    ],
    ids=str,
)
def test_what_can_not_be_taken_is_refused_with_what_is_wrong(told: Any, words: str) -> None:
    channel = "bots:ann" if "bot" in told else "orders:ann"
    with pytest.raises(BadTold, match=words.replace("$", r"\$")):
        said(market_state(), channel, told)


def test_accounts_that_backends_tell_of_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "ACCOUNT_LIMIT", 1)
    state = market_state()
    assert said(state, "bots:ann", BOT)
    assert said(state, "bots:ann", BOT)
    with pytest.raises(BadTold, match="bots:bob: more than 1 accounts"):
        said(state, "bots:bob", BOT)
