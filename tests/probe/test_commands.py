"""The commands as a person runs them, against a server of their own process."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest

from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.keys import load_keys
from monitor.options import certificate_of
from monitor.probe.diagnosis import analyze_report
from monitor.probe.observation import TOKEN_CURE
from monitor.probe.report import read_report
from monitor.serve.tokens import make_token
from tests.command import lanecast, serving, started
from tests.probe.reports import report
from tests.process import ROOT
from tests.serve.certificates import make_certificate


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LANECAST_")}
    load_keys(Settings(data_dir=tmp_path / "data"))
    return {**kept, "PYTHONPATH": str(ROOT), "LANECAST_DATA_DIR": str(tmp_path / "data")}


def test_a_server_is_probed_and_its_report_analyzed_with_the_keys_of_its_data_directory(
    home: dict[str, str],
) -> None:
    report = Path(home["LANECAST_DATA_DIR"]).parent / "report.json"
    with serving(home, "serve", "--log-level", "error", "--set", "tick_ms=400", "--rate", "200") as (_, url):
        probed = lanecast(home, "probe", url, "--seconds", "5", "--json")
        stranger = lanecast(home, "analyze", url, LANECAST_OPERATOR_TOKEN="e30.e30.e30")
        keys = load_keys(Settings(data_dir=Path(home["LANECAST_DATA_DIR"])))
        expired, anns = make_token(keys.operator, "op", ttl_seconds=-60), make_token(keys.token, "ann")
        late, client = (lanecast(home, "probe", url, LANECAST_OPERATOR_TOKEN=one) for one in (expired, anns))
        keyless = lanecast(home, "probe", url, "--seconds", "2", LANECAST_API_KEY="k")
    report.write_text(probed.stdout)
    analyzed = lanecast(home, "analyze", "report.json", "--json")
    assert probed.stderr == ""
    assert probed.returncode == 1
    assert any(trouble.startswith("trade: ") for trouble in json.loads(probed.stdout)["troubles"])
    findings = [asdict(finding) for finding in analyze_report(read_report(report))]
    # Which is named depends on how busy this machine is; a report that failed for lateness has always one.
    assert findings
    assert (json.loads(analyzed.stdout), analyzed.stderr, analyzed.returncode) == (findings, "", 1)
    assert "refused the API key" in keyless.stderr
    assert keyless.returncode == 1
    assert late.stderr == f"lanecast: {url} can't be looked into: token expired; {TOKEN_CURE}\n"
    assert client.stderr.endswith(
        f"does not take this token as an operator's (permission denied); {TOKEN_CURE}\n"
    )
    assert stranger.returncode == 1
    assert stranger.stderr == f"lanecast: {url} can't be looked into: invalid token; {TOKEN_CURE}\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{}", "is not a report"),
        (None, "there is no file report.json; the address of a server begins with http://"),
    ],
)
def test_what_is_no_report_is_one_sentence(home: dict[str, str], content: str | None, sentence: str) -> None:
    file = Path(home["LANECAST_DATA_DIR"]).parent / "report.json"
    if content is not None:
        file.write_text(content)
    told = lanecast(home, "analyze", "report.json")
    assert (told.returncode, told.stdout) == (2, "")
    assert sentence in told.stderr


def test_a_report_of_another_version_is_told_from_what_is_none(tmp_path: Path) -> None:
    document = msgspec.to_builtins(report())
    for health in document["observation"]["health"]:
        del health["tuning"]
    file = tmp_path / "report.json"
    file.write_bytes(msgspec.json.encode(document))
    with pytest.raises(ConfigError, match=r"is a report on a server of version 1\.0, .* `tuning`"):
        read_report(file)


@pytest.mark.parametrize(
    "command", [["probe"], ["probe", "--full"], ["analyze"], ["publish", "chat:a", "1", "--url"]]
)
def test_url_with_a_password_is_refused_and_not_repeated(home: dict[str, str], command: list[str]) -> None:
    told = lanecast(home, *command, "http://ann:hunter2/@127.0.0.1:9")
    assert (told.returncode, told.stdout) == (2, "")
    assert "url holds an @, and so a user or a password" in told.stderr
    assert "hunter2" not in told.stderr


def test_server_here_is_known_by_its_certificate_with_a_url_as_without(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path)
    settings = Settings(port=8_443, tls=tls)
    own = tls.certificate_file
    for url, trusted in (
        (None, own),
        ("https://127.0.0.1:8443", own),
        ("wss://localhost:8443/connection/websocket", own),
        ("https://127.0.0.1:8444", None),
        ("https://lanecast.example.com:8443", None),
        ("http://127.0.0.1:8443", None),
        ("https://[::1", None),
    ):
        assert certificate_of(lambda: settings, url) == trusted


def test_what_is_said_of_the_long_test_is_a_mistake_without_it_or_without_a_name(
    home: dict[str, str],
) -> None:
    alone = lanecast(home, "probe", "--report", "found")
    nameless = lanecast(home, "probe", "--full", "--report", ".")
    assert "they need --full" in alone.stderr
    assert "--report is '.', must end in a file's name" in nameless.stderr
    assert (alone.returncode, nameless.returncode) == (2, 2)


def test_long_test_that_fails_leaves_an_earlier_report_and_no_empty_one(home: dict[str, str]) -> None:
    directory = Path(home["LANECAST_DATA_DIR"]).parent
    earlier, other = directory / "found.json", directory / "found.html"
    earlier.write_text("earlier")
    failed = started(home, "probe", "http://127.0.0.1:9", "--full", "--report", "found")  # it forks
    assert failed.returncode == 1
    assert earlier.read_text() == "earlier"
    assert not other.exists()
