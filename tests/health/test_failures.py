from monitor.health.failures import FAILURES_KEPT, WINDOW_SECONDS, Failure, Failures


def test_failures_of_the_last_minute_are_told() -> None:
    failures = Failures()
    for at_ns in (0, 1, (WINDOW_SECONDS * 1_000_000_000)):
        failures.add(Failure(at_ns, "3008 slow", "user ann"))
    assert [failure.at_ns for failure in failures.since((WINDOW_SECONDS * 1_000_000_000) + 1)] == [
        1,
        (WINDOW_SECONDS * 1_000_000_000),
    ]


def test_a_storm_of_failures_keeps_the_last_thousand() -> None:
    failures = Failures()
    for at_ns in range(3 * FAILURES_KEPT):
        failures.add(Failure(at_ns, "3008 slow", "user ann"))
    assert [failure.at_ns for failure in failures.since(0)] == list(
        range(2 * FAILURES_KEPT, 3 * FAILURES_KEPT)
    )


def test_seconds_that_had_any_are_those_of_the_last_minute() -> None:
    failures = Failures()
    for second in range(WINDOW_SECONDS + 1):
        for _ in range(second % 2):
            failures.add(Failure(0, "1006", "ann"))
            failures.add(Failure(0, "1006", "ann"))
        failures.end_second()
    assert failures.seconds == WINDOW_SECONDS // 2
    failures.add(Failure(0, "1006", "ann"))
    assert failures.seconds == WINDOW_SECONDS // 2 + 1
