"""Patches of `state` channels: sections of keys with absolute values, `null` removes.

Two patches merge into one that has the same effect as both in order, so a slow client can be
given one change instead of many; for that, a section is an object always or never. Values stay
the bytes that were sent: parsing and re-serialising would change long numbers.
"""

import msgspec

Sections = dict[str, "msgspec.Raw | dict[str, msgspec.Raw]"]
"""A section is an object of raw values by key, or one raw value that replaces whatever stood there."""

_NULL = b"null"
_outer = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def parse_patch(data: bytes) -> Sections:
    """Split a patch into its sections.

    Raises:
        ValueError: the text is not a JSON object.
    """
    try:
        return {name: _parse_section(raw) for name, raw in _outer.decode(data).items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"a state publication must be an object of sections: {error}") from None


def _parse_section(raw: msgspec.Raw) -> "msgspec.Raw | dict[str, msgspec.Raw]":
    return _outer.decode(raw) if bytes(raw).startswith(b"{") else raw


def merge(older: Sections, newer: Sections) -> Sections:
    """One patch for both; a removal stays in it, since the client may hold the key."""
    merged = dict(older)
    for name, section in newer.items():
        before = merged.get(name)
        if isinstance(section, dict) and isinstance(before, dict):
            merged[name] = {**before, **section}
        else:
            merged[name] = section
    return merged


def apply_patch(whole: Sections, patch: Sections) -> Sections:
    """The state after a patch: as `merge`, but removed keys are gone."""
    return {name: _without_nulls(section) for name, section in merge(whole, patch).items()}


def _without_nulls(section: "msgspec.Raw | dict[str, msgspec.Raw]") -> "msgspec.Raw | dict[str, msgspec.Raw]":
    if not isinstance(section, dict):
        return section
    return {key: value for key, value in section.items() if bytes(value) != _NULL}


def encode_patch(sections: Sections) -> bytes:
    return _encode(sections)
