"""The benchmark's own tools: a figure is worth what the tool that counted it is."""

import os
import random
import signal
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.fanout.certificate import make_certificate, missing_for_tls
from benchmarks.fanout.lanes import PairFigures
from benchmarks.fanout.load import compile_c, start_load
from benchmarks.fanout.memory import used_bytes
from benchmarks.fanout.peers.turn import Turn, fillers
from benchmarks.fanout.process import SERVER_CORE, allow_descriptors, start
from benchmarks.fanout.product import CHANNELS, start_product
from benchmarks.fanout.table import Row, rows_table
from benchmarks.page import most_within
from benchmarks.soak import Sample, soak_rows
from benchmarks.terminal import COLUMNS, ROWS, open_terminal

CLIENTS = 5


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("programs")
    try:
        compile_c("load.c", directory)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    allow_descriptors()
    return directory


def test_load_client_counts_what_a_peer_sends(programs: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fanout.peers.bare"]
    with start(command, core=SERVER_CORE) as server:
        port = int(server.read())
        with start_load(programs / "load", port, CLIENTS) as load:
            assert server.ask("140 3 200") == "done"
            assert load.expect(3 * CLIENTS) == 3 * CLIENTS
            report = load.report()
    assert (report.frames, report.bytes) == (3 * CLIENTS, 3 * CLIENTS * 144)
    assert (report.receipts, len(report.last_ms), report.closed) == (3 * CLIENTS, 3, 0)


@pytest.mark.parametrize(("arrivals", "seconds"), [(True, 3.0), (False, 0.2)])
def test_who_is_kept_from_reading_had_it_when_the_kernel_had_it_only_if_that_is_asked_for(
    programs: Path, arrivals: bool, seconds: float
) -> None:
    command = [sys.executable, "-m", "benchmarks.fanout.peers.bare"]
    with start(command, core=SERVER_CORE) as server:
        port = int(server.read())
        with start_load(programs / "load", port, CLIENTS, arrivals=arrivals) as load:
            load.reset()
            os.kill(load.child.pid, signal.SIGSTOP)
            assert server.ask("140 1 200") == "done"
            time.sleep(seconds)  # as long as it is kept from its core
            os.kill(load.child.pid, signal.SIGCONT)
            assert load.expect(CLIENTS) == CLIENTS
            report = load.report()
    (last_ms,) = report.last_ms
    assert (last_ms < seconds * 1_000) is arrivals
    assert (report.each_p99_ms < seconds * 1_000) is arrivals


def test_load_client_counts_publications_in_shared_frames(programs: Path) -> None:
    with (
        start_product() as product,
        start_load(programs / "load", product.port, CLIENTS, channels=CHANNELS) as load,
    ):
        load.reset()
        product.publish("bench:tick", bytes=140, count=16, rate=20, burst=8)
        assert load.expect(16 * CLIENTS) == 16 * CLIENTS
        report = load.report()
    assert report.frames == 2 * CLIENTS
    assert report.closed == 0


def test_load_client_counts_what_comes_encrypted(programs: Path, tmp_path: Path) -> None:
    if lacking := missing_for_tls(programs):
        pytest.skip(lacking)
    with (
        start_product(tls=make_certificate(tmp_path)) as product,
        start_load(programs / "load", product.port, CLIENTS, channels=CHANNELS, tls=True) as load,
    ):
        load.reset()
        product.publish("bench:one", bytes=1_081, count=3, rate=20)
        assert load.expect(3 * CLIENTS) == 3 * CLIENTS


def test_load_client_says_who_could_not_connect(programs: Path) -> None:
    with (
        pytest.raises(RuntimeError, match=f"{CLIENTS} of {CLIENTS} clients"),
        start_load(programs / "load", 1, CLIENTS),
    ):
        pass


def test_a_turn_begins_every_text_with_when_it_was_due() -> None:
    texts = [text for _, text in Turn.read("140 3 1000").texts()]
    assert [len(text) for text in texts] == [140] * 3
    due = [int(text[1:20]) for text in texts]
    assert due == sorted(due)


def test_a_text_is_not_found_again_in_what_a_compressor_remembers() -> None:
    [first, *others] = fillers(1_081)
    assert first not in others
    assert sum(map(len, others)) > 1 << zlib.MAX_WBITS


def test_a_row_says_whether_its_target_is_reached() -> None:
    rows = [
        Row("a", 1.0, at_most=1.0),
        Row("b", 2.0, at_most=1.0),
        Row("c", 2.0, at_least=1.0),
        Row("d", 2.0),
    ]
    assert [row.verdict for row in rows] == ["reached", "not reached", "reached", ""]
    assert rows_table("t", rows).markdown().count("\n") == 7


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def tracing(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param:
        tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("tracing")
def test_memory_in_use_is_all_that_is_allocated_small_or_large() -> None:
    before = used_bytes()
    kept = [bytes(5_000_000), *(bytes(100) for _ in range(20_000))]
    assert used_bytes() - before == pytest.approx(8e6, rel=0.1)
    del kept
    assert used_bytes() - before < 5e5


def memory_rows(held_bytes: Callable[[int], float], used_bytes: float = 40e6) -> list[Row]:
    """Of a soak with a lap each minute, for ten minutes: what is used, what is held."""
    laps = [
        Sample(seconds, held_bytes(seconds), used_bytes, tasks=5, descriptors=5)
        for seconds in range(300, 900, 60)
    ]
    return soak_rows(laps)[:2]


def test_a_soak_finds_a_slow_leak_in_noise() -> None:
    noise = random.Random(1)
    used, held = memory_rows(lambda seconds: 70e6 + 3e6 / 3_600 * seconds + noise.uniform(-3e4, 3e4))
    assert (used.value, used.verdict) == (0, "reached")
    assert held.value == pytest.approx(3, abs=1)
    assert held.verdict == "not reached"


def test_a_soak_acquits_nobody_where_the_figures_are_too_restless_for_a_slope() -> None:
    _, held = memory_rows(lambda seconds: 70e6 + 5e5 * (seconds // 60 % 2))
    assert held.verdict == "not reached"
    assert "±" in held.note


def test_a_soak_takes_a_step_for_growth() -> None:
    _, held = memory_rows(lambda seconds: 70e6 + 1e6 * (seconds > 600))
    assert held.verdict == "not reached"


def test_harm_is_judged_by_the_spread_of_the_same_against_itself() -> None:
    figures = PairFigures("nobody")
    figures.calm.each_p99_ms = [10.0, 10.0, 10.0, 10.0]
    figures.harmed.each_p99_ms = [11.0, 12.5, 13.0, 12.5]
    row = figures.row()
    assert (row.value, row.at_most, row.verdict) == (1.25, 1.2, "not reached")
    assert figures.row(spread_of=[[10.0, 14.0], [10.0, 14.0]]).verdict == "reached"


def test_harm_is_no_harm_where_the_machine_slows_both_turns_of_each_pair() -> None:
    figures = PairFigures("nobody")
    figures.calm.each_p99_ms, figures.harmed.each_p99_ms = [10.0, 20.0, 40.0], [11.0, 22.0, 44.0]
    assert figures.row(spread_of=[[10.0, 10.5]]).value == pytest.approx(1.1)


def test_the_more_pairs_are_compared_the_less_the_same_may_differ_from_itself() -> None:
    source = random.Random(1)
    calm = [source.uniform(10, 20) for _ in range(50)]

    def bound(pairs: int) -> float:
        figures = PairFigures("nobody")
        figures.calm.each_p99_ms = figures.harmed.each_p99_ms = [10.0] * pairs
        at_most = figures.row(spread_of=[calm]).at_most
        assert at_most is not None
        return at_most

    assert bound(2) > bound(6) > bound(20) >= 1.2


def test_a_machine_that_is_too_restless_acquits_nobody() -> None:
    figures = PairFigures("nobody")
    figures.calm.each_p99_ms, figures.harmed.each_p99_ms = [10.0, 10.0], [11.0, 11.0]
    row = figures.row(spread_of=[[5.0, 50.0, 5.0, 50.0]])
    assert row.verdict == ""
    assert "not judged" in row.note


def test_long_tasks_are_counted_in_the_worst_stretch() -> None:
    assert most_within([], 30) == 0
    assert most_within([0.0, 29.9, 30.0, 59.8], 30) == 3


def test_terminal_tells_when_words_come_and_counts_what_is_written() -> None:
    program = "stty size; printf 'first screen'; while read key; do printf 'after %s' $key; done"
    words = (f"{ROWS} {COLUMNS}".encode(), b"first", b"screen")
    with open_terminal(["sh", "-c", program], {}, words) as terminal:
        assert terminal.start_seconds > 0
        before, pressed = terminal.written_bytes, time.monotonic()
        terminal.expect(b"after 1")
        terminal.press(b"1\n")
        assert terminal.wait() > pressed
        assert terminal.written_bytes == before + len("1\r\nafter 1")
        assert terminal.memory_bytes() > 0
