"""What a person is told about a setting that is wrong.

One sentence an error: the key as TOML writes it, its value, where it came from, what is allowed.
A secret's value and that of an unknown key (it may be a misspelt secret) are never repeated.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

KeyPath = tuple[str, ...]
"""A key, split at its dots."""

_SECRET = re.compile(r"(key|secret)$")

_ALLOWED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "path": "a path",
    "ip": "an address or a network, as 10.0.0.0/8",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
}
"""By the first word of pydantic's error type, for those that end in `_type` or `_parsing`."""


def describe(error: ValidationError, model: type[BaseModel], origin: Callable[[KeyPath], str]) -> str:
    """Return one line for each thing that is wrong; `origin(path)` says where a value came from."""
    return "\n".join(_sentence(details, model, origin) for details in error.errors(include_url=False))


def dotted(path: KeyPath) -> str:
    return ".".join(path)


def suggestion(name: str, allowed: Sequence[str]) -> str:
    """Return what to write instead of the unknown `name`: the nearest of `allowed`, else all of them."""
    near = _nearest(name, allowed)
    return f"did you mean {near}?" if near else f"allowed are {', '.join(sorted(allowed))}"


def meant(path: KeyPath, model: type[BaseModel]) -> KeyPath | None:
    """Return the key that an unknown one was likely meant to be.

    A key without its table goes first (`rate` is `simulator.rate`), then one that is written alike:
    beside the unknown one, or in a table that it was left out of (`conections` is `limits.connections`).
    """
    *table, name = path
    tables = _keys_of_tables(model)
    if name in tables:
        return tables[name]
    if beside := _nearest(name, fields_at(model, tuple(table))):
        return (*table, beside)
    inside = _nearest(name, tables)
    return tables[inside] if inside else None


def fields_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that are allowed in the table at `path`."""
    for name in path:
        field = model.model_fields.get(name)
        model = _section(field.annotation) or model if field else model
    return list(model.model_fields)


def _nearest(name: str, allowed: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(name, list(allowed), n=1)), None)


def _keys_of_tables(model: type[BaseModel]) -> dict[str, KeyPath]:
    """Where the keys of the tables belong, by their names; of a table of tables (`kinds`) in a NAME's."""
    found: dict[str, KeyPath] = {}
    for table, field in model.model_fields.items():
        if section := _section(field.annotation):
            path = (table, "NAME") if get_origin(field.annotation) is dict else (table,)
            found |= {name: (*path, name) for name in section.model_fields}
    return found


def _sentence(details: ErrorDetails, model: type[BaseModel], origin: Callable[[KeyPath], str]) -> str:
    path = details.get("ctx", {}).get("path") or tuple(
        str(step) for step in details["loc"] if step != "[key]"
    )
    key, place = dotted(path), origin(path)
    if details["type"] == "extra_forbidden":
        return f"{key} {place} is not a setting; {_hint(path, model)}"
    if details["type"] == "missing":
        return f"{key} is missing {place}"
    return f"{key}{_shown(path, details['input'])} {place}: {_bound(details)}"


def _hint(path: KeyPath, model: type[BaseModel]) -> str:
    whole = meant(path, model)
    return f"did you mean {dotted(whole)}?" if whole else suggestion(path[-1], fields_at(model, path[:-1]))


def _shown(path: KeyPath, value: object) -> str:
    if _SECRET.search(path[-1]) or not isinstance(value, str | int | float):
        return ""
    return f" is {_clipped(repr(value) if not isinstance(value, bool) else repr(value).lower())}"


def _clipped(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


def _bound(details: ErrorDetails) -> str:
    kind, _, problem = details["type"].partition("_")
    if kind in _ALLOWED and problem in ("type", "parsing", "from_float", "attributes_type", "any_network"):
        return f"must be {_ALLOWED[kind]}"
    message = details["msg"].removeprefix("Value error, ").partition(" after validation")[0]
    message = re.sub(r"^(Input|Value|List|String) should ", "must ", message)
    return message.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the table that an annotation such as `Limits`, `X | None` or `dict[str, X]` holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section(part))), None)
