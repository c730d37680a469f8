"""The three secrets: of the HTTP API, of operators, of client tokens.

What the settings don't give is made once and kept in the data directory, readable by its owner
alone. A key file that others can read, or that was cut short, stops the start: going on would
run a door whose key is in the street.
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from monitor.address import is_loopback
from monitor.config import Settings
from monitor.errors import ConfigError

LENGTH_MIN = 16
"""Characters; a shorter one is guessed offline from any token. On loopback a given key may be shorter."""


NAMES = ("api", "operator", "token")


class OldKey(NamedTuple):
    """What a rotation replaced, for as long as it is still taken."""

    name: str
    key: str
    replaced: float
    """Unix seconds."""
    overlap_seconds: float

    def counts(self, now: float) -> bool:
        """Whether it is taken at a time: not for as long as a clock is set back, either."""
        return abs(now - self.replaced) < self.overlap_seconds


@dataclass(frozen=True, slots=True)
class Keys:
    api: str = field(repr=False)
    operator: str = field(repr=False)
    token: str = field(repr=False)
    old: tuple[OldKey, ...] = field(repr=False, default=())


def load_keys(settings: Settings) -> Keys:
    """Take each key from the settings, else from `data_dir`, making it there at a server's first start.

    Raises ConfigError for a key or a key file that is not safe to use.
    """
    api, operator, token = (_key(name, settings) for name in NAMES)
    old = tuple(found for name in NAMES if (found := _old_key(name, settings)) is not None)
    keys = Keys(api, operator, token, old)
    _keep_apart(keys.operator, keys.token)
    return keys


def find_key(name: str, settings: Settings) -> str:
    """Take a key of a server's from the settings or its `data_dir`; makes none, for no server would know it.

    Raises ConfigError for a key that is not there, or not safe to use.
    """
    given = _given(name, settings)
    return _found_key(_file(name, settings)) if given is None else _given_key(name, given, settings)


def check_given_keys(settings: Settings) -> None:
    """Raise ConfigError for a given key that no start would take; touches no file."""
    given = {
        name: _given_key(name, key, settings) for name in NAMES if (key := _given(name, settings)) is not None
    }
    if "operator" in given:
        _keep_apart(given["operator"], given.get("token"))


def _keep_apart(operator: str, token: str | None) -> None:
    if operator == token:
        raise ConfigError("operator_key and token_key are the same: every client would be an operator")


def rotate_key(settings: Settings, name: str, *, at_once: bool) -> Path:
    """Put a new key in the place of a kept one; returns its file.

    Servers that run take it by themselves, and the old one for `key_overlap_seconds` still; `at_once`
    they don't. Raises ConfigError for a key that the settings give, or one that can't be read.
    """
    if _given(name, settings) is not None:
        raise ConfigError(f"{name}_key is given in the settings: change it there, and start the server again")
    path, old = _file(name, settings), _old_file(name, settings)
    before = _found_key(path)
    try:
        if at_once:
            old.unlink(missing_ok=True)
        else:
            os.replace(_write_draft(old, before), old)
        os.replace(_write_draft(path, secrets.token_urlsafe(32)), path)
    except OSError as error:
        raise ConfigError(f"{path} can't be replaced: {error.strerror or error}") from None
    return path


def key_files(settings: Settings) -> list[Path]:
    """Where the keys are that the settings don't give, today's and those from before."""
    kept = [name for name in NAMES if _given(name, settings) is None]
    return [file(name, settings) for name in kept for file in (_file, _old_file)]


def _file(name: str, settings: Settings) -> Path:
    return settings.data_dir / f"{name}.key"


def _old_file(name: str, settings: Settings) -> Path:
    return settings.data_dir / f"{name}.old.key"


def _given(name: str, settings: Settings) -> SecretStr | None:
    given: SecretStr | None = getattr(settings, f"{name}_key")
    return given


def _key(name: str, settings: Settings) -> str:
    given = _given(name, settings)
    return _kept_key(_file(name, settings)) if given is None else _given_key(name, given, settings)


def _old_key(name: str, settings: Settings) -> OldKey | None:
    """The key before the last rotation; how long it counts is told by the file that replaced it."""
    path = _old_file(name, settings)
    if _given(name, settings) is not None or not path.exists():
        return None
    replaced = _file(name, settings).stat().st_mtime
    return OldKey(name, _found_key(path), replaced, settings.key_overlap_seconds)


def _given_key(name: str, given: SecretStr, settings: Settings) -> str:
    key = given.get_secret_value()
    length_min = 1 if is_loopback(settings.host) else LENGTH_MIN
    if len(key) < length_min:
        raise ConfigError(
            f"{name}_key has {len(key)} characters; on host {settings.host} it needs at least {length_min}"
        )
    return key


def _kept_key(path: Path) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
    except OSError as error:
        raise _unusable(path, error) from None
    return _found_key(path)


def _found_key(path: Path) -> str:
    try:
        return _read_key(path)
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is not there: a server makes it at its first start. Name the directory that it uses with"
            f" --data-dir, or its settings with --config; or set {path.stem}_key"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError | UnicodeDecodeError) -> ConfigError:
    reason = getattr(error, "strerror", None) or "is not text"
    return ConfigError(f"{path} can't be used: {reason}; set data_dir or {path.stem}_key")


def _make_key(path: Path) -> None:
    """Write the whole key beside its place, then link it there: two first starts at once agree on one."""
    draft = _write_draft(path, secrets.token_urlsafe(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _write_draft(path: Path, key: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
    return draft


def _read_key(path: Path) -> str:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigError(f"{path} is open to others (mode {mode:04o}); run: chmod 600 {path}")
    key = path.read_text().strip()
    if len(key) < LENGTH_MIN:
        raise ConfigError(
            f"{path} holds {len(key)} characters, not a key of at least {LENGTH_MIN}; delete it for a new one"
        )
    return key
