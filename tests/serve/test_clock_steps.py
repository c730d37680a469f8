"""The wall clock is set while clients are connected: who is in stays in, what is dated goes by the clock."""

import time
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from tests.serve.running import Server, sign

pytestmark = pytest.mark.trio

HOUR_SECONDS = 3_600.0
Step = Callable[[float], None]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Step:
    """Sets the wall clock of this process so far from the right time."""
    right = time.time

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: right() + seconds)

    return set_clock


async def test_who_is_connected_keeps_his_tokens_time_when_the_clock_is_set_ahead(
    jumping_clock: MockClock, server: Server, step: Step
) -> None:
    began, token = trio.current_time(), sign(sub="ann", exp=int(time.time()) + 60)
    client = await server.client(token)
    step(HOUR_SECONDS)
    assert await client.is_alive()
    late = await server.upgraded()
    assert await late.refusal("connect", token=token) == 109
    assert (await client.stay())[0] == 3005
    assert 84 <= trio.current_time() - began <= 86.5


async def test_token_that_goes_by_the_new_clock_refreshes_who_came_by_the_old_one(
    server: Server, step: Step
) -> None:
    for seconds in (HOUR_SECONDS, -HOUR_SECONDS):
        client = await server.client(sign(sub="ann", exp=int(time.time()) + 60))
        step(seconds)
        refreshed = await client.call("refresh", token=sign(sub="ann", exp=int(time.time()) + 60))
        assert 58 <= refreshed["ttl"] <= 60


async def test_token_of_a_clock_that_is_right_is_refused_for_now_by_one_that_was_set_back(
    server: Server, step: Step
) -> None:
    token = sign(sub="ann", nbf=int(time.time()), exp=int(time.time()) + 60)
    step(-HOUR_SECONDS)
    early = await server.upgraded()
    assert await early.refusal("connect", token=token) == 109
