"""What is shipped, run without this checkout: the file of `make binary`, and the wheel as pip installs it."""

import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from monitor import __version__
from tests.process import END_SECONDS, ROOT, Process, lanecast_process, surroundings
from tests.serve.running import KEYS, sign
from tests.terminal import terminal

BINARY = ROOT / "dist" / "lanecast"
BINARY_BYTES = 45_000_000
ENDED_BY_CTRL_C = (0, 130)
"""The parent process of the binary passes on what the terminal tells both: the second one may come late."""
INSTALL_SECONDS = 180
PROBE_SECONDS = 90
SIMULATED = "port = 0\nsimulator.rate = 200"


def build(kind: str, source: Path, target: Path) -> Path:
    """The sdist or wheel of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = target.glob("lanecast-*")
    return built


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from the sdist, so that it proves both."""
    directory = tmp_path_factory.mktemp("built")
    with tarfile.open(build("sdist", ROOT, directory / "sdist")) as sdist:
        sdist.extractall(directory, filter="data")
    (source,) = directory.glob("lanecast-*")
    return build("wheel", source, directory / "wheel")


def installed(wheel: Path, venv: Path) -> Path:
    """The program in a new environment that has the wheel, and what that says it needs."""
    python = venv / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", *constraints, str(wheel)],
        env=surroundings(()),
        check=True,
        timeout=INSTALL_SECONDS,
    )
    return venv / "bin" / "lanecast"


def binary() -> Path:
    if not BINARY.exists():
        pytest.skip("dist/lanecast is not built: make binary")
    return BINARY


@pytest.fixture(scope="module", params=["binary", "wheel"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "binary":
        return binary()
    return installed(request.getfixturevalue("wheel"), tmp_path_factory.mktemp("venv"))


@pytest.fixture(scope="module")
def server(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with lanecast_process(tmp_path_factory.mktemp("shipped"), SIMULATED, [str(program)]) as server:
        yield server


def output(program: Path, *arguments: str, **variables: str) -> str:
    """What it prints where nothing else is: no Python, no PATH, no home."""
    done = subprocess.run(
        [str(program), *arguments],
        env=variables,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        timeout=END_SECONDS,
    )
    return done.stdout


def test_the_sdist_makes_the_wheel_that_the_checkout_makes(wheel: Path, tmp_path: Path) -> None:
    assert contents(wheel) == contents(build("wheel", ROOT, tmp_path))


def test_it_tells_what_is_inside(program: Path) -> None:
    first, second = output(program, "--version").splitlines()
    assert first.startswith(f"lanecast {__version__}, commit ")
    for package in ("trio", "textual", "zstandard"):
        assert f"{package} {metadata.version(package)}" in second


def test_it_has_the_page_the_dictionary_and_the_api(server: Process, program: Path) -> None:
    assert "<title>" in server.http.get("/").text
    assert server.http.get("/static/vendor/centrifuge.js").status_code == 200
    assert server.http.get("/dict/current", follow_redirects=True).status_code == 200
    assert "lanecast_" in server.http.get("/metrics").text
    told = output(
        program, "publish", "dashboard:sales", "7", "--url", server.address, LANECAST_API_KEY=KEYS.api
    )
    assert "offset" in told or told.strip() == "{}"


def probed(program: Path, server: Process, *arguments: str) -> Any:
    """The report of its probe; whether all came in time is this machine's to say."""
    done = subprocess.run(
        [str(program), "probe", server.address, "--json", *arguments],
        env={"LANECAST_API_KEY": KEYS.api, "LANECAST_OPERATOR_TOKEN": sign(KEYS.operator, sub="probe")},
        cwd="/",
        stdout=subprocess.PIPE,
        check=False,
        timeout=PROBE_SECONDS,
    )
    return json.loads(done.stdout)


def test_its_probe_finds_that_all_reaches_whom_it_is_for(server: Process, program: Path) -> None:
    report = probed(program, server, "--seconds", "2")
    assert report["leaks"] == []
    assert report["connected"]["failed"] == report["connected"]["missed"] == 0
    assert report["kinds"]
    assert all(kind["published"] and not kind["lost"] + kind["refused"] for kind in report["kinds"])


@pytest.mark.soak
def test_its_long_test_writes_a_page_and_what_can_be_analyzed(
    server: Process, program: Path, tmp_path: Path
) -> None:
    load = probed(program, server, "--full", "--seconds", "6", "--report", str(tmp_path / "long"))["load"]
    wave = load["wave"]
    assert 0 < wave["back"] == wave["clients"] - sum(wave["failures"].values())
    assert [step["name"] for step in load["villains"]][:2] == ["nobody", "never reads"]
    assert (tmp_path / "long.html").read_text().startswith("<!doctype html>")
    analyzed = subprocess.run(
        [str(program), "analyze", str(tmp_path / "long.json"), "--json"], capture_output=True, check=False
    )
    assert isinstance(json.loads(analyzed.stdout), list)


def test_its_page_shows_trades_in_a_browser(server: Process, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(server.address)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    expect(page.get_by_test_id("tape-row").first).to_be_visible()


def test_its_console_starts_from_the_same_program(program: Path, tmp_path: Path) -> None:
    arguments = ["run", "--port", "0", "--rate", "200", "--data-dir", str(tmp_path)]
    with terminal(arguments, (160, 50), [str(program)], PYTHONPATH="") as screen:
        screen.wait_for("▲ buy".encode())
        screen.press(b"q")
        assert screen.wait_for_end() == 0


def test_ctrl_c_ends_it_without_a_trace(program: Path, tmp_path: Path) -> None:
    arguments = ["serve", "--port", "0", "--data-dir", str(tmp_path)]
    with terminal(arguments, (80, 24), [str(program)], PYTHONPATH="") as screen:
        screen.wait_for(b"lanecast serves")
        screen.press(b"\x03")
        assert screen.wait_for_end() in ENDED_BY_CTRL_C
        assert b"Traceback" not in screen.written


def test_the_binary_is_one_file_of_at_most_45_mb_that_knows_its_commit() -> None:
    assert binary().stat().st_size <= BINARY_BYTES
    assert "unknown" not in output(binary(), "--version")


def test_the_binary_needs_nothing_but_the_c_library() -> None:
    needed = subprocess.run(["ldd", str(binary())], capture_output=True, text=True, check=True).stdout
    libraries = {line.split()[0].partition(".so")[0] for line in needed.splitlines()}
    assert libraries <= {"linux-vdso", "libdl", "libz", "libpthread", "libc", "/lib64/ld-linux-x86-64"}
