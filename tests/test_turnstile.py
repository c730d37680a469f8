from functools import partial
from itertools import pairwise

import pytest
import trio
import trio.testing

from monitor.turnstile import AT_ONCE, Turnstile

CROWD = 50


def turnstile_of_this_loop() -> Turnstile:
    turnstile = Turnstile()
    trio.lowlevel.add_instrument(turnstile)
    return turnstile


@pytest.mark.trio
async def test_crowd_is_let_in_a_few_a_pass_and_the_others_go_on_between() -> None:
    turnstile, let_in, seen = turnstile_of_this_loop(), list[int](), list[int]()

    async def come(number: int) -> None:
        await turnstile.enter()
        let_in.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(CROWD):
            nursery.start_soon(come, number)
        while len(let_in) < CROWD:
            seen.append(len(let_in))
            await trio.lowlevel.checkpoint()
    # Between two looks of ours a pass may end and the next begin.
    assert max(later - before for before, later in pairwise(seen)) <= 2 * AT_ONCE
    assert len(seen) >= CROWD / (2 * AT_ONCE)


class Passes(trio.abc.Instrument):
    """How many were let in, by pass of the loop."""

    def __init__(self) -> None:
        self.let_in = [0]

    def after_io_wait(self, timeout: float) -> None:
        self.let_in.append(0)


@pytest.mark.trio
async def test_a_pass_lets_in_no_more_than_it_may_however_they_come() -> None:
    turnstile, passes = turnstile_of_this_loop(), Passes()
    trio.lowlevel.add_instrument(passes)

    async def come(pause: int, *, is_backend: bool) -> None:
        for _ in range(pause):
            await trio.lowlevel.checkpoint()
        await turnstile.enter(is_backend=is_backend)
        passes.let_in[-1] += 1

    for backends, most in ((0, AT_ONCE), (3, 2 * AT_ONCE)):
        async with trio.open_nursery() as nursery:
            for number in range(CROWD):
                nursery.start_soon(partial(come, number // 3, is_backend=number % 10 < backends))
        assert max(passes.let_in) == most


@pytest.mark.trio
async def test_who_comes_as_another_gives_up_waiting_is_let_in_no_faster() -> None:
    turnstile, passes = turnstile_of_this_loop(), Passes()
    trio.lowlevel.add_instrument(passes)

    async def come() -> None:
        await turnstile.enter()
        passes.let_in[-1] += 1

    async def give_up() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            for _ in range(AT_ONCE + 1):
                await turnstile.enter()

    # Trio draws who runs first: often enough it is who gives up.
    for _ in range(50):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_up)
            for _ in range(AT_ONCE + 1):
                nursery.start_soon(come)
    assert max(passes.let_in) == AT_ONCE


@pytest.mark.trio
async def test_who_waits_goes_before_who_comes_later() -> None:
    turnstile, let_in = turnstile_of_this_loop(), list[str]()

    async def come(name: str) -> None:
        await turnstile.enter()
        let_in.append(name)

    async with trio.open_nursery() as nursery:
        for _ in range(3 * AT_ONCE):
            nursery.start_soon(come, "first")
        await trio.lowlevel.checkpoint()
        for _ in range(3 * AT_ONCE):
            nursery.start_soon(come, "later")
    assert let_in == ["first"] * 3 * AT_ONCE + ["later"] * 3 * AT_ONCE


@pytest.mark.trio
async def test_backends_pass_a_crowd_of_clients_however_many_they_are() -> None:
    turnstile, let_in, backends = turnstile_of_this_loop(), list[str](), 3 * AT_ONCE

    async def come(name: str, *, is_backend: bool) -> None:
        await turnstile.enter(is_backend=is_backend)
        let_in.append(name)

    async with trio.open_nursery() as nursery:
        for _ in range(CROWD):
            nursery.start_soon(partial(come, "client", is_backend=False))
        while not let_in:
            await trio.lowlevel.checkpoint()
        for _ in range(backends):
            nursery.start_soon(partial(come, "backend", is_backend=True))
    last = len(let_in) - let_in[::-1].index("backend")
    assert last <= 4 * AT_ONCE + 2 * backends < let_in.count("client")


@pytest.mark.trio
async def test_who_comes_alone_does_not_wait() -> None:
    turnstile = turnstile_of_this_loop()
    for _ in range(10):
        with trio.testing.assert_no_checkpoints():
            await turnstile.enter()
        await trio.testing.wait_all_tasks_blocked()


@pytest.mark.trio
async def test_who_gives_up_waiting_takes_nobodys_place() -> None:
    turnstile = turnstile_of_this_loop()
    with trio.move_on_after(0):
        for _ in range(AT_ONCE + 1):
            await turnstile.enter()
    await trio.testing.wait_all_tasks_blocked()
    with trio.testing.assert_no_checkpoints():
        await turnstile.enter()
