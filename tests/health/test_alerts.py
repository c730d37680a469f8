from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.health.alerts import (
    CLEAR_MS,
    FAST_MS,
    FAST_SAMPLES,
    KEPT,
    SAID_MS,
    SLOW_MS,
    SLOW_SAMPLES,
    Alert,
    Alerts,
    Finding,
    Severity,
    Turn,
    UnknownAlert,
)

SAMPLE_MS = 250
RAISE_MS = FAST_SAMPLES * SAMPLE_MS
"""Of what is bad without a break."""
WALL_MS = 1_700_000_000_000


def deep(value: float = 200, severity: Severity = Severity.WARNING, name: str = "depth:normal") -> Finding:
    return Finding(name, severity, f"{value:g} messages wait", value, 100)


class Shift:
    """Samples alerts four times a second on a clock of its own."""

    def __init__(self) -> None:
        self.alerts = Alerts()
        self.now_ms = 0
        self.changes = 0
        self.turns: list[tuple[Turn, int]] = []
        """Each with the time it was told at."""
        self.alerts.listeners.append(lambda turn, alert: self.turns.append((turn, self.now_ms)))

    def sample(self, *findings: Finding, milliseconds: int = SAMPLE_MS) -> None:
        for _ in range(milliseconds // SAMPLE_MS):
            self.changes += self.alerts.update(findings, self.now_ms, WALL_MS + self.now_ms)
            self.now_ms += SAMPLE_MS

    def raise_one(self, finding: Finding) -> Alert:
        self.sample(finding, milliseconds=RAISE_MS)
        return self.alerts.active()[0]

    def told(self) -> list[Turn]:
        return [turn for turn, _ in self.turns]


def test_one_bad_second_raises_nothing() -> None:
    shift = Shift()
    shift.sample(deep(1_000, Severity.CRITICAL), milliseconds=1_000)
    shift.sample(milliseconds=2 * SLOW_MS)
    assert shift.alerts.all() == []
    assert shift.changes == 0


def test_what_stays_bad_is_raised_with_its_time_and_since_when_it_is_so() -> None:
    shift = Shift()
    shift.sample(milliseconds=60_000)
    alert = shift.raise_one(deep(200))
    assert alert == Alert(
        id=1,
        name="depth:normal",
        severity=Severity.WARNING,
        message="200 messages wait",
        value=200,
        limit=100,
        since=WALL_MS + 60_000,
        raised=WALL_MS + 60_000 + RAISE_MS - SAMPLE_MS,
    )
    assert shift.changes == 1


def test_what_is_bad_half_of_the_time_is_raised_in_ten_seconds() -> None:
    shift = Shift()
    for _ in range(FAST_SAMPLES):
        shift.sample(deep())
        shift.sample()
    assert [alert.raised for alert in shift.alerts.active()] == [WALL_MS + FAST_MS - 2 * SAMPLE_MS]


def test_a_slow_burn_is_raised_in_the_end() -> None:
    shift = Shift()
    bad_seconds = 0
    while not shift.alerts.active():
        shift.sample(deep(), milliseconds=1_000)
        shift.sample(milliseconds=7_000)
        bad_seconds += 1
    assert bad_seconds * 1_000 == SLOW_SAMPLES * SAMPLE_MS
    (alert,) = shift.alerts.active()
    assert alert.since == WALL_MS


def test_a_bad_second_every_twelve_raises_nothing() -> None:
    shift = Shift()
    for _ in range(100):
        shift.sample(deep(), milliseconds=1_000)
        shift.sample(milliseconds=11_000)
    assert shift.alerts.all() == []


def test_an_alert_clears_only_after_it_has_been_fine_for_a_while() -> None:
    shift = Shift()
    shift.raise_one(deep())
    last_bad_ms = shift.now_ms - SAMPLE_MS
    shift.sample(milliseconds=CLEAR_MS - SAMPLE_MS)
    assert len(shift.alerts.active()) == 1
    shift.sample()
    assert shift.alerts.active() == []
    assert shift.alerts.all()[0].cleared == WALL_MS + last_bad_ms + CLEAR_MS
    assert shift.told() == [Turn.RAISED, Turn.CLEARED]


def test_a_bad_sample_while_it_is_fine_starts_the_wait_again() -> None:
    shift = Shift()
    shift.raise_one(deep())
    for _ in range(20):
        shift.sample(milliseconds=CLEAR_MS - SAMPLE_MS)
        shift.sample(deep())
    assert len(shift.alerts.active()) == 1
    assert len(shift.alerts.all()) == 1


def test_an_alert_says_how_things_are_and_once_it_is_over_how_bad_they_were() -> None:
    shift = Shift()
    shift.raise_one(deep(200))
    shift.sample(deep(900))
    shift.sample(deep(150), milliseconds=SAID_MS)
    (alert,) = shift.alerts.active()
    assert (alert.message, alert.value) == ("150 messages wait", 150)
    shift.sample(milliseconds=CLEAR_MS)
    (alert,) = shift.alerts.all()
    assert alert.message == "900 messages wait (at its worst, 2023-11-14 22:13:25Z)"
    assert alert.value == 900


def test_words_of_an_alert_stand_for_a_while_however_often_they_would_change() -> None:
    shift = Shift()
    shift.raise_one(deep(200))
    for depth in range(201, 201 + 4 * SAID_MS // SAMPLE_MS):
        shift.sample(deep(depth))
    assert shift.changes == 1 + 4


def test_an_alert_that_worsens_says_at_once_what_is_critical_though_it_was_deeper_before() -> None:
    shift = Shift()
    shift.raise_one(deep(900))
    critical = Finding("depth:normal", Severity.CRITICAL, "for a whole minute", 300, 100)
    shift.sample(critical, milliseconds=RAISE_MS)
    assert shift.told() == [Turn.RAISED, Turn.WORSENED]
    assert shift.alerts.active()[0].message == "for a whole minute"
    shift.sample(milliseconds=CLEAR_MS)
    assert shift.alerts.all()[0].message.startswith("for a whole minute (at its worst, ")


def test_an_alert_without_a_value_says_what_was_found_last() -> None:
    shift = Shift()
    shift.raise_one(Finding("feed:binance", Severity.WARNING, "binance is stale"))
    shift.sample(Finding("feed:binance", Severity.WARNING, "binance is retrying"), milliseconds=SAID_MS)
    assert shift.alerts.active()[0].message == "binance is retrying"


def test_severity_rises_and_falls_under_the_same_waits_without_a_new_alert() -> None:
    shift = Shift()
    first = shift.raise_one(deep(200))
    critical = deep(2_000, Severity.CRITICAL)
    shift.sample(critical, milliseconds=RAISE_MS - SAMPLE_MS)
    assert shift.alerts.active()[0].severity is Severity.WARNING
    shift.sample(critical)
    assert shift.alerts.active()[0].severity is Severity.CRITICAL
    shift.sample(deep(200), milliseconds=CLEAR_MS - SAMPLE_MS)
    assert shift.alerts.active()[0].severity is Severity.CRITICAL
    shift.sample(deep(200))
    assert shift.alerts.active()[0].severity is Severity.WARNING
    assert [alert.id for alert in shift.alerts.all()] == [first.id]
    assert shift.told() == [Turn.RAISED, Turn.WORSENED]


def test_what_stays_the_same_is_no_change() -> None:
    shift = Shift()
    shift.raise_one(deep())
    shift.sample(deep(), milliseconds=60_000)
    assert shift.changes == 1


def test_names_are_raised_and_cleared_each_for_itself_newest_first() -> None:
    shift = Shift()
    shift.raise_one(deep(name="depth:low"))
    shift.sample(deep(name="depth:low"), deep(name="loop_lag"), milliseconds=RAISE_MS)
    assert [alert.name for alert in shift.alerts.active()] == ["loop_lag", "depth:low"]
    shift.sample(deep(name="loop_lag"), milliseconds=CLEAR_MS)
    assert [alert.name for alert in shift.alerts.active()] == ["loop_lag"]
    assert [alert.name for alert in shift.alerts.all()] == ["loop_lag", "depth:low"]


def test_critical_ones_come_before_newer_warnings_and_what_is_over_last() -> None:
    shift = Shift()
    shift.raise_one(deep(name="depth:low"))
    critical = deep(2_000, Severity.CRITICAL, "depth:high")
    shift.sample(critical, milliseconds=CLEAR_MS)
    shift.sample(critical, deep(name="depth:normal"), deep(name="loop_lag"), milliseconds=RAISE_MS)
    names = [alert.name for alert in shift.alerts.all()]
    assert names[0] == "depth:high"
    assert set(names[1:3]) == {"depth:normal", "loop_lag"}
    assert names[3:] == ["depth:low"]


def test_only_the_last_hundred_cleared_ones_are_kept() -> None:
    shift = Shift()
    for _ in range(KEPT + 5):
        shift.raise_one(deep())
        shift.sample(milliseconds=CLEAR_MS)
    ids = [alert.id for alert in shift.alerts.all()]
    assert ids == list(range(KEPT + 5, 5, -1))


def test_an_acknowledged_alert_says_so_until_the_next_one_of_its_name() -> None:
    shift = Shift()
    alert = shift.raise_one(deep())
    assert shift.alerts.acknowledge(alert.id).acknowledged
    shift.sample(deep())
    assert shift.changes == 2
    shift.sample(milliseconds=CLEAR_MS)
    shift.raise_one(deep())
    assert [each.acknowledged for each in shift.alerts.all()] == [False, True]


def test_what_was_seen_as_a_warning_calls_again_as_critical() -> None:
    shift = Shift()
    alert = shift.raise_one(deep())
    shift.alerts.acknowledge(alert.id)
    shift.sample(deep(2_000, Severity.CRITICAL), milliseconds=RAISE_MS)
    assert [(each.severity, each.acknowledged) for each in shift.alerts.active()] == [
        (Severity.CRITICAL, False)
    ]


def test_end_of_a_silence_that_is_none_tells_nobody() -> None:
    shift = Shift()
    shift.raise_one(deep())
    shift.sample(milliseconds=CLEAR_MS)
    shift.raise_one(deep())
    told = len(shift.told())
    shift.alerts.silence("depth:normal", None)
    assert len(shift.told()) == told


def test_only_an_active_alert_can_be_acknowledged() -> None:
    shift = Shift()
    alert = shift.raise_one(deep())
    shift.sample(milliseconds=CLEAR_MS)
    with pytest.raises(UnknownAlert, match="no alert 1 is active"):
        shift.alerts.acknowledge(alert.id)


def test_a_silence_ends_by_itself_and_then_says_what_goes_on() -> None:
    shift = Shift()
    shift.raise_one(deep())
    until_ms = WALL_MS + shift.now_ms + 60_000
    shift.alerts.silence("depth:normal", until_ms)
    shift.sample(deep(), milliseconds=60_000)
    assert shift.alerts.silenced_until("depth:normal") == until_ms
    assert shift.told() == [Turn.RAISED]
    shift.sample(deep())
    assert shift.alerts.silenced_until("depth:normal") is None
    assert shift.told() == [Turn.RAISED, Turn.RAISED]
    assert shift.changes == 3


def test_a_silence_can_be_taken_back_and_needs_a_name_that_was_heard() -> None:
    shift = Shift()
    with pytest.raises(UnknownAlert, match="no alert is named 'depth:normal'"):
        shift.alerts.silence("depth:normal", WALL_MS)
    shift.raise_one(deep())
    shift.alerts.silence("depth:normal", WALL_MS + 60_000)
    shift.alerts.silence("depth:normal", None)
    assert shift.alerts.silenced_until("depth:normal") is None


Bad = list[Severity | None]
BAD = st.lists(
    st.tuples(st.sampled_from([None, Severity.WARNING, Severity.CRITICAL]), st.integers(1, 150)), max_size=12
).map(lambda spells: [severity for severity, samples in spells for _ in range(samples)])
"""Spells of up to 37 s each."""


def run(samples: Bad) -> Shift:
    shift = Shift()
    for severity in samples:
        shift.sample(*([] if severity is None else [deep(severity=severity)]))
    return shift


@settings(deadline=None)
@given(BAD)
def test_no_alert_flaps_faster_than_its_hysteresis(samples: Bad) -> None:
    shift = run(samples)
    raised_ms = [at_ms for turn, at_ms in shift.turns if turn is Turn.RAISED]
    cleared_ms = [at_ms for turn, at_ms in shift.turns if turn is Turn.CLEARED]
    worsened_ms = [at_ms for turn, at_ms in shift.turns if turn is Turn.WORSENED]
    assert all(cleared - raised >= CLEAR_MS for raised, cleared in zip(raised_ms, cleared_ms, strict=False))
    assert all(
        raised - cleared >= RAISE_MS for cleared, raised in zip(cleared_ms, raised_ms[1:], strict=False)
    )
    assert all(after - before >= CLEAR_MS for before, after in pairwise(worsened_ms))


def _is_burning(signs: Sequence[bool]) -> bool:
    fast, slow = signs[-FAST_MS // SAMPLE_MS :], signs[-SLOW_MS // SAMPLE_MS :]
    return signs[-1] and (sum(fast) >= FAST_SAMPLES or sum(slow) >= SLOW_SAMPLES)


@settings(deadline=None, max_examples=50)
@given(BAD)
def test_an_alert_is_raised_when_and_only_when_a_window_burns(samples: Bad) -> None:
    signs = [severity is not None for severity in samples]
    first = next((at for at in range(len(signs)) if _is_burning(signs[: at + 1])), None)
    raised = [at_ms for turn, at_ms in run(samples).turns if turn is Turn.RAISED]
    assert raised[:1] == ([] if first is None else [first * SAMPLE_MS])
