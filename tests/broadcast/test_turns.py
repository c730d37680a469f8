"""Turns among lanes, by themselves: who is served when all of them always wait."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast.turns import LONGEST_WAIT_MS, STRICT_TURNS, Turns
from monitor.config import Lane

MS = 1_000_000


def serve(turns: Turns, waiting: set[Lane], *, every_ms: int, count: int) -> list[Lane | None]:
    return [turns.next(waiting, turn * every_ms * MS) for turn in range(count)]


def test_nobody_waits_and_nobody_is_served() -> None:
    assert Turns().next([], 0) is None


def test_the_highest_lane_is_served_first() -> None:
    turns = Turns()
    assert turns.next({Lane.LOW, Lane.IMMEDIATE, Lane.NORMAL}, 0) is Lane.IMMEDIATE
    assert turns.next({Lane.LOW, Lane.NORMAL}, 1) is Lane.NORMAL
    assert turns.next({Lane.LOW}, 2) is Lane.LOW


def test_a_waiting_lane_is_served_once_in_its_bound() -> None:
    served = serve(Turns(), {Lane.IMMEDIATE, Lane.LOW}, every_ms=1, count=10 * (LONGEST_WAIT_MS + 1))
    assert served[LONGEST_WAIT_MS :: LONGEST_WAIT_MS + 1] == [Lane.LOW] * 10
    assert served.count(Lane.LOW) == 10


def test_a_lane_that_comes_back_has_not_waited_meanwhile() -> None:
    turns = Turns()
    assert turns.next({Lane.LOW}, 0) is Lane.LOW
    assert turns.next({Lane.LOW, Lane.IMMEDIATE}, 10 * LONGEST_WAIT_MS * MS) is Lane.IMMEDIATE


def test_where_turns_are_rare_the_highest_lane_keeps_three_in_four() -> None:
    served = Counter(serve(Turns(), set(Lane), every_ms=10 * LONGEST_WAIT_MS, count=400))
    assert served[Lane.IMMEDIATE] == 400 * STRICT_TURNS // (STRICT_TURNS + 1)
    assert min(served.values()) >= 33


@given(st.lists(st.tuples(st.integers(0, 30), st.sets(st.sampled_from(Lane), min_size=1)), max_size=200))
def test_a_lane_out_of_turn_has_waited_and_strict_turns_follow(steps: list[tuple[int, set[Lane]]]) -> None:
    turns, now_ms, strict = Turns(), 0, 0
    waits_since: dict[Lane, int] = {}
    for passed_ms, waiting in steps:
        now_ms += passed_ms
        waits_since = {lane: waits_since.get(lane, now_ms) for lane in waiting}
        served = turns.next(waiting, now_ms * MS)
        assert served in waiting
        if served is not min(waiting):
            assert not strict
            assert now_ms - waits_since[served] >= LONGEST_WAIT_MS
            strict = STRICT_TURNS + 1
        strict = max(0, strict - 1)
        del waits_since[served]
