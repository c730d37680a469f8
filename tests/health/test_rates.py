from monitor.health.rates import NS_PER_SECOND, RateMeter


def test_a_rate_is_the_rise_over_the_time_that_really_passed() -> None:
    meter = RateMeter(4, 0, (0, 10))
    meter.read(2 * NS_PER_SECOND, (100, 10))
    assert meter.per_second() == (50, 0)


def test_readings_older_than_the_span_are_forgotten() -> None:
    meter = RateMeter(2, 0, (1_000,))
    for second in range(1, 4):
        meter.read(second * NS_PER_SECOND, (1_000 + second,))
    assert meter.gained() == (2,)
    assert meter.per_second() == (1,)


def test_before_any_time_has_passed_nothing_has_risen() -> None:
    assert RateMeter(4, 5, (7, 8)).per_second() == (0, 0)
