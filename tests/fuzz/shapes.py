"""Mutants that keep their shape: JSON with another value, a head with another header, frames with other bits.

Bytes that are changed at random are refused at the first look. What lies behind is found by what
is well-formed and wrong. Each function takes an input and returns another one, or the same if it
has not the shape.
"""

import json
import random
import struct
from collections.abc import Callable
from typing import Any

from tests.serve.wire import CLOSE, CONTINUATION, PING, TEXT, deflate, frame

Shape = Callable[[bytes, random.Random], bytes]

NUMBERS = [0, 1, -1, 2, 7, 100, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 4e9]
TEXTS = ["", "0", "1", "-1", "1.5", "0.00000001", "1e5", "9" * 30, "a", "\u0000", "é😀", "x" * 300, "NaN"]
TEXTS += ["chat:a", "feed:a", "botstate:ann", "open_orders:paper", "orders:ann", "book:sim.X", "$chat:a"]
TEXTS += ["ops:health", "here:chat:a", "ann", "paper", "fossil", "XUSDT", "T1", "BUY", "yes", "e"]
NODES_MAX = 200
"""Of a document; larger ones are changed near their beginning."""


def documents(data: bytes, chance: random.Random) -> bytes:
    """Lines of JSON: one of them is changed in one or a few places, doubled, moved or left out."""
    lines = data.split(b"\n")
    number = chance.randrange(len(lines))
    match chance.randrange(10):
        case 0:
            lines.insert(chance.randint(0, len(lines)), lines[number])
        case 1:
            lines.append(lines.pop(number))
        case 2 if len(lines) > 1:
            del lines[number]
        case _:
            lines[number] = _bent(lines[number], chance)
    return b"\n".join(lines)


def chosen_documents(data: bytes, chance: random.Random) -> bytes:
    """As `documents`, behind a byte that chooses what is done with them."""
    if not chance.randrange(10):
        return chance.randbytes(1) + data[1:]
    return data[:1] + documents(data[1:], chance)


def _bent(text: bytes, chance: random.Random) -> bytes:
    try:
        root = [json.loads(text)]
    except (ValueError, RecursionError):
        return text
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        if places := _places(root):
            _change(*chance.choice(places), places, chance)
    try:
        return b"\n".join(json.dumps(document, ensure_ascii=False).encode() for document in root)
    except (ValueError, RecursionError):
        return text


def _places(root: list[Any]) -> list[tuple[Any, Any]]:
    """Where values are: each container with a key of it."""
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [root]
    for container in waiting:
        keys = list(container) if isinstance(container, dict) else range(len(container))
        places += [(container, key) for key in keys]
        waiting += [container[key] for key in keys if isinstance(container[key], dict | list)]
        if len(places) > NODES_MAX:
            break
    return places


def _change(holder: Any, key: Any, places: list[tuple[Any, Any]], chance: random.Random) -> None:
    other, other_key = chance.choice(places)
    match chance.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            name = other_key if isinstance(other_key, str) else chance.choice(TEXTS)
            holder[name] = holder.pop(key)
        case 1:
            holder.insert(key, holder[key])
        case 2:
            holder[key] = _copy(other, other_key)
        case 3:
            holder[key] = [_copy(holder, key)] * chance.choice([0, 1, 2, 50])
        case 4:
            holder[key] = {chance.choice(TEXTS): _copy(holder, key)}
        case _:
            holder[key] = _other_value(holder[key], chance)


def _copy(holder: Any, key: Any) -> Any:
    try:
        return json.loads(json.dumps(holder[key]))
    except (KeyError, IndexError):
        return None


def _other_value(value: Any, chance: random.Random) -> Any:
    if chance.randrange(2) or isinstance(value, dict | list) or value is None:
        return chance.choice([None, True, False, [], {}, chance.choice(NUMBERS), chance.choice(TEXTS)])
    if isinstance(value, str):
        return _other_text(value, chance)
    return value + chance.choice([-2, -1, 1, 2, 1_000])


def _other_text(value: str, chance: random.Random) -> str:
    """A number that is near, or a text with another piece in it."""
    if value.isdecimal():
        return str(max(0, int(value[:30]) + chance.choice([-1, 1, 10])))
    start = chance.randint(0, len(value))
    piece = chance.choice(["", "0", ".", "-", ":", "$", "*", "é", value[start:]])
    return value[:start] + piece + value[start + chance.choice([0, 1, 1, 4]) :]


