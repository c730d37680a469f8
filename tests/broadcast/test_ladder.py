from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from monitor.broadcast.client import Client
from monitor.broadcast.ladder import (
    DOWN_SECONDS,
    ENTER_SHARE,
    LEAVE_FACTOR,
    UP_SECONDS,
    Ladder,
    Step,
    Variant,
    variant_of,
)
from monitor.config import DEFAULT_NAMESPACES
from tests.broadcast.stage import start


def climb(ladder: Ladder, share: float, seconds: float, start: float = 0.0) -> list[tuple[float, Step]]:
    """Judge four times a second; returns when which step was reached."""
    steps = []
    for tick in range(round(seconds * 4) + 1):
        now = start + tick / 4
        if ladder.judge(share, now):
            steps.append((now, ladder.step))
    return steps


def test_a_full_backlog_leads_up_one_step_at_a_time() -> None:
    steps = climb(Ladder(), 0.9, 10)
    assert [step for _, step in steps] == list(Step)[1:]
    assert all(later[0] - sooner[0] >= UP_SECONDS for sooner, later in pairwise(steps))


def test_a_backlog_that_is_gone_leads_down_again_slowly() -> None:
    ladder = Ladder()
    climb(ladder, 0.9, 10)
    steps = climb(ladder, 0.0, 60, start=100)
    assert [step for _, step in steps] == list(reversed(list(Step)[:-1]))
    assert all(later[0] - sooner[0] >= DOWN_SECONDS for sooner, later in pairwise(steps))


@pytest.mark.parametrize("step", list(Step)[1:])
def test_a_backlog_leads_to_the_step_whose_mark_it_is_above(step: Step) -> None:
    ladder = Ladder()
    climb(ladder, ENTER_SHARE[step] + 0.001, 30)
    assert ladder.step is step


@given(st.sampled_from(list(Step)[1:]), st.lists(st.floats(0.01, 0.99), min_size=1, max_size=200))
def test_between_a_steps_marks_nothing_changes(step: Step, places: list[float]) -> None:
    ladder = Ladder()
    climb(ladder, ENTER_SHARE[step] + 0.001, 30)
    low = ENTER_SHARE[step] * LEAVE_FACTOR
    high = ENTER_SHARE[Step(step + 1)] if step < Step.SNAPSHOTS else 1.0
    for number, place in enumerate(places):
        assert not ladder.judge(low + (high - low) * place, 100 + number)


@pytest.mark.parametrize("step", list(Step)[1:])
def test_a_backlog_of_half_a_mark_does_not_lead_down_again(step: Step) -> None:
    ladder = Ladder()
    climb(ladder, ENTER_SHARE[step] + 0.001, 30)
    assert climb(ladder, ENTER_SHARE[step] / 2, 60, start=100) == []


@given(st.lists(st.sampled_from([0.0, 0.9]), max_size=100))
def test_a_backlog_that_comes_and_goes_within_half_a_second_changes_nothing(shares: list[float]) -> None:
    ladder = Ladder()
    for number, share in enumerate(shares):
        if number and share == shares[number - 1]:
            continue
        assert not ladder.judge(share, number / 4)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("book", ["full", "full", "book_20", "book_5", "slow", "snapshots"]),
        ("market:hot", ["full", "full", "full", "full", "slow", "snapshots"]),
        ("trades", ["full"] * 6),
        ("orders", ["full"] * 6),
        ("botstate", ["full"] * 6),
        ("ops", ["full"] * 6),
    ],
)
def test_only_market_state_is_given_in_lesser_forms(channel: str, expected: list[str]) -> None:
    assert [variant_of(DEFAULT_NAMESPACES[channel], step) for step in Step] == [Variant(v) for v in expected]


@pytest.mark.trio
async def test_who_falls_behind_while_another_is_judged_is_watched_on(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    stage = await start(nursery)
    left, _ = stage.join(room=0, on_step=lambda: stall(right))
    right, _ = stage.join(room=0, on_step=lambda: stall(left))

    def stall(other: Client) -> None:
        """A step may do so: what a channel has gathered goes out to all before one of them leaves it."""
        if other.ladder.pinned is None:
            other.fall_behind()

    for client in (left, right):
        client.pin(Step.MERGE)
        stage.hub.watch.add(client)
    await trio.sleep(1)
    for client in (left, right):
        client.pin(None)
    await trio.sleep(DOWN_SECONDS + 1)
    assert left.ladder.step is right.ladder.step is Step.FULL
    assert {client for client in (left, right) if client.is_behind} <= stage.hub.watch._slow
    assert left.is_behind or right.is_behind
