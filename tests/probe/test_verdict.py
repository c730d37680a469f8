"""What is held against a server, and what is not: too few events, and harm that was there without anybody."""

from dataclasses import replace

import pytest

from monitor.probe.document import document
from monitor.probe.lateness import COUNT_MIN
from monitor.probe.report import Connected, Delivered, Knee, Limit, Own, Report, Standing
from monitor.probe.text import report_text
from monitor.probe.verdict import fault_of, load_troubles_of, troubles_of
from tests.probe.reports import load, observation, report, step

LATE = 300.0
BUSY = Own(96.0, 0.5, 99.0)


def late(events: int) -> Report:
    """The server agrees that they were late."""
    kind = Delivered("trade", "normal", "trades:probe-x", events, 0, 0, 0, events, 100.0, 150.0, 300.0, 280.0)
    return report(kinds=[kind])


def test_lateness_of_few_events_is_not_judged_and_that_is_said() -> None:
    few, enough = late(COUNT_MIN - 1), late(COUNT_MIN)
    assert list(troubles_of(few)) == []
    assert "Fewer than 5 events say nothing of how late a kind is; kinds with so few: 1." in report_text(few)
    assert "too few of some kinds to say whether in time" in report_text(few)
    assert list(troubles_of(enough)) == ["trade: 5 of 5 took longer than 100 ms, the worst 300.0 ms"]
    assert "Fewer than" not in report_text(enough)


@pytest.mark.parametrize(("server_p99_ms", "troubles"), [(3.0, 0), (30.0, 1)])
def test_lateness_that_is_the_lines_is_the_servers_only_by_its_own_clock(
    server_p99_ms: float, troubles: int
) -> None:
    fill = Delivered("order_fill", "immediate", "o", 30, 0, 0, 0, 30, 10.0, 20.0, 25.0, server_p99_ms)
    far, near = (report(kinds=[fill], connected=Connected(20, 0, 0, ms)) for ms in (40.0, 4.0))
    assert [len(list(troubles_of(one))) for one in (far, near)] == [troubles, 1]
    assert "The line here takes 20.0 ms, more than is promised of 1 of the kinds" in report_text(far)
    assert ", in time, 1 of the kinds by its own clock, over" in report_text(far)
    assert "The line here" not in report_text(near)


def test_what_a_channel_repeats_is_told_once_however_many_kinds_it_carries() -> None:
    kinds = [
        Delivered(name, "immediate", "orders:probe-x", 30, 0, 0, 3, 0, 10.0, 1.0, 2.0, 1.0)
        for name in ("order_fill", "order_update")
    ]
    assert list(troubles_of(report(kinds=kinds))) == ["orders:probe-x: 3 arrived twice"]


def test_figures_of_another_window_say_which() -> None:
    text = report_text(report())
    assert "server p99/10s" in text.splitlines()[0]
    assert "of all it had of the kind in its last 10 s" in text


@pytest.mark.parametrize("own", [BUSY, Own(5.0, 0.5, 40.0)], ids=["probe", "server"])
def test_what_was_wrong_with_nobody_beside_is_held_against_no_villain_and_no_wave(own: Own) -> None:
    harmed = step(100, LATE, own=Own(5.0, 0.5, 40.0))
    given = load(villains=[harmed, replace(harmed, name="resets")])
    stormy = replace(given, wave=replace(given.wave, step=harmed))
    calm = replace(stormy.villains[0], name="nobody")
    assert {
        words.partition(":")[0] for words in load_troubles_of(replace(stormy, villains=[step(), harmed]))
    } == {
        "beside ramp",
        "during the reconnect wave",
    }
    spared = replace(stormy, villains=[replace(calm, own=own), harmed])
    assert list(load_troubles_of(spared)) == []
    found = report(load=spared)
    assert "can't be told, for with nobody to do harm trade: 500 of 1000" in report_text(found)
    assert "can&#x27;t be told, for with nobody to do harm trade: 500 of 1000" in document(found, spared, [])


def test_number_of_clients_is_told_with_the_part_of_the_machine() -> None:
    broken = step(50, LATE, server=Standing(30.0, 42.0, 1, 0, 1.0), own=Own(5.0, 0.5, 90.0))
    words = (
        "trade: 500 of 1000 took longer than 100 ms, p99 300.0 ms (the server had 30 % of a core and a loop"
        " up to 42.0 ms late, the probe's machine was in use by 90 %)"
    )
    assert fault_of(broken) == (Limit.THRESHOLD, words)
    seen = observation(loop={"lag_p99_ms": 150.0}, process={"memory_bytes": 1, "cpu_percent": 30.0})
    under = replace(
        seen, alerts=["since then: the loop lags: other programs had the CPU for 20 % of the minute"]
    )
    text = report_text(
        report(load=load([broken], knee=Knee(0, 50, Limit.THRESHOLD, words), observation=under))
    )
    assert f"The server bears 0 clients, not 50: {words}.\n" in text
    assert "The server's alert since then: the loop lags: other programs had the CPU for 20 %" in text


def test_what_limits_a_server_stands_below_the_number_of_clients_it_bears() -> None:
    text = report_text(
        report(load=load(knee=Knee(0, 50, Limit.CONNECTIONS, "20 of 50 clients were cut: cut (20)")))
    )
    assert "What limits it: with 50 clients: a bound on clients was reached" in text
