"""The long test's parts on a real server in a process of its own, and the whole with one villain."""

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from monitor.backend import Backend
from monitor.config import DEFAULT_KINDS, Settings
from monitor.errors import PeerError
from monitor.probe import crowd as crowds
from monitor.probe import load
from monitor.probe.crowd import SWEEP_SECONDS, Crowd, Joined, mark
from monitor.probe.diagnosis import analyze_report
from monitor.probe.door import Door, is_of_this_machine
from monitor.probe.load import Course, Crew, Plan, heard_of, rooms_beside, run_full
from monitor.probe.observation import Observation
from monitor.probe.pulse import ROUND_SECONDS, Pulse
from monitor.probe.report import Limit, Step
from monitor.probe.routes import routes_of
from monitor.probe.text import report_text
from monitor.probe.trial import Target
from monitor.probe.verdict import fault_of, load_troubles_of
from monitor.probe.villains import VILLAINS, Villains
from monitor.probe.worker import Worker, open_worker
from tests.probe import reports
from tests.process import CONFIGURATION, ROOT, Process, lanecast_process
from tests.serve.certificates import make_certificate
from tests.serve.running import KEYS, sign

CHANNEL = "chat:crowd"


def door(process: Process) -> Door:
    return Door(process.address, sign(KEYS.operator, sub="probe"))


def clients(process: Process) -> int:
    rows: int = len(process.api("presence", channel=CHANNEL)["presence"])
    return rows


@pytest.fixture
def crowd(process: Process) -> Iterator[Crowd]:
    crowd = Crowd(door(process))
    crowd.invite({CHANNEL: 0})
    yield crowd
    crowd.leave()


def test_clients_come_go_and_come_back_all_at_once(process: Process, crowd: Crowd) -> None:
    came = crowd.join(60)
    assert (came.clients, came.failures, len(came.took_ms)) == (60, {}, 60)
    assert clients(process) == 60
    assert crowd.join(20).clients == 20
    crowd.leave()
    back = crowd.join(40, at_once=40)
    assert (back.clients, back.failures) == (40, {})


def test_readers_time_what_is_published_from_now_on(process: Process, crowd: Crowd) -> None:
    crowd.join(10)
    process.publish(CHANNEL, {"mark": mark("old")})
    listened = crowd.listen(0.01)
    for _ in range(3):
        process.publish(CHANNEL, {"mark": mark("message")})
    assert listened.latencies_ms.get("old", []) == []
    since = time.monotonic()
    heard: list[float] = []

    async def listen() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, publish_three, process)
            found = await trio.to_thread.run_sync(crowd.listen, 1.0)
            heard.extend(found.latencies_ms["message"])

    trio.run(listen)
    assert len(heard) == 30
    assert 0 < max(heard) < 1_000 * (time.monotonic() - since)


def test_who_is_cut_is_seen_whether_he_reads_or_not(
    process: Process, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowds, "READERS", 10)
    count = 30
    assert crowd.join(count).clients == count
    users = {row["user"] for row in process.api("presence", channel=CHANNEL)["presence"].values()}
    for user in users:
        process.api("disconnect", user=user)
    assert sum(crowd.listen(2 * SWEEP_SECONDS).cut.values()) == count


def test_others_find_no_more_room_than_those_before_them_left() -> None:
    rooms = {"message:a": 1_000, "experiment:a": 200, "trades:a": 0}
    assert rooms_beside(rooms, 200) == {"message:a": 800, "trades:a": 0}


@pytest.mark.trio
async def test_every_kind_is_published_when_it_is_due_however_long_the_calls_take(
    autojump_clock: MockClock,
) -> None:
    backend = SlowBackend()
    pulse = Pulse(backend)
    with trio.move_on_after(10 * ROUND_SECONDS - 0.01):
        await pulse.publish(list(routes_of(("trade", "book"), Settings().namespaces, "x")))
    assert backend.kinds == ["trade", "book"] * 9 + ["trade"]
    assert pulse.take_lag_ms() < 1


