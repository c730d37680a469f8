import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.latency import LatencyMeter, Summary, bucket_of, middle_of

LONGEST_NS = 2**37 - 1
durations = st.integers(min_value=0, max_value=LONGEST_NS)


def rotate_seconds(meter: LatencyMeter, seconds: float) -> None:
    for _ in range(round(seconds * 4)):
        meter.rotate()


@given(durations)
def test_a_bucket_is_within_1_6_percent_of_what_it_counts(duration_ns: int) -> None:
    assert abs(middle_of(bucket_of(duration_ns)) - duration_ns) <= duration_ns / 64


@given(durations, durations)
def test_a_longer_duration_is_never_in_a_lower_bucket(one_ns: int, other_ns: int) -> None:
    shorter_ns, longer_ns = sorted((one_ns, other_ns))
    assert bucket_of(shorter_ns) <= bucket_of(longer_ns)


@given(st.lists(durations, min_size=1, max_size=300))
def test_quantiles_are_those_of_the_sorted_durations(measured_ns: list[int]) -> None:
    meter = LatencyMeter()
    for duration_ns in measured_ns:
        meter.record(duration_ns)
    meter.rotate()
    in_order = sorted(measured_ns)
    summary = meter.since_start.summary()
    for figure_ns, share in (
        (summary.p50_ns, 0.5),
        (summary.p99_ns, 0.99),
        (summary.p999_ns, 0.999),
        (summary.worst_ns, 1),
    ):
        expected_ns = in_order[math.ceil(share * len(in_order)) - 1]
        assert figure_ns == middle_of(bucket_of(expected_ns))


@given(st.lists(durations, max_size=100), durations)
def test_what_is_above_a_limit_is_counted_but_for_the_limits_own_bucket(
    measured_ns: list[int], limit_ns: int
) -> None:
    meter = LatencyMeter()
    for duration_ns in measured_ns:
        meter.record(duration_ns)
    meter.rotate()
    above = sum(bucket_of(duration_ns) > bucket_of(limit_ns) for duration_ns in measured_ns)
    assert meter.since_start.count_above(limit_ns) == above


@given(st.lists(st.lists(st.integers(0, 10**9), max_size=3), max_size=300))
def test_windows_hold_what_was_recorded_within_them(by_quarter_second: list[list[int]]) -> None:
    meter = LatencyMeter()
    for recorded in by_quarter_second:
        for duration_ns in recorded:
            meter.record(duration_ns)
        meter.rotate()
    assert meter.last_10s.count == sum(len(recorded) for recorded in by_quarter_second[-40:])
    assert meter.last_minute.count == sum(len(recorded) for recorded in by_quarter_second[-240:])
    assert meter.since_start.count == sum(len(recorded) for recorded in by_quarter_second)


def test_a_window_that_holds_nothing_has_no_figures() -> None:
    assert LatencyMeter().last_10s.summary() == Summary(0, None, None, None, None)


def test_the_worst_leaves_a_window_with_its_time() -> None:
    meter = LatencyMeter()
    meter.record(500_000_000)
    rotate_seconds(meter, 5)
    meter.record(1_000_000)
    rotate_seconds(meter, 6)
    assert meter.last_10s.summary().worst_ns == middle_of(bucket_of(1_000_000))
    assert meter.last_minute.summary().worst_ns == middle_of(bucket_of(500_000_000))


@pytest.mark.parametrize("duration_ns", [-1, -(2**60), 2**37, 2**80])
def test_durations_out_of_range_count_at_the_nearer_end(duration_ns: int) -> None:
    meter = LatencyMeter()
    meter.record(duration_ns)
    meter.rotate()
    assert meter.since_start.summary().worst_ns == middle_of(bucket_of(0 if duration_ns < 0 else LONGEST_NS))


def test_the_sum_is_within_1_6_percent() -> None:
    meter = LatencyMeter()
    for duration_ns in range(1_000_000, 2_000_000, 1_000):
        meter.record(duration_ns)
    meter.rotate()
    assert meter.since_start.sum_ns() == pytest.approx(sum(range(1_000_000, 2_000_000, 1_000)), rel=1 / 64)
