"""The three secrets: of the HTTP API, of operators, of client tokens.

What the settings don't give is made once and kept in the data directory, readable by its owner
alone. A key file that others can read, or that was cut short, stops the start: going on would
run a door whose key is in the street.
"""

import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from monitor.config import Settings
from monitor.errors import ConfigError

LENGTH_MIN = 16
"""Characters; a shorter one is guessed offline from any token. On loopback a given key may be shorter."""


@dataclass(frozen=True, slots=True)
class Keys:
    api: str = field(repr=False)
    operator: str = field(repr=False)
    token: str = field(repr=False)


def load_keys(settings: Settings) -> Keys:
    """Take each key from the settings, else from `data_dir`, making it there at the first start.

    Raises ConfigError for a key or a key file that is not safe to use.
    """
    keys = Keys(
        api=_key("api", settings.api_key, settings),
        operator=_key("operator", settings.operator_key, settings),
        token=_key("token", settings.token_key, settings),
    )
    _keep_apart(keys.operator, keys.token)
    return keys


def check_given_keys(settings: Settings) -> None:
    """Raise ConfigError for a given key that no start would take; touches no file."""
    given = {
        name: _given_key(name, key, settings)
        for name, key in (
            ("api", settings.api_key),
            ("operator", settings.operator_key),
            ("token", settings.token_key),
        )
        if key is not None
    }
    if "operator" in given:
        _keep_apart(given["operator"], given.get("token"))


def _keep_apart(operator: str, token: str | None) -> None:
    if operator == token:
        raise ConfigError("operator_key and token_key are the same: every client would be an operator")


def _key(name: str, given: SecretStr | None, settings: Settings) -> str:
    return _kept_key(settings.data_dir, f"{name}.key") if given is None else _given_key(name, given, settings)


def _given_key(name: str, given: SecretStr, settings: Settings) -> str:
    key = given.get_secret_value()
    length_min = 1 if _is_loopback(settings.host) else LENGTH_MIN
    if len(key) < length_min:
        raise ConfigError(
            f"{name}_key has {len(key)} characters; on host {settings.host} it needs at least {length_min}"
        )
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _kept_key(directory: Path, name: str) -> str:
    path = directory / name
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        return _read_key(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigError(f"{path} can't be used: {reason}; set data_dir or {path.stem}_key") from None


def _make_key(path: Path) -> None:
    """Write the whole key beside its place, then link it there: two first starts at once agree on one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


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
