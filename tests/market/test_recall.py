"""A past of accounts that is told late, after what has been since: as if it had been told in its time."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.market import entries
from monitor.market.orders import FILLS_SHOWN
from monitor.market.state import MarketState
from tests.market.events import market_state, order_fill, tell
from tests.market.patches import MapWatcher, Watcher

Word = tuple[str, dict[str, Any]]
"""A channel, and what is told in it."""

MARKETS = st.sampled_from(["sim.A", "sim.B"])
TIMES = st.integers(1, 9)
FEW = st.integers(0, 3).map(str)


def word(channel: str, kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Word]:
    payloads = st.fixed_dictionaries({"type": st.just(kind), "market": MARKETS, "time": TIMES} | fields)
    return st.tuples(st.sampled_from([f"{channel}:ann", f"{channel}:bob"]), payloads)


WORDS = st.lists(
    st.one_of(
        word("orders", "order_update", order=FEW, status=st.sampled_from(["NEW", "FILLED"])),
        word("orders", "order_fill", fill=FEW),
        word("bots", "bot_status", bot=FEW, status=st.just("active"), profit=st.none() | FEW),
        word("bots", "bot_cycle", bot=FEW, cycle=TIMES, take_profit_delay_ms=st.none() | TIMES),
        word("bots", "bot_lifecycle", bot=FEW, action=st.sampled_from(["created", "paused", "deleted"])),
    ),
    max_size=12,
)


def told(words: list[Word], state: MarketState | None = None) -> MarketState:
    state = state or market_state()
    for channel, payload in words:
        publication = state.read(channel, orjson.dumps(payload))
        assert publication is not None
        publication.note()
    return state


def waiting(words: list[Word]) -> MarketState:
    """One that was told these, and whose past is still to come."""
    state = market_state()
    state.await_past()
    return told(words, state)


def recall(state: MarketState, before: MarketState) -> None:
    for _ in state.recall(before):
        pass


def order(order_id: str, status: str, account: str = "ann") -> Word:
    return f"orders:{account}", {
        "type": "order_update",
        "market": "sim.A",
        "order": order_id,
        "status": status,
    }


def known(state: MarketState) -> list[Any]:
    """All that is kept of two accounts; the order of open orders and of bots says nothing."""
    return [
        (
            MapWatcher(state.view(f"open_orders:{account}")).state,
            MapWatcher(state.view(f"botstate:{account}")).state,
            Watcher(state.view(f"orders:{account}")).state["fills"],
            state.past(account, "sim"),
        )
        for account in ("ann", "bob")
    ]


@given(before=WORDS, since=WORDS, later=WORDS)
def test_a_past_told_late_makes_the_state_that_it_would_have_made_in_time(
    before: list[Word], since: list[Word], later: list[Word]
) -> None:
    state = waiting(since)
    recall(state, told(before))
    assert known(state) == known(told(before + since))
    assert known(told(later, state)) == known(told(before + since + later))


def test_nobody_is_shown_an_order_that_was_closed_since() -> None:
    state = waiting([order("1", "FILLED"), order("1", "FILLED", "bob"), order("2", "NEW")])
    watchers = [MapWatcher(state.view(f"open_orders:{account}")) for account in ("ann", "bob")]
    before = [order(number, "NEW", account) for number in "13" for account in ("ann", "bob")]
    for _ in state.recall(told(before)):
        for watcher in watchers:
            watcher.update()
            assert "sim.A/1" not in watcher.state
    assert [sorted(watcher.state) for watcher in watchers] == [["sim.A/2", "sim.A/3"], ["sim.A/3"]]


def test_what_is_told_between_two_accounts_counts_as_told_since() -> None:
    state = waiting([order("1", "NEW")])
    recalling = state.recall(told([order("1", "NEW"), order("1", "NEW", "bob")]))
    next(recalling)
    told([order("1", "FILLED"), order("1", "FILLED", "bob")], state)
    assert not any(recalling)
    assert [open_orders for open_orders, *_ in known(state)] == [{}, {}]


def test_fills_of_the_past_and_those_since_are_known_when_they_are_told_again() -> None:
    before, state = market_state("BTCUSDT"), market_state("BTCUSDT")
    state.await_past()
    since = [order_fill(f"since {number}") for number in range(FILLS_SHOWN + 1)]
    assert tell(before, order_fill("before"))
    assert all(tell(state, fill) for fill in since)
    recall(state, before)
    assert not any(tell(state, fill) for fill in [order_fill("before"), *since])


def test_of_more_than_are_kept_the_past_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "_ENTRIES", 2)
    state = waiting([order("3", "NEW")])
    recall(state, told([order("1", "NEW"), order("2", "NEW")]))
    assert list(MapWatcher(state.view("open_orders:ann")).state) == ["sim.A/2", "sim.A/3"]
