from monitor.health.failures import FAILURES_KEPT, WINDOW_NS, Failure, Failures


def test_failures_of_the_last_minute_are_told() -> None:
    failures = Failures()
    for at_ns in (0, 1, WINDOW_NS):
        failures.add(Failure(at_ns, "3008 slow", "user ann"))
    assert [failure.at_ns for failure in failures.since(WINDOW_NS + 1)] == [1, WINDOW_NS]


def test_a_storm_of_failures_keeps_the_last_thousand() -> None:
    failures = Failures()
    for at_ns in range(3 * FAILURES_KEPT):
        failures.add(Failure(at_ns, "3008 slow", "user ann"))
    assert [failure.at_ns for failure in failures.since(0)] == list(
        range(2 * FAILURES_KEPT, 3 * FAILURES_KEPT)
    )