_HEADERS = [b"Host: lanecast", b"Host: localhost", b"Host: elsewhere.example", b"Connection: close"]
_HEADERS += [
    b"Connection: keep-alive, Upgrade",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Expect: 100-continue",
]
_HEADERS += [
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: 99999999999",
    b"Content-Length: -1",
]
_HEADERS += [b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Sec-WebSocket-Version: 8"]
_HEADERS += [b"Sec-WebSocket-Key: short", b"Origin: null", b"Origin: http://lanecast", b"Origin: http://[::1"]
_HEADERS += [
    b'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8; x="y"',
    b"Forwarded: for=",
]
_HEADERS += [b"X-API-Key: " + b"a" * 64, b"Authorization: apikey " + b"a" * 64, b"Authorization: Bearer"]
_HEADERS += [
    b"X-Forwarded-For: 1.2.3.4, [::1]:5",
    b'If-None-Match: *, W/"a"',
    b"Accept-Encoding: br;q=0, gzip",
]
_HEADERS += [b"X-Centrifugo-Error-Mode: transport", b" folded: line", b"X: " + b"y" * 2_000]
_HEADERS += [
    b"User-Agent: x",
    b"Cookie: a=b",
    b"Pragma: no-cache",
    b"Sec-WebSocket-Protocol: lanecast.zstd.0123456789abcdef, b",
]
_TARGETS = [b"/", b"/connection/websocket", b"/api/info", b"/api/publish", b"/healthz", b"/metrics", b"*"]
_TARGETS += [b"/static/js/main.js", b"/static/..%2f..%2fx", b"/static/\xff", b"/dict/current", b"//", b"/?"]
_METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS", b"CONNECT", b"get"]
_VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2"]


def heads(data: bytes, chance: random.Random) -> bytes:
    """The head of a request, and its body: a header more or less, or another first line."""
    head, gap, body = data.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    number = chance.randint(0, len(headers))
    match chance.randrange(8):
        case 0 | 1 | 2:
            headers.insert(number, chance.choice(_HEADERS))
        case 3 if headers:
            del headers[number - 1]
        case 4 if headers:
            headers.append(headers[number - 1])
        case 5:
            first = _other_line(first, chance)
        case 6:
            body = body[: chance.randint(0, len(body))]
            headers.append(b"Content-Length: %d" % len(body))
        case _:
            return data + data
    return b"\r\n".join([first, *headers]) + gap + body


def _other_line(line: bytes, chance: random.Random) -> bytes:
    parts = line.split(b" ")
    number = chance.randrange(len(parts))
    parts[number] = chance.choice([_METHODS, _TARGETS, _VERSIONS][min(number, 2)])
    return b" ".join(parts)


def frames(data: bytes, chance: random.Random) -> bytes:
    """A byte that says whether they are packed, then frames: one is changed, cut, moved or new."""
    parts = _read_frames(data[1:])
    number = chance.randrange(len(parts)) if parts else 0
    opcode, is_final, rsv, payload = parts[number] if parts else (TEXT, True, 0, b"{}")
    start = chance.randint(0, len(payload))
    match chance.randrange(9):
        case 0:
            parts[number : number + 1] = [(chance.randrange(16), is_final, rsv, payload)]
        case 1:
            parts[number : number + 1] = [(opcode, not is_final, rsv, payload)]
        case 2:
            parts[number : number + 1] = [(opcode, is_final, chance.randrange(8), payload)]
        case 3:
            rest = (CONTINUATION, is_final, 0, payload[start:])
            parts[number : number + 1] = [(opcode, False, rsv, payload[:start]), rest]
        case 4:
            parts.insert(number, (PING, True, 0, payload[:125]))
        case 5:
            code = chance.choice([999, 1000, 1005, 1011, 1015, 2999, 3000, 4999, 5000])
            parts.insert(number, (CLOSE, True, 0, struct.pack("!H", code) + payload[:start][:123]))
        case 6:
            parts[number : number + 1] = [(opcode, is_final, 4, deflate(payload[:start]))]
        case 7:
            parts[number : number + 1] = [(opcode, is_final, rsv, documents(payload, chance))]
        case _:
            parts.append(parts.pop(number) if parts else (opcode, is_final, rsv, payload))
    first = chance.choice([data[:1], data[:1], b"\x00", b"\xff"]) or b"\x00"
    return first + b"".join(
        frame(code, text, is_final=final, rsv=bits, mask=chance.randbytes(4))
        for code, final, bits, text in parts
    )


def cut_frames(data: bytes, chance: random.Random) -> bytes:
    """As `frames`, with a second byte that says how they are cut."""
    return data[:1] + (data[1:2] or b"\x00") + frames(data[:1] + data[2:], chance)[1:]


def _read_frames(data: bytes) -> list[tuple[int, bool, int, bytes]]:
    """Opcode, end, reserved bits and payload of those that are whole, and masked."""
    found: list[tuple[int, bool, int, bytes]] = []
    while len(data) >= 6:
        length, start = data[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        payload = data[start + 4 : start + 4 + length]
        key = (data[start : start + 4] * (len(payload) // 4 + 1))[: len(payload)]
        plain = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
        found.append((data[0] & 15, data[0] > 127, data[0] >> 4 & 7, plain.to_bytes(len(payload), "big")))
        data = data[start + 4 + length :]
    return found
