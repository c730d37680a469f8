from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from monitor.client import LinkState, Status
from tests.tui.reports import fill, health
from tui.model import FILLS_KEPT, HEALTH_LATE_SECONDS, Model, Part, Query
from tui.reports import fill_of, fills_of

CONNECTED = Status(LinkState.CONNECTED)
LOST = Status(LinkState.CONNECTING, "the connection was lost", failures=1)


def model() -> Model:
    return Model("http://127.0.0.1:8000")


def test_changes_are_told_once() -> None:
    console = model()
    console.set_health(health(), 1.0)
    console.set_feeds([])
    assert console.take_changes() == {Part.HEALTH, Part.FEEDS}
    assert console.take_changes() == set()


def test_fill_is_shown_once_however_often_it_comes() -> None:
    console = model()
    for _ in range(3):
        console.add_fill("paper", fill())
    console.add_fill("paper", fill(market="sim.ETHUSDT"))
    assert [entry["market"] for entry in console.fills.values()] == ["sim.BTCUSDT", "sim.ETHUSDT"]


@given(st.integers(1, 2 * FILLS_KEPT))
def test_the_newest_fills_are_kept(count: int) -> None:
    console = model()
    for number in range(count):
        console.add_fill("paper", fill(fill=str(number)))
    kept = [int(entry["fill"]) for entry in console.fills.values()]
    assert kept == list(range(max(0, count - FILLS_KEPT), count))


def test_whole_replaces_the_fills_of_before() -> None:
    console = model()
    console.add_fill("paper", fill(fill="old"))
    console.set_fills("paper", [fill(fill="a"), fill(fill="b")])
    assert [entry["fill"] for entry in console.fills.values()] == ["a", "b"]


def test_strangers_json_is_no_fill() -> None:
    good = {"type": "order_fill", **fill()}
    strange: list[Any] = [
        None,
        7,
        "x",
        [],
        {},
        {"type": "order_update"},
        {**good, "side": "up"},
        {**good, "price": 1.5},
    ]
    strange += [{**good, "time": "noon"}, {**good, "market": ["x"]}]
    assert [fill_of(event) for event in strange] == [None] * len(strange)
    assert fill_of(good) == fill()
    assert list(fills_of({"fills": [*strange, good]})) == [fill()]
    assert list(fills_of(None)) == []


def test_fill_without_a_bot_is_a_fill() -> None:
    read = fill_of({"type": "order_fill", **fill(), "bot": None, "role": None})
    assert read is not None
    assert (read["bot"], read["role"]) == ("", "")


def test_fill_that_was_looked_up_says_so_and_may_know_nothing_of_its_order() -> None:
    unknown = {"filled": None, "order_size": None, "backfilled": True}
    assert fill_of({"type": "order_fill", **fill()} | unknown) == fill(
        filled="", order_size="", backfilled=True
    )


def test_since_when_the_link_is_down_does_not_move_with_each_attempt() -> None:
    console = model()
    console.set_link(CONNECTED, 10.0)
    console.set_link(LOST, 20.0)
    console.set_link(Status(LinkState.CONNECTING, "refused", failures=2), 25.0)
    assert (console.link_since, console.is_stale(26.0)) == (20.0, True)


def test_silence_of_a_connected_server_is_noticed() -> None:
    console = model()
    console.set_link(CONNECTED, 10.0)
    console.set_health(health(), 11.0)
    assert not console.is_stale(11.0 + HEALTH_LATE_SECONDS)
    assert console.health_is_late(11.1 + HEALTH_LATE_SECONDS)


def test_refusals_last_until_the_next_connection() -> None:
    console = model()
    console.refuse("ops:health", "permission denied")
    console.set_link(LOST, 1.0)
    assert console.refusals
    console.set_link(CONNECTED, 2.0)
    assert not console.refusals


def test_numbers_sort_from_the_largest_texts_from_a_and_the_same_column_turns_round() -> None:
    query = Query("depth")
    assert (query.sort, query.descending) == ("depth", True)
    assert query.by("depth") == Query("depth", False)
    assert query.by("rtt_ms") == Query("rtt_ms", True)
    assert query.by("address") == Query("address", False)


def test_feed_opens_and_closes() -> None:
    console = model()
    console.toggle_feed("binance")
    assert console.expanded_feeds == {"binance"}
    console.toggle_feed("binance")
    assert console.expanded_feeds == set()


def test_log_goes_on_behind_its_last_line() -> None:
    model = Model("http://127.0.0.1:8000")
    line: Any = {"time": 0, "level": "info", "logger": "lanecast", "message": "x"}
    model.add_logs({"lines": [line | {"id": 1}, line | {"id": 2}]})
    model.add_logs({"lines": [line | {"id": 3}]})
    assert ([entry["id"] for entry in model.logs], model.places["ops.logs"]) == ([1, 2, 3], {"after": 3})
