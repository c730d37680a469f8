"""Where settings are written, and which place wins.

The command line goes over the environment, that over the file. Each source keeps what it said, so
that an error can name the place to mend; a variable or key that nobody reads is an error, because
a misspelt limit that is passed over in silence is found out too late.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from monitor.config.validation import KeyPath, meant, suggestion
from monitor.errors import ConfigError

PREFIX = "LANECAST_"

COMMAND_VARIABLES = frozenset(
    {"LANECAST_CERTIFICATE", "LANECAST_CONFIG", "LANECAST_OPERATOR_TOKEN", "LANECAST_URL"}
)
"""Read by commands; not settings."""


class Source(NamedTuple):
    values: dict[str, Any]
    place: Callable[[KeyPath], str]
    """Says where the value at a path is written: `in LANECAST_PORT`."""


def read_overrides(overrides: Mapping[str, Any]) -> Source:
    """Take the command line's values, keyed by dotted keys."""
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        nested = reduce(lambda inner, name: {name: inner}, reversed(key.split(".")), value)
        values = _over(values, nested)
    return Source(values, lambda _: "on the command line")


def read_environment(model: type[BaseSettings]) -> Source:
    """Take the variables that belong to `model`; raises ConfigError for one that belongs to nothing."""
    names = {name.upper() for name in os.environ if name.upper().startswith(PREFIX)} - COMMAND_VARIABLES
    known = [_variable((name,)) for name in model.model_fields]
    for name in sorted(names):
        first = name.split("__")[0]
        if first not in known:
            whole = meant((name.removeprefix(PREFIX).lower(),), model)
            hint = f"did you mean {_variable(whole)}?" if whole else suggestion(first, known)
            raise ConfigError(f"{name} in the environment is not a setting; {hint}")
    try:
        values = EnvSettingsSource(model)()
    except SettingsError as error:
        raise ConfigError(f"the environment can't be read: {error}: {error.__cause__}") from None

    def place(path: KeyPath) -> str:
        variables = (_variable(path[:length]) for length in range(len(path), 0, -1))
        return f"in {next((name for name in variables if name in names), 'the environment')}"

    return Source(values, place)


def read_file(path: Path) -> Source:
    """Take a TOML file's values; raises ConfigError if it can't be read."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: byte {error.start} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {_described(error, text)}") from None
    return Source(values, lambda _: f"in {path}")


def _described(error: tomllib.TOMLDecodeError, text: str) -> str:
    """What is wrong; of a key that is there twice, which: its value may be a secret."""
    lines = text.rstrip().splitlines()
    if not (found := re.match(r"Cannot overwrite a value \(at (?:line (\d+)|end)", str(error))):
        return str(error)
    number = int(found[1] or len(lines))
    key, sign, _ = lines[number - 1].partition("=")
    return f"line {number} sets {key.strip() if sign else 'a key'} a second time"


def merge(sources: Sequence[Source]) -> dict[str, Any]:
    """Lay the sources over each other, key by key; the first one wins."""
    return reduce(_over, (source.values for source in reversed(sources)), {})


def place(sources: Sequence[Source], path: KeyPath) -> str:
    """Say which source wrote the path, or what is nearest above it."""
    for length in range(len(path), 0, -1):
        for source in sources:
            if _holds(source.values, path[:length]):
                return source.place(path)
    return "in the defaults"


def _variable(path: KeyPath) -> str:
    return f"{PREFIX}{'__'.join(path)}".upper()


def _over(lower: Mapping[str, Any], higher: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for key, value in higher.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _holds(values: Any, path: KeyPath) -> bool:
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True
