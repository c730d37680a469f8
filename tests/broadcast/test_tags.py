"""Tags filters: what each comparison means, which are refused, and what they cost a fan-out."""

from typing import Any

import orjson
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from monitor.broadcast.channel import FILTERS_MAX
from monitor.broadcast.hub import TooMany
from monitor.broadcast.item import Item, Publication
from monitor.broadcast.recovery import Wish
from monitor.broadcast.tags import FILTER_BYTES, TagsFilter, parse_filter
from monitor.config import Delivery, Lane
from tests.broadcast.stage import start

TAGS = {"market": "BTCUSDT", "size": "10.50", "side": "buy"}


def made(**node: Any) -> TagsFilter:
    return parse_filter(orjson.dumps(node))


def is_key(key: str, cmp: str, **values: Any) -> dict[str, Any]:
    return {"key": key, "cmp": cmp, **values}


ACCEPTED = [
    is_key("side", "eq", val="buy"),
    is_key("side", "neq", val="sell"),
    is_key("venue", "neq", val="x"),
    is_key("side", "in", vals=["buy", "sell"]),
    is_key("side", "nin", vals=["sell"]),
    is_key("venue", "nin", vals=["x"]),
    is_key("side", "ex"),
    is_key("venue", "nex"),
    is_key("market", "sw", val="BTC"),
    is_key("market", "ew", val="USDT"),
    is_key("market", "ct", val="CUS"),
    is_key("size", "lt", val="10.51"),
    is_key("size", "lte", val="10.5"),
    is_key("size", "gt", val="9"),
    is_key("size", "gte", val="10.500"),
    {"op": "and", "nodes": [is_key("side", "ex"), is_key("size", "ex")]},
    {"op": "or", "nodes": [is_key("venue", "ex"), is_key("size", "ex")]},
    {"op": "not", "nodes": [is_key("venue", "ex")]},
]
NOT_ACCEPTED = [
    is_key("side", "eq", val="sell"),
    is_key("venue", "eq", val="x"),
    is_key("side", "neq", val="buy"),
    is_key("venue", "in", vals=["x"]),
    is_key("side", "nin", vals=["buy"]),
    is_key("venue", "ex"),
    is_key("side", "nex"),
    is_key("market", "sw", val="USDT"),
    is_key("size", "lt", val="10.5"),
    is_key("size", "lt", val="large"),
    is_key("market", "gt", val="1"),
    is_key("size", "gt", val="NaN"),
    is_key("venue", "lt", val="1"),
    {"op": "and", "nodes": [is_key("side", "ex"), is_key("venue", "ex")]},
    {"op": "or", "nodes": [is_key("venue", "ex")]},
    {"op": "not", "nodes": [is_key("side", "ex")]},
]


@pytest.mark.parametrize("node", ACCEPTED)
def test_comparison_accepts(node: dict[str, Any]) -> None:
    assert made(**node).accepts(orjson.dumps(TAGS))


@pytest.mark.parametrize("node", NOT_ACCEPTED)
def test_comparison_does_not_accept(node: dict[str, Any]) -> None:
    assert not made(**node).accepts(orjson.dumps(TAGS))


def test_a_publication_without_tags_has_none_of_them() -> None:
    assert not made(key="side", cmp="ex").accepts(b"")
    assert made(key="side", cmp="neq", val="buy").accepts(b"")


@pytest.mark.parametrize(
    "node",
    [
        {},
        is_key("a", "eq"),
        is_key("a", "eq", val="1", vals=["1"]),
        is_key("a", "in", val="1"),
        is_key("a", "in", vals=[]),
        is_key("a", "ex", val="1"),
        is_key("a", "like", val="1"),
        is_key("", "ex"),
        is_key("a", "eq", val=1),
        {"op": "and", "nodes": []},
        {"op": "not", "nodes": [is_key("a", "ex"), is_key("b", "ex")]},
        {"op": "xor", "nodes": [is_key("a", "ex")]},
        {"op": "or", "nodes": [is_key("a", "like", val="1")]},
        is_key("a", "eq", val="x" * FILTER_BYTES),
        [],
    ],
)
def test_what_is_no_filter_is_refused(node: Any) -> None:
    with pytest.raises(ValueError, match="a tags filter"):
        parse_filter(orjson.dumps(node))


