import stat
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.keys import check_given_keys, load_keys

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
