from hypothesis import given
from hypothesis import strategies as st

from monitor.health.alerts import CLEAR_MS, KEPT, RAISE_MS, Alert, Alerts, Finding, Severity

SAMPLE_MS = 250
WALL_MS = 1_700_000_000_000


def deep(value: float = 200, severity: Severity = Severity.WARNING, name: str = "depth:normal") -> Finding:
    return Finding(name, severity, f"{value:g} messages wait", value, 100)


class Shift:
    """Samples alerts four times a second on a clock of its own."""

    def __init__(self) -> None:
        self.alerts = Alerts()
        self.now_ms = 0
        self.changes = 0

    def sample(self, *findings: Finding, milliseconds: int = SAMPLE_MS) -> None:
        for _ in range(milliseconds // SAMPLE_MS):
            self.changes += self.alerts.update(findings, self.now_ms, WALL_MS + self.now_ms)
            self.now_ms += SAMPLE_MS

    def raise_one(self, finding: Finding) -> Alert:
        self.sample(finding, milliseconds=RAISE_MS + SAMPLE_MS)
        return self.alerts.active()[0]


def test_one_bad_sample_raises_nothing() -> None:
    shift = Shift()
    shift.sample(deep())
    shift.sample(milliseconds=60_000)
    assert shift.alerts.all() == []
    assert shift.changes == 0


def test_bad_samples_with_a_good_one_between_raise_nothing() -> None:
    shift = Shift()
    for _ in range(100):
        shift.sample(deep(), milliseconds=RAISE_MS)
        shift.sample()
    assert shift.alerts.all() == []


def test_what_stays_bad_is_raised_with_its_time() -> None:
    shift = Shift()
    alert = shift.raise_one(deep(200))
    assert alert == Alert(
        id=1,
        name="depth:normal",
        severity=Severity.WARNING,
        message="200 messages wait",
        value=200,
        limit=100,
        raised=WALL_MS + RAISE_MS,
    )
    assert shift.changes == 1


def test_an_alert_clears_only_after_it_has_been_fine_for_a_while() -> None:
    shift = Shift()
    shift.raise_one(deep())
    fine_from_ms = shift.now_ms
    shift.sample(milliseconds=CLEAR_MS)
    assert len(shift.alerts.active()) == 1
    shift.sample()
    assert shift.alerts.active() == []
    assert shift.alerts.all()[0].cleared == WALL_MS + fine_from_ms + CLEAR_MS
    assert shift.changes == 2


def test_a_bad_sample_while_it_is_fine_starts_the_wait_again() -> None:
    shift = Shift()
    shift.raise_one(deep())
    for _ in range(20):
        shift.sample(milliseconds=CLEAR_MS)
        shift.sample(deep())
    assert len(shift.alerts.active()) == 1
    assert len(shift.alerts.all()) == 1


def test_an_alert_keeps_the_worst_that_was_seen() -> None:
    shift = Shift()
    shift.raise_one(deep(200))
    shift.sample(deep(900))
    shift.sample(deep(150))
    assert shift.alerts.active()[0].message == "900 messages wait"
    assert shift.alerts.active()[0].value == 900


def test_an_alert_without_a_value_says_what_was_found_last() -> None:
    shift = Shift()
    shift.raise_one(Finding("feed:binance", Severity.WARNING, "binance is stale"))
    shift.sample(Finding("feed:binance", Severity.WARNING, "binance is retrying"))
    assert shift.alerts.active()[0].message == "binance is retrying"


def test_severity_rises_and_falls_under_the_same_waits_without_a_new_alert() -> None:
    shift = Shift()
    first = shift.raise_one(deep(200))
    shift.sample(deep(2_000, Severity.CRITICAL), milliseconds=RAISE_MS)
    assert shift.alerts.active()[0].severity is Severity.WARNING
    shift.sample(deep(2_000, Severity.CRITICAL))
    assert shift.alerts.active()[0].severity is Severity.CRITICAL
    shift.sample(deep(200), milliseconds=CLEAR_MS)
    assert shift.alerts.active()[0].severity is Severity.CRITICAL
    shift.sample(deep(200))
    assert shift.alerts.active()[0].severity is Severity.WARNING
    assert [alert.id for alert in shift.alerts.all()] == [first.id]


def test_what_stays_the_same_is_no_change() -> None:
    shift = Shift()
    shift.raise_one(deep())
    shift.sample(deep(), milliseconds=60_000)
    assert shift.changes == 1


def test_names_are_raised_and_cleared_each_for_itself_newest_first() -> None:
    shift = Shift()
    shift.raise_one(deep(name="depth:low"))
    shift.sample(deep(name="depth:low"), deep(name="loop_lag"), milliseconds=2 * RAISE_MS)
    assert [alert.name for alert in shift.alerts.active()] == ["loop_lag", "depth:low"]
    shift.sample(deep(name="loop_lag"), milliseconds=CLEAR_MS + SAMPLE_MS)
    assert [alert.name for alert in shift.alerts.active()] == ["loop_lag"]
    assert [alert.name for alert in shift.alerts.all()] == ["loop_lag", "depth:low"]


def test_only_the_last_hundred_cleared_ones_are_kept() -> None:
    shift = Shift()
    for _ in range(KEPT + 5):
        shift.raise_one(deep())
        shift.sample(milliseconds=CLEAR_MS + SAMPLE_MS)
    ids = [alert.id for alert in shift.alerts.all()]
    assert ids == list(range(KEPT + 5, 5, -1))


@given(st.lists(st.sampled_from([None, Severity.WARNING, Severity.CRITICAL]), max_size=200))
def test_an_alert_lasts_at_least_as_long_as_it_takes_to_clear(
    samples: list[Severity | None],
) -> None:
    shift = Shift()
    for severity in samples:
        shift.sample(*([] if severity is None else [deep(severity=severity)]))
    shift.sample(milliseconds=CLEAR_MS + SAMPLE_MS)
    assert shift.alerts.active() == []
    for alert in shift.alerts.all():
        assert alert.cleared is not None
        assert alert.cleared - alert.raised >= CLEAR_MS
