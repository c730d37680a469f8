import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.keyring import KeyFiles, Keyring
from monitor.keys import NAMES, check_given_keys, load_keys, rotate_key
from monitor.serve.tokens import InvalidToken, TokenReader, make_token

GIVEN = {"api_key": "a" * 16, "operator_key": "o" * 16, "token_key": "t" * 16}


def settings_in(directory: Path, **changes: Any) -> Settings:
    return Settings(data_dir=directory, **changes)


def test_first_start_makes_keys_that_later_starts_keep(tmp_path: Path) -> None:
    first = load_keys(settings_in(tmp_path / "data"))
    assert load_keys(settings_in(tmp_path / "data")) == first
    assert len({first.api, first.operator, first.token}) == 3


def test_key_files_are_the_owners_alone(tmp_path: Path) -> None:
    load_keys(settings_in(tmp_path / "data"))
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert files == {"api.key": 0o600, "operator.key": 0o600, "token.key": 0o600}


def test_given_keys_touch_no_directory(tmp_path: Path) -> None:
    keys = load_keys(settings_in(tmp_path / "data", **GIVEN))
    assert (keys.api, keys.operator, keys.token) == ("a" * 16, "o" * 16, "t" * 16)
    assert not (tmp_path / "data").exists()


def test_repr_hides_the_keys(tmp_path: Path) -> None:
    assert repr(load_keys(settings_in(tmp_path, **GIVEN))) == "Keys()"


def test_key_file_open_to_others_stops_the_start(tmp_path: Path) -> None:
    load_keys(settings_in(tmp_path))
    (tmp_path / "token.key").chmod(0o640)
    with pytest.raises(ConfigError, match=r"token\.key is open to others \(mode 0640\); run: chmod 600"):
        load_keys(settings_in(tmp_path))


@pytest.mark.parametrize("content", ["", "short\n", "               \n"])
def test_cut_short_key_file_stops_the_start(tmp_path: Path, content: str) -> None:
    load_keys(settings_in(tmp_path))
    (tmp_path / "api.key").write_text(content)
    with pytest.raises(ConfigError, match=r"api\.key holds \d+ characters.*delete it for a new one"):
        load_keys(settings_in(tmp_path))


def test_key_file_that_is_no_text_stops_the_start(tmp_path: Path) -> None:
    load_keys(settings_in(tmp_path))
    (tmp_path / "api.key").write_bytes(b"\xff" * 32)
    with pytest.raises(ConfigError, match=r"api\.key can't be used: is not text"):
        load_keys(settings_in(tmp_path))


def test_data_directory_that_is_a_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(
        ConfigError, match=r"data/api\.key can't be used: File exists; set data_dir or api_key"
    ):
        load_keys(settings_in(tmp_path / "data"))


def test_empty_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token_key has 0 characters"):
        load_keys(settings_in(tmp_path, **{**GIVEN, "token_key": ""}))


def test_short_key_is_refused_only_beyond_loopback(tmp_path: Path) -> None:
    short = {**GIVEN, "token_key": "secret"}
    assert load_keys(settings_in(tmp_path, host="::1", **short)).token == "secret"
    with pytest.raises(
        ConfigError, match=r"token_key has 6 characters; on host 0\.0\.0\.0 it needs at least 16"
    ):
        load_keys(settings_in(tmp_path, host="0.0.0.0", **short))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"host": "0.0.0.0", "api_key": "secret"}, "api_key has 6 characters"),
        ({"token_key": ""}, "token_key has 0 characters"),
        ({"operator_key": "same", "token_key": "same"}, "every client would be an operator"),
    ],
)
def test_given_keys_are_checked_without_a_file(tmp_path: Path, given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_given_keys(settings_in(tmp_path / "data", **given))
    check_given_keys(settings_in(tmp_path / "data", operator_key="one"))
    assert list(tmp_path.iterdir()) == []


def test_one_key_for_operators_and_clients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="every client would be an operator"):
        load_keys(settings_in(tmp_path, **{**GIVEN, "token_key": GIVEN["operator_key"]}))


def test_rotated_key_is_new_and_the_old_one_is_taken_for_a_while(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, key_overlap_seconds=60)
    before = load_keys(settings)
    path = rotate_key(settings, "operator", at_once=False)
    after = load_keys(settings)
    assert (after.api, after.token) == (before.api, before.token)
    assert after.operator != before.operator
    keyring = Keyring(after)
    assert keyring.operator == (after.operator, before.operator, keyring.console)
    os.utime(path, (0, time.time() - 61))
    assert Keyring(load_keys(settings)).operator[:-1] == (after.operator,)


def test_clock_set_back_does_not_bring_an_old_key_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path, key_overlap_seconds=60)
    load_keys(settings)
    rotate_key(settings, "api", at_once=False)
    keyring, now = Keyring(load_keys(settings)), time.time()
    counting = []
    for step_seconds in (-86_400, -50, 0, 50, 86_400):
        monkeypatch.setattr(time, "time", lambda step=step_seconds: now + step)
        counting.append(len(keyring.api))
    assert counting == [1, 2, 2, 2, 1]


def test_rotation_at_once_forgets_the_old_key_and_the_one_before(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    load_keys(settings)
    rotate_key(settings, "api", at_once=False)
    rotate_key(settings, "api", at_once=True)
    assert len(Keyring(load_keys(settings)).api) == 1


def test_rotated_files_are_the_owners_alone_and_no_draft_is_left(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    load_keys(settings)
    rotate_key(settings, "token", at_once=False)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert files == dict.fromkeys(["api.key", "operator.key", "token.key", "token.old.key"], 0o600)


def test_given_key_is_not_rotated_behind_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="api_key is given in the settings: change it there"):
        rotate_key(settings_in(tmp_path, **GIVEN), "api", at_once=False)
    assert list(tmp_path.iterdir()) == []


def test_running_keyring_takes_what_the_files_hold_now(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, token_key="t" * 16)
    before = load_keys(settings)
    keyring = Keyring(before)
    files = KeyFiles(settings, keyring)
    assert {path.name for path in files.files} == {
        "api.key",
        "api.old.key",
        "operator.key",
        "operator.old.key",
    }
    rotate_key(settings, "api", at_once=False)
    files.load()
    assert keyring.api[1:] == (before.api,)
    (tmp_path / "api.key").chmod(0o644)
    with pytest.raises(ConfigError, match="open to others"):
        files.load()
    assert keyring.api[1:] == (before.api,)


def test_own_console_stays_an_operator_whatever_is_rotated(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    keyring = Keyring(load_keys(settings))
    reader, token = TokenReader(keyring, settings), make_token(keyring.console, "console")
    stranger = make_token(Keyring(load_keys(settings)).console, "console")
    for name in NAMES:
        rotate_key(settings, name, at_once=True)
    keyring.replace(load_keys(settings))
    assert reader.read(token, time.time()).is_operator
    with pytest.raises(InvalidToken):
        reader.read(stranger, time.time())
