"""The life of a feed, with a socket that the test holds in its hand; real sockets are in tests/venue."""

import errno
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio_websocket import CloseReason, ConnectionClosed

from monitor.errors import FeedError
from monitor.events import Event, MarketListed, OrderFill
from monitor.feeds.dialect import Dialect, Fetch, Reconnect, Send
from monitor.feeds.feed import (
    ANSWER_SECONDS,
    BACKOFF_LIMIT_SECONDS,
    BACKOFF_SECONDS,
    JUDGE_SECONDS,
    SILENCE_SECONDS,
    Headers,
    Route,
    Socket,
    backoff_seconds,
    run_feed,
)
from monitor.health.feeds import FeedHealth, FeedState
from monitor.turn import SLICE_NS
from tests.market.events import order_fill

FAREWELL = MarketListed("echo", "gone", 0, 0)


class Echo(Dialect):
    """Says hello, makes an event of every message, obeys `!fetch` and `!leave`."""

    def connect(self) -> list[Event]:
        self.commands.append(Send("hello"))
        return []

    def disconnect(self, cause: str) -> list[Event]:
        return [FAREWELL]

    def decode(self, message: Any, received_ns: int) -> Sequence[Event]:
        if message == "!fetch":
            self.commands.append(Fetch("X"))
        elif message == "!leave":
            self.commands.append(Reconnect("told to"))
        return [MarketListed("echo", message, 0, 0)]


class Line(Socket):
    """One connection, scripted: messages to deliver, then silence, or the end."""

    def __init__(
        self, messages: Sequence[str], *, lasts_seconds: float | None = None, answers_pings: bool = True
    ) -> None:
        self._messages = list(messages)
        self._lasts_seconds = lasts_seconds
        self._answers_pings = answers_pings
        self.sent: list[str] = []
        self.pings = 0

    async def get_message(self) -> str:
        await trio.lowlevel.checkpoint()
        if self._messages:
            return self._messages.pop(0)
        if self._lasts_seconds is not None:
            await trio.sleep(self._lasts_seconds)
            raise ConnectionClosed(CloseReason(1001, "bye"))
        await trio.sleep_forever()
        raise AssertionError

    async def send_message(self, message: str) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(message)

    async def ping(self) -> None:
        self.pings += 1
        if not self._answers_pings:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()


class Exchange:
    """Hands out lines in order; the last one for ever; None is a refusal."""

    def __init__(self, *lines: Line | None) -> None:
        self._lines = list(lines)
        self.dialled: list[float] = []

    @asynccontextmanager
    async def dial(self, url: str, headers: Headers) -> AsyncIterator[Socket]:
        await trio.lowlevel.checkpoint()
        self.dialled.append(trio.current_time())
        line = self._lines.pop(0) if len(self._lines) > 1 else self._lines[0]
        if line is None:
            raise OSError(errno.ECONNREFUSED, "refused")
        yield line


async def listen(
    exchange: Exchange, seconds: float, route: Route | None = None
) -> tuple[FeedHealth, list[str]]:
    """What a feed of that exchange heard in so many seconds of the jumping clock."""
    health = FeedHealth("echo", "echo")
    heard: list[str] = []

    def sink(event: Event, received_ns: int) -> None:
        assert isinstance(event, MarketListed)
        heard.append(event.market)

    with trio.move_on_after(seconds):
        await run_feed(
            Echo(health), route or Route("ws://echo"), sink, dial=exchange.dial, chance=random.Random(1)
        )
    return health, heard


@pytest.mark.trio
async def test_lost_connection_is_opened_again(autojump_clock: trio.testing.MockClock) -> None:
    first, second = Line(['"a"'], lasts_seconds=1), Line(['"b"'])
    health, heard = await listen(Exchange(first, second), 5)
    assert heard == ["a", "gone", "b", "gone"]
    assert (first.sent, second.sent) == (["hello"], ["hello"])
    assert (health.retries, health.messages, health.error) == (1, 2, None)
    assert health.state(0) is FeedState.STOPPED


@pytest.mark.trio
async def test_a_feed_that_is_ended_leaves_nothing_shown_as_live_and_nothing_owed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    health, heard = FeedHealth("echo", "echo"), list[Event]()
    health.subscription("depth").owe(0)
    with trio.move_on_after(5):
        await run_feed(
            Echo(health),
            Route("ws://echo"),
            lambda event, received_ns: heard.append(event),
            dial=Exchange(Line([])).dial,
        )
    assert heard == [FAREWELL]
    assert health.subscription("depth").owed_ns is None


