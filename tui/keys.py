"""Which key does what: the operator's own keys, from his file, over those that the views come with.

They are looked at before the console starts, beside all that can have the keys at the same time: a key
that nobody knows, or that two actions share, would do nothing, or the wrong thing, when it is needed.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.keys import Keys, key_to_character

from monitor.errors import ConfigError

MODIFIERS = frozenset({"ctrl", "alt", "shift", "super", "hyper", "meta"})
_NAMES = frozenset(key.value for key in Keys)

Scope = Mapping[str, Binding]
"""By key, what is done where several parts of the screen can be told at the same time."""


def scope_of(parts: Iterable[type[DOMNode]]) -> Scope:
    """What each key does; of several parts that know a key the first counts, as on the screen."""
    found: dict[str, Binding] = {}
    for part in parts:
        for level in part.__mro__:
            for key, bindings in BindingsMap(level.__dict__.get("BINDINGS", ())).key_to_bindings.items():
                found.setdefault(key, bindings[0])
    return found


def read_keys(path: Path, scopes: Sequence[Scope]) -> dict[str, str]:
    """The keys that the file gives, by action; several are parted by commas. Without a file none.

    Raises:
        ConfigError: it can't be read, or names an action or a key that is none, or a key twice.
    """
    given = _given(path)
    names = {binding.id for scope in scopes for binding in scope.values() if binding.id}
    for action, keys in given.items():
        where = f"{path}: keys.{action}"
        if action not in names:
            near = difflib.get_close_matches(action, names, 1) or sorted(names)
            raise ConfigError(f"{where} is no action; did you mean {' or '.join(near)}?")
        if not isinstance(keys, str) or not all(_is_key(key) for key in _split(keys)):
            raise ConfigError(f"{where} is {keys!r}, must be keys as 'x', '?', 'f5' or 'ctrl+x,pagedown'")
    normal = {action: ",".join(_normal(key) for key in _split(keys)) for action, keys in given.items()}
    for scope in scopes:
        _check_once(path, normal, scope)
    return normal


def _given(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from None
    if others := tables.keys() - {"keys"}:
        raise ConfigError(f"{path}: {min(others)} is not known; the table [keys] is all that is read")
    keys = tables.get("keys", {})
    if not isinstance(keys, dict):
        raise ConfigError(f"{path}: keys is {keys!r}, must be a table")
    return keys


def _check_once(path: Path, given: Mapping[str, str], scope: Scope) -> None:
    """No key that was given may do something else in the same place."""
    holders = {key: binding for key, binding in scope.items() if binding.id not in given}
    for action in dict.fromkeys(binding.id for binding in scope.values() if binding.id in given):
        assert action
        for key in _split(given[action]):
            holder = holders.setdefault(key, Binding(key, "", id=action))
            if holder.id != action:
                name = holder.id or holder.description or holder.action
                raise ConfigError(f"{path}: keys.{action} is {key!r}, which is the key of {name} already")


def _split(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",")]


def _normal(key: str) -> str:
    """As Textual calls it: `?` is `question_mark`."""
    (name,) = BindingsMap([Binding(key, "")]).key_to_bindings
    return name


def _is_key(key: str) -> bool:
    *modifiers, name = key.split("+") if len(key) > 1 else [key]
    is_named = name in _NAMES or key_to_character(name) is not None
    return bool(name) and is_named and MODIFIERS.issuperset(modifiers)
