"""Fossil deltas (fossil-scm.org, "delta format"): one text told as a change of another.

The text before is indexed in blocks, so that edits far apart each cost only themselves. Inserted
bytes begin and end where characters do: the delta is itself text, and travels in a JSON string.
Its cost is bounded: a long text, or one with little of the other in it, is not told as a change.
"""

import struct

LIMIT_BYTES = 8_192
EFFORT = 1_024
"""Places looked at in vain. The worst of texts take 0.4 ms then, part of a fan-out's slice."""
_COPY_EFFORT = 16
"""A copy costs what so many places do."""

_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_BLOCK_BYTES = 16
_STRIDE_BYTES = 64


def encode_delta(source: bytes, target: bytes) -> bytes | None:
    """The delta that makes one UTF-8 text of another; None if it would be no shorter, or too costly."""
    if max(len(source), len(target)) > LIMIT_BYTES:
        return None
    commands = _commands(source, target)
    if commands is None:
        return None
    delta = b"%s\n%s%s;" % (_number(len(target)), commands, _number(_checksum(target)))
    return delta if len(delta) < len(target) else None


def _commands(source: bytes, target: bytes) -> bytes | None:
    """Copies from the source and insertions; None once too much of the target was looked for in vain."""
    blocks = {
        source[at : at + _BLOCK_BYTES]: at for at in range(0, len(source) - _BLOCK_BYTES + 1, _BLOCK_BYTES)
    }
    commands = bytearray()
    told = at = _copy(commands, source, 0, target, 0, 0)
    effort = EFFORT
    while at <= len(target) - _BLOCK_BYTES and effort > 0:
        found = blocks.get(target[at : at + _BLOCK_BYTES])
        if found is None:
            at += 1
            effort -= 1
        else:
            told = _copy(commands, source, found, target, at, told)
            at = max(told, at + 1)
            effort -= _COPY_EFFORT
    if effort <= 0:
        return None
    _insert(commands, target[told:])
    return bytes(commands)


def _copy(commands: bytearray, source: bytes, found: int, target: bytes, at: int, told: int) -> int:
    """Tell all that two equal places have in common, and before it what was not told yet.

    Returns:
        How much of the target is told now; as much as before if copying was not worth it.
    """
    end = at + _common_length(source, found, target, at)
    while at > told and found > 0 and source[found - 1] == target[at - 1]:
        at, found = at - 1, found - 1
    while at < end and _is_inside_character(target, at):
        at, found = at + 1, found + 1
    while end > at and _is_inside_character(target, end):
        end -= 1
    if end - at < _BLOCK_BYTES // 2:
        return told
    _insert(commands, target[told:at])
    commands += b"%s@%s," % (_number(end - at), _number(found))
    return end


def _insert(commands: bytearray, text: bytes) -> None:
    if text:
        commands += b"%s:%s" % (_number(len(text)), text)


def _is_inside_character(text: bytes, at: int) -> bool:
    return at < len(text) and text[at] & 0xC0 == 0x80


def _common_length(one: bytes, at: int, other: bytes, other_at: int) -> int:
    """How many bytes are the same from two places on; strides and integers compare in C."""
    length = 0
    while True:
        left = one[at + length : at + length + _STRIDE_BYTES]
        right = other[other_at + length : other_at + length + _STRIDE_BYTES]
        if left != right or not left:
            break
        length += len(left)
    shorter = min(len(left), len(right))
    difference = int.from_bytes(left[:shorter], "little") ^ int.from_bytes(right[:shorter], "little")
    return length + ((difference & -difference).bit_length() - 1) // 8 if difference else length + shorter


def _number(value: int) -> bytes:
    """Base 64, most significant digit first."""
    digits = bytearray()
    while value or not digits:
        digits.append(_DIGITS[value & 63])
        value >>= 6
    return bytes(reversed(digits))


def _checksum(text: bytes) -> int:
    """The sum of its 32-bit words, big-endian, filled up with zeros."""
    padded = text + bytes(-len(text) % 4)
    total: int = sum(struct.unpack(f">{len(padded) // 4}I", padded))
    return total & 0xFFFFFFFF
