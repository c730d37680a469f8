"""The date that the journal's age goes by, whatever is done to the clock."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.health.latency import NS_PER_MS
from monitor.storage.calendar import DAY_MS, Calendar

START_MS = 1_700_000_000_000
YEAR_MS = 365 * DAY_MS
LOOK_MS = 5_000


def look(calendar: Calendar, after_ms: int, leap_ms: int) -> int:
    """At the date it should be, less the start, so long after it, with a clock that is so far ahead."""
    return calendar.look(START_MS + after_ms + leap_ms, after_ms * NS_PER_MS) - START_MS


def test_clock_that_goes_on_is_believed() -> None:
    calendar = Calendar(START_MS, 0)
    assert [look(calendar, ms, 0) for ms in (0, 7, 5_000)] == [0, 7, 5_000]
    assert look(calendar, 10_000, -30) == 9_970


def test_server_that_was_off_for_less_than_a_day_believes_the_clock_at_once() -> None:
    assert look(Calendar(START_MS, 0), 0, DAY_MS) == DAY_MS


def test_leap_forward_is_believed_once_it_has_stood_for_a_day() -> None:
    calendar = Calendar(START_MS, 0)
    for after_ms in range(0, DAY_MS, 3_600_000):
        assert look(calendar, after_ms, YEAR_MS) == after_ms
    assert look(calendar, DAY_MS, YEAR_MS) == DAY_MS + YEAR_MS
    assert look(calendar, DAY_MS + 1, YEAR_MS) == DAY_MS + YEAR_MS + 1


def test_leap_that_is_taken_back_was_never_believed() -> None:
    calendar = Calendar(START_MS, 0)
    assert look(calendar, DAY_MS // 2, YEAR_MS) == DAY_MS // 2
    assert look(calendar, DAY_MS // 2 + 1, 0) == DAY_MS // 2 + 1
    assert look(calendar, DAY_MS, YEAR_MS) == DAY_MS


def test_clock_that_is_set_back_is_believed_and_coming_back_is_a_leap() -> None:
    calendar = Calendar(START_MS, 0)
    assert look(calendar, LOOK_MS, -YEAR_MS) == LOOK_MS - YEAR_MS
    assert look(calendar, 2 * LOOK_MS, 0) == 2 * LOOK_MS - YEAR_MS


leaps = st.sampled_from([0, DAY_MS + 1, YEAR_MS])


@given(st.lists(st.tuples(st.integers(0, DAY_MS), leaps), max_size=50))
def test_no_leap_is_believed_before_it_has_been_seen_for_a_day(steps: list[tuple[int, int]]) -> None:
    calendar, after_ms, stood_ms = Calendar(START_MS, 0), 0, None
    for passed_ms, leap_ms in steps:
        after_ms += passed_ms
        date_ms = look(calendar, after_ms, leap_ms)
        stood_ms = None if not leap_ms else 0 if stood_ms is None else stood_ms + passed_ms
        if (stood_ms or 0) >= DAY_MS:
            assert date_ms == after_ms + leap_ms
            return
        assert date_ms == after_ms
