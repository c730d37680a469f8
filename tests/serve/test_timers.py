from functools import partial

import pytest
import trio

from monitor.serve.timers import PRUNE_FROM, Timers


@pytest.mark.trio
async def test_calls_are_made_when_due_in_their_order_but_for_cancelled_ones(autojump_clock: object) -> None:
    timers = Timers()
    made: list[tuple[int, float]] = []
    began = trio.current_time()

    def note(number: int) -> None:
        made.append((number, round(trio.current_time() - began, 3)))

    async with trio.open_nursery() as nursery:
        await nursery.start(timers.run)
        for seconds in (3, 1, 2):
            timers.after(seconds, partial(note, seconds))
        timers.after(1.5, partial(note, 0)).cancel()
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert made == [(1, 1.0), (2, 2.0), (3, 3.0)]


@pytest.mark.trio
async def test_time_that_has_passed_is_due_at_once(autojump_clock: object) -> None:
    timers, made = Timers(), trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(timers.run)
        began = trio.current_time()
        timers.at(1.0, made.set)
        await made.wait()
        assert trio.current_time() == began
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_time_that_no_clock_reaches_is_not_due() -> None:
    timers = Timers()
    for unix_seconds in (10**400, 1e308, -(10**400)):
        timers.at(unix_seconds, lambda: None)
    assert len(timers) == 3


@pytest.mark.trio
async def test_cancelled_timers_are_forgotten_long_before_they_are_due() -> None:
    timers = Timers()
    kept = [timers.after(10, lambda: None) for _ in range(100)]
    for _ in range(10 * PRUNE_FROM):
        timers.after(1_000_000, lambda: None).cancel()
    assert len(kept) <= len(timers) <= PRUNE_FROM