texts = st.sampled_from(["", "a", "eq", "in", "ex", "lt", "and", "not", "1", "1e999999999", "NaN", "-0_1"])
nodes = st.recursive(
    st.fixed_dictionaries({}, optional={"key": texts, "cmp": texts, "val": texts, "vals": st.lists(texts)}),
    lambda inner: st.fixed_dictionaries({"op": texts, "nodes": st.lists(inner, max_size=3)}),
)


@given(nodes, st.dictionaries(texts, texts))
def test_whatever_comes_is_refused_or_judges_every_publication(node: Any, tags: dict[str, str]) -> None:
    try:
        found = parse_filter(orjson.dumps(node))
    except ValueError:
        return
    assert found.accepts(orjson.dumps(tags)) in (True, False)


def test_a_filter_is_as_deep_as_its_text_allows() -> None:
    depth = (FILTER_BYTES - 100) // 24
    nested = b'{"op":"not","nodes":[' * depth + b'{"key":"a","cmp":"ex"}' + b"]}" * depth
    assert parse_filter(nested).accepts(b'{"a":"1"}') is (depth % 2 == 0)


def test_filters_that_say_the_same_are_one() -> None:
    spaced = parse_filter(b'{ "val": "buy", "cmp": "eq", "key": "side" }')
    assert spaced == made(key="side", cmp="eq", val="buy")
    assert hash(spaced) == hash(made(key="side", cmp="eq", val="buy"))
    assert spaced != made(key="side", cmp="eq", val="sell")


def item(*sides: str) -> Item:
    publications = (
        Publication(b"%d" % number, "message", 0, tags=b'{"side":"%s"}' % side.encode())
        for number, side in enumerate(sides)
    )
    return Item.of("a", b'{"push":{"channel":"a","pub":', Lane.NORMAL, Delivery.STREAM, tuple(publications))


def test_an_item_is_judged_once_and_shared_as_it_is_where_all_of_it_is_wanted() -> None:
    buys, mixed = made(key="side", cmp="eq", val="buy"), item("buy", "sell", "buy")
    assert mixed.wanted_by(buys) is mixed.wanted_by(made(key="side", cmp="eq", val="buy"))
    assert [publication.data for publication in mixed.wanted_by(buys).publications] == [b"0", b"2"]
    assert mixed.wanted_by(buys).held_bytes == mixed.held_bytes
    same = item("buy")
    assert same.wanted_by(buys) is same
    assert item("sell").wanted_by(buys).payload == b""


@pytest.mark.trio
async def test_a_channel_takes_so_many_filters_and_anybody_with_one_of_them(nursery: trio.Nursery) -> None:
    stage = await start(nursery, namespaces={"news": {"tags_filter": True}})
    for number in range(FILTERS_MAX):
        client, _ = stage.join()
        stage.hub.subscribe("news:x", client, b"", Wish(only=made(key="n", cmp="eq", val=str(number))))
    late, wire = stage.join()
    with pytest.raises(TooMany, match=f"has {FILTERS_MAX} tags filters, its limit"):
        stage.hub.subscribe("news:x", late, b"", Wish(only=made(key="n", cmp="eq", val="another")))
    stage.hub.subscribe("news:x", late, b"", Wish(only=made(key="n", cmp="eq", val="7")))
    for number in range(9):
        stage.hub.publish("news:x", b"%d" % number, tags=b'{"n":"%d"}' % number)
    assert [orjson.loads(each)["push"]["pub"]["data"] for each in wire.documents()] == [7]
    late.settle()
    assert (late.ledgers["news:x"].offered, late.ledgers["news:x"].sent) == (1, 1)
