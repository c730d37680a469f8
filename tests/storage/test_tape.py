import gzip
from pathlib import Path

import pytest
import zstandard

from monitor.errors import CaptureError
from monitor.storage.tape import RestBody, TapeLine, read_rest, read_tape
from tests.captures import CAPTURES

LINES = b'{"ts":1.5,"dir":"in","raw":"a"}\n\n{"ts":null,"dir":"out","raw":"b"}\n'
EXPECTED = [TapeLine(1.5, True, "a"), TapeLine(None, False, "b")]
FORMS = {
    "plain": LINES,
    "gzip": gzip.compress(LINES, mtime=0),
    "zstd": zstandard.compress(LINES),
    "zstd in two frames": zstandard.compress(LINES[:33]) + zstandard.compress(LINES[33:]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_whatever_its_name(tmp_path: Path, form: str) -> None:
    path = tmp_path / "session.anything"
    path.write_bytes(FORMS[form])
    assert list(read_tape(path)) == EXPECTED


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\n", "line 1"),
        (b"[1]\n", "line 1"),
        (LINES + b'{"ts":1,"dir":"in"}\n', "line 4: raw"),
        (b'{"ts":"now","dir":"in","raw":""}\n', "ts must be"),
        (b'{"ts":true,"dir":"in","raw":""}\n', "ts must be"),
        (b'{"ts":1,"dir":"up","raw":""}\n', "'up'"),
        (gzip.compress(LINES, mtime=0)[:-12], "damaged"),
        (gzip.compress(LINES, mtime=0)[:20] + b"\0" * 20, "damaged"),
        (zstandard.compress(LINES)[:6] + b"\xff" * 20, "damaged"),
        (b"\x1f\x8b\x08\x00" + b"\0" * 6 + b"\xff" * 9, "damaged"),
    ],
)
def test_what_is_no_recording_is_said_in_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "session.jsonl"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=words) as caught:
        list(read_tape(path))
    assert "\n" not in str(caught.value)


def test_missing_and_unreadable_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="no recorded session at"):
        list(read_tape(tmp_path / "absent"))
    with pytest.raises(CaptureError, match="can't read"):
        list(read_tape(tmp_path))


def test_rest_bodies_lie_beside_the_session_in_any_form(tmp_path: Path) -> None:
    body = b'{"ts":2,"url":null,"raw":"{}"}\n'
    (tmp_path / "session_rest.jsonl.zst").write_bytes(zstandard.compress(body))
    assert list(read_rest(tmp_path / "session.jsonl.gz")) == [RestBody(2.0, None, "{}")]
    assert list(read_rest(tmp_path / "other.jsonl.gz")) == []


def test_wrong_rest_address_is_said(tmp_path: Path) -> None:
    (tmp_path / "session_rest.jsonl").write_bytes(b'{"ts":2,"url":7,"raw":"{}"}\n')
    with pytest.raises(CaptureError, match="url must be"):
        list(read_rest(tmp_path / "session.jsonl"))


@pytest.mark.skipif(not CAPTURES.exists(), reason="../shared/captures is absent")
def test_every_recorded_session_is_read() -> None:
    sessions = [path for path in CAPTURES.rglob("*.jsonl.gz") if not path.stem.endswith("_rest.jsonl")]
    counts = {path.name: sum(1 for _ in read_tape(path)) for path in sessions}
    assert counts["spot_btcusdt_20240808.jsonl.gz"] == 99_573
    assert all(counts.values())
