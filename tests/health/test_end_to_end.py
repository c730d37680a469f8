import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.health.end_to_end import ANSWER_SECONDS, EndToEndMeter, Estimate, Samples, estimate

MS = 1_000_000
times = st.integers(0, 10**10)


@given(forth=times, back=times)
def test_the_true_latency_is_within_the_error(forth: int, back: int) -> None:
    found = estimate(forth + back, round_trip_ns=back + min(forth, back))
    assert found.latency_ns - found.error_ns <= forth <= found.latency_ns + found.error_ns + 1


@given(answered=times, round_trip=times)
def test_a_latency_is_never_negative_nor_more_than_the_whole_time(answered: int, round_trip: int) -> None:
    found = estimate(answered, round_trip)
    assert found.latency_ns - found.error_ns >= 0
    assert found.latency_ns + found.error_ns <= answered


def test_half_the_round_trip_is_taken_off_and_is_the_error() -> None:
    assert estimate(10 * MS, 4 * MS) == Estimate(8 * MS, 2 * MS)


@pytest.fixture
def meter() -> EndToEndMeter:
    return EndToEndMeter()


def count(meter: EndToEndMeter) -> int:
    meter.rotate()
    return meter.latency.since_start.count


def test_a_sample_is_one_figure_however_many_answer(meter: EndToEndMeter) -> None:
    samples = Samples()
    samples.open("salt", meter, 0, {"a", "b", "c"})
    for client in "abc":
        assert samples.answer("salt", client, 5 * MS, 2 * MS) == Estimate(4 * MS, 1 * MS)
    assert count(meter) == 1
    assert len(samples) == 0


@pytest.mark.parametrize("lie_ms", [0, 4_000])
def test_one_liar_among_three_does_not_bend_the_kinds_figure(meter: EndToEndMeter, lie_ms: int) -> None:
    samples = Samples()
    samples.open("salt", meter, 0, {"a", "b", "liar"})
    samples.answer("salt", "liar", lie_ms * MS, 0)
    samples.answer("salt", "a", 5 * MS, 2 * MS)
    samples.answer("salt", "b", 6 * MS, 2 * MS)
    assert count(meter) == 1
    worst_ns = meter.latency.since_start.summary().worst_ns
    assert worst_ns is not None
    assert 3.9 * MS < worst_ns < 5.1 * MS


def test_only_who_was_asked_is_heard_and_only_once(meter: EndToEndMeter) -> None:
    samples = Samples()
    samples.open("salt", meter, 0, {"a", "b"})
    assert samples.answer("salt", "stranger", 5, 2) is None
    assert samples.answer("guess", "a", 5, 2) is None
    assert samples.answer("salt", "a", 5, 2) is not None
    assert samples.answer("salt", "a", 9, 2) is None


def test_a_late_answer_is_none_and_the_sample_is_settled_without_it(meter: EndToEndMeter) -> None:
    samples = Samples()
    samples.open("salt", meter, 0, {"a", "gone"})
    samples.answer("salt", "a", 5 * MS, 2 * MS)
    samples.expire(ANSWER_SECONDS * 1_000 * MS - 1)
    assert len(samples) == 1
    samples.expire(ANSWER_SECONDS * 1_000 * MS)
    assert samples.answer("salt", "gone", ANSWER_SECONDS * 1_000 * MS, 2 * MS) is None
    assert (count(meter), meter.unanswered) == (1, 1)
