from types import SimpleNamespace
from typing import Any

from monitor.broadcast.ledger import Ledger
from monitor.health.rates import NS_PER_SECOND
from monitor.serve.census import FORGOTTEN_NS, REST_FACTOR, Census


class Clock:
    def __init__(self) -> None:
        self.now_ns = 10 * NS_PER_SECOND

    def __call__(self) -> int:
        return self.now_ns


def channel(published: int) -> Any:
    return SimpleNamespace(name="trades:all", published=published)


def session(clock: Clock, sent: int) -> Any:
    """A client whose ledgers take a millisecond to settle."""

    def settle() -> None:
        clock.now_ns += NS_PER_SECOND // 1_000

    return SimpleNamespace(
        client=SimpleNamespace(settle=settle, ledgers={"trades:all": Ledger(sent, 0, sent)})
    )


def test_rate_is_known_from_the_second_look_on_and_spans_at_least_a_second() -> None:
    clock = Clock()
    census = Census(clock)
    census.read_rates([channel(100)])
    assert census.rates == {}
    clock.now_ns += 2 * NS_PER_SECOND
    census.read_rates([channel(150)])
    clock.now_ns += NS_PER_SECOND // 2
    census.read_rates([channel(1_000)])
    assert census.rates == {"trades:all": 25.0}


def test_the_mean_of_the_time_in_which_nobody_looked_is_no_rate() -> None:
    clock = Clock()
    census = Census(clock)
    census.read_rates([channel(100)])
    clock.now_ns += FORGOTTEN_NS
    census.read_rates([channel(1_000)])
    assert census.rates == {}
    clock.now_ns += NS_PER_SECOND
    census.read_rates([channel(1_003)])
    assert census.rates == {"trades:all": 3.0}


def test_a_channel_that_was_forgotten_and_began_again_has_no_rate_yet() -> None:
    clock = Clock()
    census = Census(clock)
    census.read_rates([channel(100)])
    clock.now_ns += NS_PER_SECOND
    census.read_rates([channel(5)])
    assert census.rates == {}
    clock.now_ns += NS_PER_SECOND
    census.read_rates([channel(8)])
    assert census.rates == {"trades:all": 3.0}


def test_sums_rest_a_hundred_times_as_long_as_they_took() -> None:
    clock = Clock()
    census = Census(clock)
    sessions = [session(clock, sent) for sent in (1, 2, 3)]
    assert len(list(census.sum_ledgers(sessions))) == 3
    assert census.ledgers["trades:all"].sent == 6
    clock.now_ns += 3 * REST_FACTOR * NS_PER_SECOND // 1_000 - 1
    assert list(census.sum_ledgers(sessions)) == []
    clock.now_ns += 1
    assert len(list(census.sum_ledgers(sessions))) == 3