class SlowBackend(Backend):
    """Answers after several rounds."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    async def publish(self, channel: str, data: Any, kind: str) -> None:
        self.kinds.append(kind)
        await trio.sleep(3 * ROUND_SECONDS)


@pytest.mark.trio
async def test_of_a_wave_those_come_back_who_were_there(autojump_clock: MockClock) -> None:
    """However few had come in before it, and whoever would have come in now."""
    wave = Gate([4, 50])
    crew = Crew(cast(Worker, None), cast(Worker, wave), cast(Worker, None))
    course = Unmeasured(cast(Target, None), Plan.of(60), crew, {}, cast(Pulse, None))
    found = await course.be_stormed(50, 10)
    assert (found.clients, found.back, found.failures) == (4, 4, {})
    assert not list(load_troubles_of(reports.load(wave=found)))


class Gate:
    """Lets so many in at a time."""

    def __init__(self, rooms: list[int]) -> None:
        self._rooms = rooms

    async def call(self, method: object, clients: int = 0, at_once: int = 0) -> Joined:
        if method is Crowd.leave:
            return Joined(0, {}, [], 0.0)
        came = min(clients, self._rooms.pop(0))
        return Joined(came, {"refused": clients - came} if came < clients else {}, [], 0.0)


class Unmeasured(Course):
    async def measure(self, name: str, joined: Joined) -> tuple[Step, Observation]:
        await trio.sleep(1)
        return reports.step(name=name), reports.observation()


def publish_three(process: Process) -> None:
    time.sleep(0.2)
    for _ in range(3):
        process.publish(CHANNEL, {"mark": mark("message")})


def test_the_length_of_a_frame_is_not_taken_for_a_close(process: Process, crowd: Crowd) -> None:
    crowd.join(2)
    for length in range(60, 120):
        process.publish(CHANNEL, {"text": "x" * length})
    assert crowd.listen(0.2).cut == {}


def test_a_test_of_two_seconds_has_a_step_too() -> None:
    plan = Plan.of(2)
    assert plan.ramp_seconds >= plan.step_seconds > 0


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("http://localhost:8000", True),
        ("wss://127.0.0.2/connection/websocket", True),
        ("http://[::1]:8000", True),
        ("http://127.example.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_only_an_address_that_is_nobody_elses_is_this_machines(url: str, is_ours: bool) -> None:
    assert is_of_this_machine(url) is is_ours


def test_refusals_are_counted_by_their_cause(process: Process) -> None:
    stranger = Crowd(Door(process.address, "e30.e30.e30"))
    came = stranger.join(5)
    assert came.clients == 0
    assert sum(came.failures.values()) == 5
    nobody = Crowd(Door("http://127.0.0.1:9", ""))
    assert nobody.join(3).failures == {"Connection refused": 3}


def test_who_had_no_turn_in_time_counts_as_one_that_did_not_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "JOIN_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        crowd = Crowd(Door(f"http://127.0.0.1:{silent.getsockname()[1]}", ""))
        came = crowd.join(20, at_once=5)
    assert (came.clients, sum(came.failures.values())) == (0, 20)


def test_room_of_a_channel_is_not_overstepped(process: Process) -> None:
    crowd = Crowd(door(process))
    crowd.invite({CHANNEL: 3})
    assert crowd.join(8).clients == 8
    assert clients(process) == 3
    crowd.leave()


@pytest.mark.parametrize("name", VILLAINS)
def test_every_villain_does_his_worst_and_ends_in_time(process: Process, name: str) -> None:
    villains = Villains(door(process))
    before = time.monotonic()
    villains.act(name, CHANNEL, 0.3)
    assert time.monotonic() - before < 20
    assert process.publish(CHANNEL, 1) is not None


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it forks, and tests have threads
def test_worker_does_what_it_is_asked_and_raises_what_it_raises(process: Process) -> None:
    async def ask() -> None:
        assert (await worker.call(Crowd.join, 5)).clients == 5
        with pytest.raises(PeerError, match="has no address"):
            await lost.call(Crowd.join, 5)

    with (
        open_worker(lambda: Crowd(door(process))) as worker,
        open_worker(lambda: Crowd(Door("http://no-such-host.invalid", ""))) as lost,
    ):
        trio.run(ask)


def test_a_server_that_resets_tls_clients_is_counted_with_its_cause(tmp_path: Path) -> None:
    """It goes while they connect, before and during their handshakes."""
    with reset_at_once() as port:
        crowd = Crowd(Door(f"https://127.0.0.1:{port}", "", make_certificate(tmp_path).certificate_file))
        came = crowd.join(50)
        crowd.leave()
    assert came.clients == 0
    assert sum(came.failures.values()) == 50


@contextmanager
def reset_at_once() -> Iterator[int]:
    """A port on which every connection is reset."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def reset() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        thread = Thread(target=reset)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_clients_speak_tls(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path)
    files = f'tls = {{ certificate_file = "{tls.certificate_file}", key_file = "{tls.key_file}" }}\n'
    with lanecast_process(tmp_path, files + CONFIGURATION) as process:
        crowd = Crowd(Door(process.address, sign(KEYS.operator, sub="probe"), tls.certificate_file))
        crowd.invite({CHANNEL: 0})
        assert crowd.join(20).clients == 20
        crowd.leave()


def test_too_few_descriptors_for_a_test_are_told_before_it() -> None:
    limited = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (100, 100));"
    code = f"{limited} from monitor.probe.crowd import allow_descriptors; allow_descriptors(50, 5_000)"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False
    ).stderr
    assert told.endswith(
        "ConfigError: this process may open 100 files, and 50 clients need 178:"
        " raise that bound (ulimit -n)\n"
    )


def test_clients_are_as_many_as_there_are_descriptors() -> None:
    limited = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (64, 1000));"
    code = f"{limited} from monitor.probe.crowd import allow_descriptors; print(allow_descriptors(50, 5_000))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "872\n"


def test_what_is_ours_is_not_the_servers() -> None:
    heard = heard_of("trade", [1.0, 50.0, 104.0, 150.0], threshold_ms=100, lag_ms=10)
    assert (heard.count, heard.late, heard.doubtful, heard.worst_ms) == (4, 1, 1, 150.0)


def test_whole_test_finds_a_knee_and_says_by_what(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "VILLAINS", ["resets"])
    monkeypatch.setattr(load, "CLIENTS", 200)
    monkeypatch.setattr("secrets.token_hex", lambda size: "whole")
    token, seconds = sign(KEYS.operator, sub="probe"), 0
    target = Target(process.address, KEYS.api, token, Settings().namespaces)

    def count() -> None:
        nonlocal seconds
        seconds += 1

    report = run_full(target, Plan(1, 2, 1), count)
    found = report.load
    assert found is not None
    assert seconds >= 4
    assert [step.name for step in found.villains] == ["nobody", "resets"]
    assert {kind.kind for kind in found.ramp[0].kinds} <= DEFAULT_KINDS.keys()
    assert found.wave.back == found.wave.clients >= 50
    assert found.knee.limit in Limit
    assert found.knee.clients or fault_of(found.ramp[-1])
    assert "The server bears" in report_text(report)
    assert isinstance(analyze_report(report), list)
    left = process.api("history", channel="trades:probe-whole", limit=1)
    assert left["offset"] > 0
    assert left["publications"] == []
