"""The rules of the analysis, on servers of every kind and on reports that were cut or made up."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import ConfigError
from monitor.probe.analysis import analyze
from monitor.probe.diagnosis import analyze_report
from monitor.probe.document import document
from monitor.probe.observation import Observation
from monitor.probe.report import Delivered, Heard, Knee, Limit, Report, read_report
from monitor.probe.text import analysis_text, report_text
from monitor.probe.verdict import fault_of, troubles_of
from tests.probe.reports import channel, connection, feed, kind, load, observation, report, step

LANES = ("immediate", "high", "normal", "low")
STATES = ("live", "stale", "connecting", "retrying", "stopped")
names = st.sampled_from(("a", "b", "c", "d", "e"))
counts = st.integers(0, 10_000)
amounts = st.floats(0, 10_000)

feeds = st.builds(feed, names, st.sampled_from(STATES), error=st.sampled_from((None, "refused")))
budgets = st.fixed_dictionaries({"messages_per_second": amounts, "bytes_per_second": st.just(0.0)})
depths = st.lists(counts, min_size=4, max_size=4)
ladders = st.builds(lambda step: {"step": step, "name": "some"}, st.integers(0, 5))
connections = st.builds(
    connection, names, lanes=depths, outbox_bytes=counts, sent=counts, ladder=ladders, budget=budgets
)
channels = st.builds(channel, names, counts, st.none() | amounts)
kinds = st.builds(
    kind,
    names,
    amounts,
    counts,
    lane=st.sampled_from(LANES),
    wait_ms=amounts,
    encode_ms=amounts,
    write_ms=amounts,
)
encodings = st.builds(
    lambda clients, ratio: {
        "encoding": "deflate",
        "clients": clients,
        "payload_bytes": 9,
        "frame_bytes": 3,
        "ratio": ratio,
    },
    counts,
    st.none() | amounts,
)
journals = st.fixed_dictionaries(
    {
        "trouble": st.sampled_from((None, "disk full")),
        "not_kept": counts,
        "commit_p50_ms": st.none() | amounts,
        "commit_p99_ms": st.none() | amounts,
    }
)


def unlike(rows: st.SearchStrategy[Any], by: str) -> st.SearchStrategy[list[Any]]:
    return st.lists(rows, max_size=5, unique_by=lambda row: row[by])


observations = st.builds(
    observation,
    feeds=unlike(feeds, "name"),
    connections=unlike(connections, "id"),
    channels=unlike(channels, "channel"),
    kinds=unlike(kinds, "kind"),
    encodings=st.lists(encodings, max_size=1),
    journal=journals,
    process=st.builds(lambda cpu: {"memory_bytes": 1, "cpu_percent": cpu}, st.floats(0, 200)),
)


def shuffled(seen: Observation) -> Observation:
    """The same rows in another order."""
    rows = msgspec.to_builtins(seen)
    for name in ("feeds", "connections", "connections_before", "channels"):
        rows[name].reverse()
    for seconds in rows["health"]:
        seconds["kinds"].reverse()
    return msgspec.convert(rows, Observation)


def test_a_server_at_rest_is_limited_by_nothing() -> None:
    assert analyze(observation()) == []
    assert analyze_report(report()) == []


@given(observations)
def test_nothing_is_claimed_without_evidence_a_setting_and_an_effect(seen: Observation) -> None:
    for finding in analyze(seen):
        assert finding.evidence
        assert all(any(letter.isdigit() for letter in line) for line in finding.evidence[:1])
        assert finding.setting
        assert finding.effect
        assert finding.weight > 0
        assert str(finding.sentence) in analysis_text([finding])


@given(observations)
def test_who_is_named_was_seen(seen: Observation) -> None:
    named = {finding.cause: finding.sentence for finding in analyze(seen)}
    if "feed" in named:
        assert any(row["state"] != "live" for row in seen.feeds)
    if "slow client" in named:
        assert any(sum(row["lanes"]) for row in seen.connections)
    if "channel" in named:
        assert any(named["channel"].startswith(row["channel"]) for row in seen.channels)
    if "core" in named:
        assert seen.health[-1]["process"]["cpu_percent"] >= 85


@given(observations)
def test_ranking_is_by_weight_and_not_by_the_order_of_rows(seen: Observation) -> None:
    found = analyze(seen)
    assert [finding.weight for finding in found] == sorted((one.weight for one in found), reverse=True)
    assert analyze(shuffled(seen)) == found


@given(st.floats(0, 40))
def test_what_is_in_time_on_the_mean_has_no_cause(mean_ms: float) -> None:
    """A few outliers limit nobody, however late they are."""
    late = kind(p99_ms=5_000.0, wait_ms=mean_ms, encode_ms=0.0, write_ms=0.0)
    assert analyze(observation(kinds=[late])) == []


def test_a_lane_without_ticks_does_not_wait_for_one() -> None:
    fill = kind("order_fill", p99_ms=16.0, wait_ms=6.0) | {"lane": "immediate", "threshold_ms": 10.0}
    assert "tick" not in {finding.cause for finding in analyze(observation(kinds=[fill]))}


@given(st.integers(1, 200), st.floats(0, 1_000), st.floats(0, 1_000))
def test_a_tick_is_blamed_only_if_it_accounts_for_most_of_the_time(
    tick_ms: int, wait_ms: float, write_ms: float
) -> None:
    """Whatever else a machine is busy with, a tick is what a tick costs at most."""
    cadence = {"tick_ms": tick_ms, "compression_level": 0, "compression_from_bytes": 0}
    late = kind(p99_ms=2_000.0, wait_ms=wait_ms, encode_ms=0.0, write_ms=write_ms)
    causes = {one.cause for one in analyze(observation(kinds=[late], tuning={"cadence": cadence}))}
    if "tick" in causes:
        assert 2 * tick_ms > wait_ms + write_ms
    if 40 < wait_ms + write_ms < tick_ms and wait_ms > write_ms + 1:
        assert causes == {"tick"}


@pytest.mark.parametrize(
    ("budget", "sent", "named"),
    [
        ((60, 0), 5, True),
        ((60, 0), 6, False),
        ((0.5, 0), 5, False),
        ((0, 20), 5, False),
        ((0, 2_000), 5, True),
    ],
)
def test_client_with_a_budget_reads_too_slowly_if_it_takes_nothing_that_is_due(
    budget: tuple[float, float], sent: int, named: bool
) -> None:
    """Two seconds, and messages of 100 bytes."""
    rates = dict(zip(("messages_per_second", "bytes_per_second"), budget, strict=True))
    rows = (connection(waiting=300, budget=rates, sent=count) for count in (5, sent))
    before, after = (observation(connections=[row]) for row in rows)
    seen = replace(after, connections_before=before.connections)
    assert ("slow client" in {found.cause for found in analyze(seen)}) == named


def test_of_two_faults_that_take_most_of_the_time_together_the_larger_is_named() -> None:
    cadence = {"tick_ms": 300, "compression_level": 9, "compression_from_bytes": 0}
    sizes = {"clients": 3, "payload_bytes": 9, "frame_bytes": 9, "ratio": 1.0}
    late = kind(p99_ms=300.0, wait_ms=48.0, encode_ms=49.0, write_ms=3.0)
    given: dict[str, Any] = {
        "kinds": [late],
        "tuning": {"cadence": cadence},
        "encodings": [{"encoding": "deflate", **sizes}],
    }
    assert [found.cause for found in analyze(observation(**given))] == ["compressor"]
    busy = observation(**given, loop={"lag_p99_ms": 180.0})
    assert [found.cause for found in analyze(busy)] == ["machine"]


def test_a_busy_machine_is_named_and_not_the_settings_of_the_server_on_it() -> None:
    late = kind(p99_ms=900.0, wait_ms=90.0, encode_ms=20.0, write_ms=80.0)
    few = [channel("trades:all", 3, 20.0)]
    busy = observation(kinds=[late], channels=few, loop={"lag_p99_ms": 180.0})
    (found,) = analyze(busy)
    assert found.cause == "machine"
    assert found.evidence == ["the loop came 180.0 ms late at p99; the shortest promise is 100 ms"]
    assert analyze(observation(loop={"lag_p99_ms": 180.0})) == [found]
    assert analyze(observation(loop={"lag_p99_ms": 80.0})) == []
    assert analyze(observation(loop={"lag_p99_ms": None})) == []


def test_what_is_late_for_no_reason_that_shows_is_said_to_be_late() -> None:
    (found,) = analyze(observation(kinds=[kind(p99_ms=900.0, receive_ms=80.0)]))
    assert found.cause == "late"
    assert "most of it from the venue's socket to publish: 80.0 of 81.6 ms" in found.sentence


@pytest.mark.parametrize(
    ("server_p99_ms", "cause", "words"),
    [
        (None, "late", "trade is late, and this report can't say where"),
        (120.0, "late", "trade is late, and this report can't say where"),
        (20.0, "way", "trade is late on its way to the server, or from it"),
    ],
)
def test_a_report_that_failed_for_lateness_is_never_told_that_nothing_limits_its_server(
    server_p99_ms: float | None, cause: str, words: str
) -> None:
    late = Delivered("trade", "normal", "trades:probe-x", 30, 0, 0, 0, 25, 100.0, 120.0, 300.0, server_p99_ms)
    found = report(kinds=[late])
    assert list(troubles_of(found)) == ["trade: 25 of 30 took longer than 100 ms, the worst 300.0 ms"]
    (first,) = analyze_report(found)
    assert (first.cause, first.sentence) == (cause, words)
    assert first.evidence[0] == "trade: 25 of 30 took longer than 100 ms, the worst 300.0 ms"


def test_a_report_that_failed_for_another_reason_is_told_so() -> None:
    found = report(troubles=["orders:probe-x is not public, and who has no token may read it"])
    told = analysis_text(analyze_report(found), found.troubles)
    assert told.endswith(
        "for another reason:\n- orders:probe-x is not public, and who has no token may read it"
    )


def test_a_knee_is_explained_by_the_fan_out_that_it_broke() -> None:
    """Its channel is one among many, and not most of what is sent."""
    fill = kind("order_fill", p99_ms=21.8, lane="immediate", write_ms=9.0) | {"threshold_ms": 10.0}
    orders = channel("orders:probe", 3_200, 4.0) | {"lane": "immediate"}
    many = [orders, *(channel(f"trades:{name}", 3_200, 4.0) for name in "abcdef")]
    broken = step(3_200, kinds=[Heard("order_fill", 10.0, 1_600, 1_125, 0, 12.0, 19.3, 21.8, 25.0)])
    fault = fault_of(broken)
    assert fault is not None
    knee = Knee(800, 3_200, *fault)
    seen = observation(kinds=[fill], channels=many)
    (first,) = analyze_report(report(load=load([step(800), broken], knee=knee, observation=seen)))
    assert first.sentence == (
        "with 3200 clients: orders:probe has more subscribers than one fan-out reaches in time"
    )
    unseen = load([step(800), broken], knee=knee, observation=observation(kinds=[]))
    (unknown,) = analyze_report(report(load=unseen))
    assert unknown.evidence == [knee.reason]


def test_what_a_long_test_saw_under_load_is_told_after_what_is_there_at_rest() -> None:
    stale = observation(feeds=[feed(state="stale")])
    busy = observation(
        kinds=[kind(p99_ms=300.0, write_ms=150.0)], channels=[channel("trades:probe", 1_200, 20.0)]
    )
    found = analyze_report(report(observation=stale, load=load(observation=busy)))
    assert [finding.cause for finding in found] == ["feed", "channel"]
    assert found[1].sentence.startswith("with 1200 clients: trades:probe has more subscribers")


@pytest.mark.parametrize("limit", [Limit.PROBE, Limit.BOUND, Limit.TIME])
def test_what_the_probe_itself_could_not_do_limits_no_server(limit: Limit) -> None:
    busy = observation(kinds=[kind(p99_ms=300.0, write_ms=150.0)], channels=[channel("a", 1_200, 20.0)])
    assert analyze_report(report(load=load(knee=Knee(50, 100, limit, "words"), observation=busy))) == []


def test_a_bound_on_clients_is_named_with_its_cause() -> None:
    ramp = [step(50), step(40, failures={"answered 429": 60})]
    knee = Knee(50, 100, Limit.CONNECTIONS, "60 of 100 clients did not get in: answered 429 (60)")
    first = analyze_report(report(load=load(ramp, knee=knee)))[0]
    assert first.cause == "connections"
    assert "answered 429: 60 clients" in first.evidence
    assert "limits.connections_per_address" in first.setting


WHOLE = json.loads(
    msgspec.json.encode(
        report(
            load=load(),
            observation=observation(
                feeds=[feed(state="stale")],
                connections=[connection(waiting=500)],
                channels=[channel()],
                kinds=[kind(p99_ms=300.0, write_ms=90.0)],
            ),
        )
    )
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    scalars | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def tampered(draw: st.DrawFn) -> Any:
    """A report with one of its members taken out or made another."""
    whole = json.loads(json.dumps(WHOLE))
    node: Any = whole
    while True:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        child = node[key]
        if isinstance(child, dict | list) and child and draw(st.integers(0, 4)):
            node = child
            continue
        if draw(st.booleans()):
            node[key] = draw(anything)
        else:
            del node[key]
        return whole


def read(directory: Path, text: bytes) -> Report | None:
    """The report, or None where it is refused in a sentence."""
    file = directory / "report.json"
    file.write_bytes(text)
    try:
        return read_report(file)
    except ConfigError as error:
        refusal = str(error)
    assert str(file) in refusal
    assert "\n" not in refusal
    return None


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@given(tampered())
def test_a_report_that_was_tampered_with_is_refused_or_judged(directory: Path, whole: Any) -> None:
    found = read(directory, json.dumps(whole).encode())
    if found is not None:
        assert isinstance(analysis_text(analyze_report(found)), str)
        assert report_text(found)
        if found.load is not None:
            assert document(found, found.load, [])


@given(st.integers(0, len(json.dumps(WHOLE)) - 1))
def test_a_report_that_was_cut_is_refused(directory: Path, length: int) -> None:
    assert read(directory, json.dumps(WHOLE).encode()[:length]) is None


@given(st.binary(max_size=200))
def test_what_is_no_report_is_refused(directory: Path, text: bytes) -> None:
    assert read(directory, text) is None


def test_a_whole_report_is_read_as_it_was_written(directory: Path) -> None:
    found = report(load=load())
    assert read(directory, msgspec.json.encode(found)) == found
