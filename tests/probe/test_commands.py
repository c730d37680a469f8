"""The commands as a person runs them, against a server of their own process."""

import json
import os
from pathlib import Path

import pytest

from tests.test_cli import ROOT, lanecast, serving


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LANECAST_")}
    return {**kept, "PYTHONPATH": str(ROOT), "LANECAST_DATA_DIR": str(tmp_path / "data")}


def test_a_server_is_analyzed_from_outside_with_the_key_of_its_data_directory(home: dict[str, str]) -> None:
    with serving(home, "serve", "--log-level", "error", "--set", "tick_ms=400", "--rate", "200") as (_, url):
        listening = lanecast(home, "analyze", url, "--seconds", "2", "--json")
        stranger = lanecast(home, "analyze", url, LANECAST_OPERATOR_TOKEN="e30.e30.e30")
    findings = json.loads(listening.stdout)
    assert listening.returncode == bool(findings)
    assert listening.stderr == ""
    assert stranger.returncode == 1
    assert stranger.stderr == f"lanecast: {url} can't be probed: invalid token\n"


@pytest.mark.parametrize(
    ("content", "sentence"), [("{}", "is not a report"), (None, "can't be read: No such")]
)
def test_what_is_no_report_is_one_sentence(home: dict[str, str], content: str | None, sentence: str) -> None:
    file = Path(home["LANECAST_DATA_DIR"]).parent / "report.json"
    if content is not None:
        file.write_text(content)
    told = lanecast(home, "analyze", "report.json")
    assert (told.returncode, told.stdout) == (2, "")
    assert sentence in told.stderr
