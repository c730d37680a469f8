"""Tags filters: which publications of a channel a subscriber wants, judged by their tags.

Decides what a filter means, once for all who have the same one: equal filters are one, in any
spelling. A publication that says nothing about a tag is wanted only where a filter asks for that.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

import msgspec

FILTER_BYTES = 2_048
"""Bounds what judging one publication costs, and how deep a filter is."""

Tags = Mapping[str, str]
Test = Callable[[Tags], bool]


@dataclass(frozen=True, slots=True)
class TagsFilter:
    text: bytes
    """In one spelling."""
    test: Test = field(compare=False, repr=False)

    def accepts(self, tags: bytes) -> bool:
        """Whether a publication with these tags is wanted; JSON text of a string map, empty for none."""
        return self.test(_read_tags(tags) if tags else {})


class _Node(msgspec.Struct, omit_defaults=True):
    op: str = ""
    nodes: list["_Node"] = []
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: list[str] = []


_read_tags = msgspec.json.Decoder(dict[str, str]).decode


def with_tag(tags: bytes, name: str, value: str) -> bytes:
    """The JSON text of a string map with one more entry; the last of two with a name counts."""
    entry = b'"%s":"%s"}' % (name.encode(), value.encode())
    head = tags.rstrip().removesuffix(b"}").rstrip()
    return head + (b"," if len(head) > 1 else b"") + entry if head else b"{" + entry


def parse_filter(text: bytes) -> TagsFilter:
    """A filter of the protocol, from JSON.

    Raises:
        ValueError: it is too long, or none.
    """
    if len(text) > FILTER_BYTES:
        raise ValueError(f"a tags filter has {len(text)} bytes, the limit is {FILTER_BYTES}: make it shorter")
    try:
        node = msgspec.json.decode(text, type=_Node)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"a tags filter is no tree of nodes: {error}") from None
    return TagsFilter(msgspec.json.encode(node), _test(node))


def _test(node: _Node) -> Test:
    return _joined(node) if node.op else _single(node)


def _joined(node: _Node) -> Test:
    tests = tuple(map(_test, node.nodes))
    match node.op:
        case "and" if tests:
            return lambda tags: all(test(tags) for test in tests)
        case "or" if tests:
            return lambda tags: any(test(tags) for test in tests)
        case "not" if len(tests) == 1:
            return lambda tags: not tests[0](tags)
    raise ValueError(
        f"a tags filter has op {node.op!r} of {len(tests)} nodes: and, or take some, not takes one"
    )


def _single(node: _Node) -> Test:
    key, val, vals = node.key, node.val, frozenset(node.vals)
    shape = bool(val), bool(vals)
    if key and node.cmp in _OF_ONE and shape == (True, False):
        compare = _OF_ONE[node.cmp]
        absent = node.cmp == "neq"
        return lambda tags: compare(tags[key], val) if key in tags else absent
    if key and node.cmp in ("in", "nin") and shape == (False, True):
        is_in = node.cmp == "in"
        return lambda tags: (tags.get(key) in vals) is is_in
    if key and node.cmp in ("ex", "nex") and shape == (False, False):
        exists = node.cmp == "ex"
        return lambda tags: (key in tags) is exists
    raise ValueError(
        f"a tags filter compares key {key!r} by {node.cmp!r}: in, nin take vals, ex, nex nothing,"
        f" {', '.join(_OF_ONE)} a val"
    )


def _as_numbers(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[str, str], bool]:
    """False where one of the two is no number."""

    def compare_numbers(tag: str, val: str) -> bool:
        left, right = _number(tag), _number(val)
        return left is not None and right is not None and compare(left, right)

    return compare_numbers


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and "_" not in text else None


_OF_ONE: Mapping[str, Callable[[str, str], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "sw": str.startswith,
    "ew": str.endswith,
    "ct": operator.contains,
    "lt": _as_numbers(operator.lt),
    "lte": _as_numbers(operator.le),
    "gt": _as_numbers(operator.gt),
    "gte": _as_numbers(operator.ge),
}
