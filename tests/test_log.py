import logging
import time
from pathlib import Path

import pytest

from monitor import __version__
from monitor.log import FORMAT, OneLine
from tests.process import lanecast_process


def formatted(text: str, error: Exception | None = None) -> str:
    info = (type(error), error, None) if error else None
    record = logging.LogRecord("lanecast.alerts", logging.WARNING, "", 0, "raised: %s", (text,), info)
    return OneLine("%(levelname)s %(message)s").format(record)


def test_what_a_peer_says_begins_no_line_and_steers_no_terminal() -> None:
    said = "1002 bye\r\nCRITICAL lanecast.journal: lost\u2028\x1b[2J"
    assert formatted(said) == (r"WARNING raised: 1002 bye\r\nCRITICAL lanecast.journal: lost\u2028\x1b[2J")


def test_words_stay_as_they_are_and_a_traceback_keeps_its_lines() -> None:
    assert formatted("Zoë's § 5 · 日本") == "WARNING raised: Zoë's § 5 · 日本"
    assert formatted("x", ValueError("y")).splitlines() == ["WARNING raised: x", "ValueError: y"]


def test_times_are_utc_as_those_in_the_lines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    record = logging.makeLogRecord(
        {"name": "lanecast", "created": 1_700_000_000.25, "msecs": 250.0, "msg": "x"}
    )
    try:
        assert OneLine(FORMAT).format(record).startswith("2023-11-14T22:13:20.250Z ")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_log_of_a_server_says_when_it_began_and_why_it_ended(tmp_path: Path) -> None:
    with lanecast_process(tmp_path) as server:
        pass
    began, *_, ended = (tmp_path / "log").read_text().splitlines()
    begun = f"INFO lanecast: serves {server.address}, version {__version__}, data in {tmp_path}/data"
    assert began.endswith(begun)
    assert ended.endswith("INFO lanecast: SIGTERM: ending")