@pytest.mark.trio
async def test_pauses_grow_to_a_bound(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange(None)
    health, _ = await listen(exchange, 3_600)
    pauses = [later - earlier for earlier, later in zip(exchange.dialled, exchange.dialled[1:], strict=False)]
    assert max(pauses[:3]) <= 2
    assert max(pauses) <= BACKOFF_LIMIT_SECONDS
    assert len(pauses) > 3_600 / BACKOFF_LIMIT_SECONDS
    assert health.error == "echo can't be reached: refused"


@pytest.mark.trio
async def test_connection_that_lasted_starts_the_pauses_over(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange(None, None, None, None, None, Line([], lasts_seconds=61), Line([]))
    await listen(exchange, 300)
    assert exchange.dialled[6] == exchange.dialled[5] + 61


@pytest.mark.trio
async def test_quiet_venue_that_answers_pings_is_kept(autojump_clock: trio.testing.MockClock) -> None:
    line = Line(['"a"'])
    exchange = Exchange(line)
    await listen(exchange, 600)
    assert len(exchange.dialled) == 1
    assert line.pings == pytest.approx(600 / SILENCE_SECONDS, abs=2)


@pytest.mark.trio
async def test_silent_venue_without_pongs_is_left(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange(Line([], answers_pings=False), Line(['"b"']))
    health, heard = await listen(exchange, 60)
    assert heard == ["gone", "b", "gone"]
    assert exchange.dialled[1] <= 3 * SILENCE_SECONDS + 1
    assert health.retries == 1


@pytest.mark.trio
async def test_dialect_may_leave_a_connection(autojump_clock: trio.testing.MockClock) -> None:
    exchange = Exchange(Line(['"!leave"']), Line(['"b"']))
    _, heard = await listen(exchange, 5)
    assert heard == ["!leave", "gone", "b", "gone"]


@pytest.mark.trio
async def test_venue_that_leaves_a_subscription_unanswered_is_left(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "unanswered", 1)
    exchange = Exchange(Line([]))
    health, _ = await listen(exchange, ANSWER_SECONDS + 2 * JUDGE_SECONDS + BACKOFF_SECONDS)
    assert len(exchange.dialled) == 2
    assert exchange.dialled[1] - exchange.dialled[0] > ANSWER_SECONDS
    assert health.retries == 1


@pytest.mark.trio
async def test_old_connection_is_renewed(autojump_clock: trio.testing.MockClock, monkeypatch: Any) -> None:
    monkeypatch.setattr(Echo, "lifetime_seconds", 100.0)
    exchange = Exchange(Line([]))
    await listen(exchange, 350)
    assert exchange.dialled == pytest.approx([0, 100, 200, 300], abs=1)


@pytest.mark.trio
async def test_fills_that_were_looked_up_are_all_told_in_turns_though_the_connection_ends(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "pace_seconds", 0.0)
    found = [order_fill(f"f{number}") for number in range(5)]
    told: list[str] = []

    async def fetch(market: str) -> list[Event]:
        await trio.lowlevel.checkpoint()
        return [*found]

    def sink(event: Event, received_ns: int) -> None:
        assert isinstance(event, OrderFill | MarketListed)
        told.append(event.fill_id if isinstance(event, OrderFill) else event.market)
        time.sleep(2 * SLICE_NS / 1e9)

    exchange = Exchange(Line(['"!fetch"', *('"a"' for _ in range(12))], lasts_seconds=0), Line([]))
    with trio.move_on_after(1):
        route = Route("ws://echo", fetch=fetch)
        await run_feed(Echo(FeedHealth("echo", "echo")), route, sink, dial=exchange.dial)
    assert [name for name in told if name.startswith("f")] == [fill.fill_id for fill in found]
    assert "a" in told[told.index("f0") : told.index("f4")]
    assert told.index("f4") < told.index("gone")


@pytest.mark.trio
async def test_failed_fetch_is_said_and_tried_again_with_pauses(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[float] = []

    async def fetch(market: str) -> list[Event]:
        await trio.lowlevel.checkpoint()
        asked.append(trio.current_time())
        if len(asked) < 4:
            raise FeedError("not yet")
        return [MarketListed("echo", f"{market} fetched", 0, 0)]

    route = Route("ws://echo", fetch=fetch)
    health, heard = await listen(Exchange(Line(['"!fetch"'])), 60, route)
    assert heard == ["!fetch", "X fetched", "gone"]
    assert len(asked) == 4
    assert "echo: look-up failed: X: not yet" in caplog.text
    assert health.error is None


@pytest.mark.trio
async def test_messages_are_paced(autojump_clock: trio.testing.MockClock) -> None:
    sent: list[float] = []

    class Watched(Line):
        async def send_message(self, message: str) -> None:
            await trio.lowlevel.checkpoint()
            sent.append(trio.current_time())

    class Chatty(Echo):
        pace_seconds = 0.25

        def connect(self) -> list[Event]:
            self.commands.extend(Send(str(number)) for number in range(20))
            return []

    exchange = Exchange(Watched([]))
    with trio.move_on_after(30):
        await run_feed(
            Chatty(FeedHealth("echo", "echo")), Route("ws://echo"), lambda *_: None, dial=exchange.dial
        )
    assert len(sent) == 20
    assert all(sum(start <= at < start + 1 for at in sent) <= 4 for start in sent)


@pytest.mark.trio
async def test_what_is_not_the_venues_fault_ends_the_program(autojump_clock: trio.testing.MockClock) -> None:
    def broken(event: Event, received_ns: int) -> None:
        if event != FAREWELL:
            raise RuntimeError("ours")

    exchange = Exchange(Line(['"a"']))
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="ours"), flatten_subgroups=True):
        await run_feed(Echo(FeedHealth("echo", "echo")), Route("ws://echo"), broken, dial=exchange.dial)


@given(st.integers(1, 10_000), st.integers())
def test_pause_is_never_above_its_bound(failures: int, seed: int) -> None:
    assert (
        0
        <= backoff_seconds(failures, random.Random(seed))
        <= min(BACKOFF_LIMIT_SECONDS, 0.5 * 2 ** min(failures, 10))
    )


def test_no_pause_without_failure() -> None:
    assert backoff_seconds(0, random.Random(1)) == 0
