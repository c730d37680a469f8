from hypothesis import example, given
from hypothesis import strategies as st

from monitor.config import Lane
from monitor.health.kind import Delay, KindMeter, Stages

durations = st.integers(0, 10**9)
stages = st.builds(Stages, durations, durations, durations, durations)
quarter_seconds = st.lists(st.lists(stages, max_size=3), min_size=1, max_size=260)


def written_after(latency_ns: int) -> Stages:
    return Stages(0, 0, 0, latency_ns)


def test_late_is_what_took_longer_than_the_threshold() -> None:
    kind = KindMeter("order_fill", Lane.IMMEDIATE, 10)
    for latency_ns in (9_999_999, 10_000_000, 10_000_001):
        kind.record(written_after(latency_ns))
    assert kind.late == 1


def test_without_a_threshold_nothing_is_late() -> None:
    kind = KindMeter("analytics", Lane.LOW, None)
    kind.record(written_after(60_000_000_000))
    assert kind.late == 0


@given(quarter_seconds)
@example([[Stages(0, 0, 0, 1)], *([[]] * 239)])
def test_the_stages_of_a_window_are_those_that_were_recorded_within_it(
    by_quarter_second: list[list[Stages]],
) -> None:
    kind = KindMeter("trade", Lane.NORMAL, 100)
    for recorded in by_quarter_second:
        for each in recorded:
            kind.record(each)
        kind.rotate()
    for window, quarters in (
        (kind.last_10s(), by_quarter_second[-40:]),
        (kind.last_minute(), by_quarter_second[-240:]),
        (kind.since_start(), by_quarter_second),
    ):
        within = [each for recorded in quarters for each in recorded]
        assert window.stages == tuple(sum(column) for column in zip(Stages(0, 0, 0, 0), *within, strict=True))
        assert window.latency.count == len(within)


@given(quarter_seconds)
def test_the_worst_client_of_a_window_is_the_one_that_waited_longest(
    by_quarter_second: list[list[Stages]],
) -> None:
    kind = KindMeter("trade", Lane.NORMAL, 100)
    for second, recorded in enumerate(by_quarter_second):
        for each in recorded:
            kind.record_client(f"client {second}", each)
        kind.rotate()
    for window, quarters in (
        (kind.last_10s(), by_quarter_second[-40:]),
        (kind.last_minute(), by_quarter_second[-240:]),
        (kind.since_start(), by_quarter_second),
    ):
        longest_ns = max((sum(each) for recorded in quarters for each in recorded), default=0)
        assert (window.worst.latency_ns if window.worst else 0) == longest_ns


def test_the_worst_client_is_named_with_the_stage_that_cost_most() -> None:
    kind = KindMeter("trade", Lane.NORMAL, 100)
    kind.record_client("a", Stages(1, 20, 3, 4))
    kind.record_client("b", Stages(1, 2, 3, 4))
    kind.rotate()
    assert kind.last_10s().worst == Delay(28, "a", "wait")
