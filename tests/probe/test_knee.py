"""The search for the knee, against servers of any size."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitor.probe.knee import CLOSE_ENOUGH, FIRST_CLIENTS, Ramp
from monitor.probe.report import Limit, Own, Standing
from monitor.probe.verdict import fault_of
from tests.probe.reports import step

LATE, EARLY = 200.0, 20.0


def climb(ramp: Ramp, bears: int) -> list[int]:
    """The numbers that are tried on a server that bears so many clients."""
    tried: list[int] = []
    while (clients := ramp.next()) is not None:
        tried.append(clients)
        ramp.take(step(clients, LATE if clients > bears else EARLY, own=Own(5.0, 0.5, 40.0)), clients)
    return tried


@given(st.integers(0, 20_000), st.integers(1, 10_000))
def test_knee_is_what_held_beside_what_did_not(bears: int, limit: int) -> None:
    ramp = Ramp(limit)
    tried = climb(ramp, bears)
    knee = ramp.knee()
    assert max(tried) <= limit
    assert len(tried) <= 25
    assert knee.clients <= bears or knee.clients == 0
    if bears >= limit:
        assert (knee.clients, knee.broken_at, knee.limit) == (limit, None, Limit.BOUND)
        return
    assert knee.limit is Limit.THRESHOLD
    assert knee.broken_at is not None
    assert knee.broken_at > bears
    if knee.broken_at > FIRST_CLIENTS:
        assert knee.broken_at - knee.clients <= max(1, CLOSE_ENOUGH * knee.broken_at)


def test_one_bad_step_is_no_limit() -> None:
    ramp = Ramp(100)
    assert ramp.next() == FIRST_CLIENTS
    assert not ramp.take(step(50, LATE), 50)
    assert ramp.next() == FIRST_CLIENTS
    ramp.take(step(50, EARLY), 50)
    assert ramp.next() == 100


def test_what_the_probe_could_not_tell_hides_nothing_that_surely_broke() -> None:
    ramp = Ramp(5_000)
    slow = replace(step(2_000, LATE).kinds[0], late=0, doubtful=500)
    doubtful = step(2_000, kinds=[slow], own=Own(5.0, 150.0, 40.0))
    ramp.take(step(800, EARLY), 800)
    assert [ramp.take(step(3_200, LATE), 3_200) for _ in range(2)] == [False, True]
    assert [ramp.take(doubtful, 2_000) for _ in range(2)] == [False, False]
    knee = ramp.knee()
    assert (knee.clients, knee.broken_at, knee.limit) == (800, 3_200, Limit.THRESHOLD)
    assert ramp.next() == 1_400


def test_who_has_no_time_says_so() -> None:
    ramp = Ramp(5_000)
    ramp.take(step(50, EARLY), 50)
    assert (ramp.knee().clients, ramp.knee().limit) == (50, Limit.TIME)


@given(st.floats(0, 100), st.floats(0, 500), st.floats(0, 100), st.floats(0, 100))
def test_a_server_is_blamed_only_if_the_probe_had_room(
    own_cpu: float, lag_ms: float, machine: float, server_cpu: float
) -> None:
    server = Standing(server_cpu, 1.0, 1, 0, 1.0)
    fault = fault_of(step(50, LATE, own=Own(own_cpu, lag_ms, machine), server=server))
    assert fault is not None
    is_blamed = fault[0] is Limit.THRESHOLD
    assert is_blamed == (own_cpu <= 85 and (machine <= 95 or server_cpu >= 85))


def test_what_is_late_by_less_than_the_probe_itself_is_the_probes() -> None:
    slow, other = step(50, LATE).kinds
    fault = fault_of(step(50, kinds=[replace(slow, late=0, doubtful=500), other]))
    assert fault is not None
    assert fault[0] is Limit.PROBE
    assert "the probe itself was up to 0.5 ms late" in fault[1]


def test_a_server_that_is_kept_waiting_is_not_told_to_have_too_many_clients() -> None:
    """Its own work makes it late only if there is much of it."""
    idle, busy = (step(50, LATE, server=Standing(cpu, 150.0, 1, 0, 1.0)) for cpu in (11.0, 75.0))
    fault = fault_of(idle)
    assert fault is not None
    assert fault[0] is Limit.PROBE
    assert fault[1].endswith("but the server's loop was up to 150.0 ms late at 11 % of a core")
    fault = fault_of(busy)
    assert fault is not None
    assert fault[0] is Limit.THRESHOLD


def test_clients_that_do_not_get_in_are_told_with_their_cause() -> None:
    fault = fault_of(step(60, failures={"answered 503": 40}))
    assert fault == (Limit.CONNECTIONS, "40 of 100 clients did not get in: answered 503 (40)")
    cut = fault_of(step(100, cut={"closed with 3008": 30, "cut": 3}))
    assert cut == (Limit.CONNECTIONS, "33 of 100 clients were cut: closed with 3008 (30), cut (3)")
    assert fault_of(step(100, failures={"answered 503": 2}, cut={"cut": 2})) is None
