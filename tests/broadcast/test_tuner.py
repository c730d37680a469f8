"""Tuning against simulated plants: what it does about a pressure, and that it never oscillates."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.broadcast.tuner import (
    BARRED_SECONDS,
    LOOKS,
    NOTCHES,
    REST_SECONDS,
    WINDOW_SECONDS,
    Change,
    Pressure,
    Tuner,
)
from monitor.config import Cadence

CADENCE = Cadence(tick_ms=20, tick_messages=500, compression_from_bytes=0, compression_level=5)
STEP_SECONDS = WINDOW_SECONDS + REST_SECONDS

Plant = Callable[[Cadence], list[Pressure]]
Timed = tuple[int, Change]


def run(plant: Plant, cadence: Cadence = CADENCE, *, seconds: int = 300) -> tuple[Tuner, list[Timed]]:
    tuner, changes = Tuner(cadence), []
    for second in range(seconds):
        change = tuner.judge(plant(tuner.cadence), second)
        if change is not None:
            changes.append((second, change))
    return tuner, changes


def pressure(stage: str, load: float, subject: str = "trade") -> Pressure:
    return Pressure(subject, stage, load, f"{subject}: {load:.0%} of its limit")


def moves(changes: list[Timed]) -> list[tuple[str, int, int]]:
    return [(change.knob, change.before, change.after) for _, change in changes if change.helped is None]


def test_below_80_percent_nothing_moves() -> None:
    tuner, changes = run(lambda cadence: [pressure("wait", 0.79)])
    assert (tuner.cadence, changes) == (CADENCE, [])


def test_a_tick_that_is_too_long_is_shortened_notch_by_notch_until_it_is_well() -> None:
    tuner, changes = run(
        lambda cadence: [pressure("wait", (cadence.tick_ms + 8) / 100)], replace(CADENCE, tick_ms=100)
    )
    assert moves(changes) == [("tick_ms", 100, 75), ("tick_ms", 75, 50)]
    assert tuner.cadence == replace(CADENCE, tick_ms=50)
    assert changes[0][0] == LOOKS - 1
    assert [second for second, _ in changes[1:]] == [LOOKS - 1 + n for n in (20, 30, 50)]


def test_a_compressor_that_is_too_heavy_works_less() -> None:
    tuner, _ = run(
        lambda cadence: [pressure("encode", cadence.compression_level * 0.12)],
        replace(CADENCE, compression_level=9),
    )
    assert tuner.cadence.compression_level == 5


def test_too_many_writes_become_fewer_and_larger() -> None:
    tuner, _ = run(lambda cadence: [pressure("write", 20 / cadence.tick_ms)])
    assert tuner.cadence == replace(CADENCE, tick_ms=35)


def test_too_many_bytes_are_compressed_harder_and_gathered_longer() -> None:
    def plant(cadence: Cadence) -> list[Pressure]:
        ratio = 1 - 0.03 * cadence.compression_level
        return [pressure("bytes", 1.1 * ratio * (20 / cadence.tick_ms) ** 0.3 / 0.85, "bytes")]

    tuner, changes = run(plant)
    assert tuner.cadence.compression_level > CADENCE.compression_level
    assert tuner.cadence.tick_ms > CADENCE.tick_ms
    assert all(change.helped is not False for _, change in changes)


@pytest.mark.parametrize("stage", ["wait", "encode", "write", "bytes"])
def test_what_nothing_helps_ends_where_it_began_and_is_left_alone_for_long(stage: str) -> None:
    tuner, changes = run(lambda cadence: [pressure(stage, 1.2)], seconds=BARRED_SECONDS)
    assert tuner.cadence == CADENCE
    tried = [(knob, before < after) for knob, before, after in moves(changes)]
    assert len(tried) == len(set(tried)) <= 3
    assert [change.helped for _, change in changes] == [None, False] * len(tried)


def test_what_the_venue_takes_has_no_remedy() -> None:
    assert run(lambda cadence: [pressure("receive", 2.0)])[1] == []


def test_a_step_that_makes_something_else_worse_is_taken_back() -> None:
    def plant(cadence: Cadence) -> list[Pressure]:
        return [
            pressure("write", 18 / cadence.tick_ms, "order_fill"),
            pressure("wait", cadence.tick_ms / 30, "trade"),
        ]

    tuner, changes = run(plant)
    assert tuner.cadence.tick_ms == CADENCE.tick_ms
    assert ("tick_ms", 20, 35) in moves(changes)


def test_one_bad_second_moves_nothing() -> None:
    tuner = Tuner(CADENCE)
    for second in range(100):
        load = 3.0 if second % 10 == 0 else 0.5
        assert tuner.judge([pressure("wait", load)], second) is None


def test_compression_that_is_off_stays_off() -> None:
    tuner, changes = run(lambda cadence: [pressure("bytes", 1.5)], replace(CADENCE, compression_level=0))
    assert {knob for knob, _, _ in moves(changes)} == {"tick_ms"}
    assert tuner.cadence.compression_level == 0


def test_what_was_reverted_is_not_done_again_for_long() -> None:
    tuner = Tuner(replace(CADENCE, tick_ms=100))
    plant: Plant = lambda cadence: [pressure("wait", cadence.tick_ms / 100)]  # noqa: E731
    for second in range(60):
        tuner.judge(plant(tuner.cadence), second)
    assert tuner.cadence.tick_ms == 75
    tuner.revert(replace(CADENCE, tick_ms=100), 60)
    later = [tuner.judge(plant(tuner.cadence), second) for second in range(60, 60 + BARRED_SECONDS)]
    assert ("tick_ms", 75) not in [(change.knob, change.after) for change in later if change]


def turn_rounds(changes: list[Timed], knob: str) -> list[int]:
    """When a setting moved against its last move."""
    turned, last = [], 0
    for second, change in changes:
        if change.knob != knob or change.helped is True:
            continue
        direction = change.after - change.before if change.helped is None else change.before - change.after
        if direction * last < 0:
            turned.append(second)
        last = direction
    return turned


def assert_no_oscillation(changes: list[Timed]) -> None:
    for knob in NOTCHES:
        turned = turn_rounds(changes, knob)
        fourths = zip(turned, turned[3:], strict=False)
        assert all(later - second >= BARRED_SECONDS for second, later in fourths)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["wait", "encode", "write"]), st.floats(0, 2), st.floats(0, 2), st.integers(1, 90)
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=40)
def test_whatever_is_measured_no_setting_turns_round_more_than_three_times_in_ten_minutes(
    phases: list[tuple[str, float, float, int]],
) -> None:
    tuner, changes, second = Tuner(CADENCE), [], 0
    for stage, load, byte_load, seconds in phases:
        for _ in range(seconds):
            second += 1
            found = [pressure(stage, load), pressure("bytes", byte_load, "bytes")]
            if (change := tuner.judge(found, second)) is not None:
                changes.append((second, change))
    assert_no_oscillation(changes)


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_plant_of_two_minds_is_not_chased_to_and_fro(seed: int) -> None:
    """Shorter ticks cost bytes, longer ones latency: both can't be had, and all figures jump by a third."""
    noise = random.Random(seed)

    def plant(cadence: Cadence) -> list[Pressure]:
        wait = (cadence.tick_ms + 60) / 100
        spent = 1.1 * (20 / cadence.tick_ms) ** 0.4
        return [
            pressure("wait", wait * noise.lognormvariate(0, 0.3)),
            pressure("bytes", spent * noise.lognormvariate(0, 0.3), "bytes"),
        ]

    _, changes = run(plant, seconds=3_600)
    assert_no_oscillation(changes)
    assert len(moves(changes)) <= 3_600 // STEP_SECONDS // 2


@pytest.mark.parametrize("seed", range(5))
def test_through_noise_a_step_that_helps_is_still_found(seed: int) -> None:
    noise = random.Random(seed)
    tuner, _ = run(
        lambda cadence: [pressure("wait", cadence.tick_ms / 80 * noise.lognormvariate(0, 0.1))],
        replace(CADENCE, tick_ms=100),
        seconds=1_800,
    )
    assert tuner.cadence.tick_ms <= 50
