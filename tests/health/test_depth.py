from monitor.health.depth import LaneMeter


def test_a_peak_between_two_looks_is_kept() -> None:
    lane = LaneMeter()
    lane.add(120, 6_000)
    lane.remove(120, 6_000)
    lane.end_second()
    assert (lane.depth, lane.bytes) == (0, 0)
    assert lane.history == [0] * 59 + [120]


def test_what_still_waits_is_the_next_seconds_peak() -> None:
    lane = LaneMeter()
    lane.add(7, 700)
    lane.end_second()
    lane.remove(6, 600)
    lane.end_second()
    lane.end_second()
    assert lane.history[-3:] == [7, 7, 1]


def test_the_peak_is_that_of_the_last_minute_and_of_this_second() -> None:
    lane = LaneMeter()
    lane.add(9, 9)
    lane.remove(9, 9)
    assert lane.peak == 9
    for _ in range(60):
        lane.end_second()
    assert lane.peak == 9
    lane.end_second()
    assert lane.peak == 0


def test_the_history_is_a_minute_however_long_it_runs() -> None:
    lane = LaneMeter()
    for second in range(100):
        lane.add(second, second)
        lane.remove(second, second)
        lane.end_second()
    assert lane.history == list(range(40, 100))
