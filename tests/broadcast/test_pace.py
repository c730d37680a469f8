from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast.pace import BURST_SECONDS, LEAST_WAIT_SECONDS, Budget, Pace

_rates = st.floats(0.5, 10_000)
_frames = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5_000)), min_size=1, max_size=60)


@given(_rates, _rates, _frames)
def test_over_time_no_more_is_sent_than_the_budget_and_one_burst(
    messages: float, size: float, frames: list[tuple[int, int]]
) -> None:
    pace, now = Pace(Budget(messages, size), 0.0), 0.0
    for count, length in frames:
        now += pace.seconds_until(now)
        pace.spend(count, length, now)
    now += pace.seconds_until(now)
    allowed = now + BURST_SECONDS + LEAST_WAIT_SECONDS * (len(frames) + 1)
    assert sum(count for count, _ in frames) <= messages * allowed * 1.000001
    assert sum(length for _, length in frames) <= size * allowed * 1.000001


def test_an_unlimited_side_never_waits() -> None:
    pace = Pace(Budget(messages_per_second=0, bytes_per_second=100), 0.0)
    pace.spend(1_000_000, 25, 0.0)
    assert pace.seconds_until(0.0) == 0
    pace.spend(0, 100, 0.0)
    assert pace.seconds_until(0.0) == 1.0
    assert not Budget()
