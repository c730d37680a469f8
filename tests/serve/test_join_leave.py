"""Who comes and goes is told to the subscribers, where a namespace asks for it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.serve.running import Server, running, sign

pytestmark = pytest.mark.trio


@pytest.fixture
async def room() -> AsyncIterator[Server]:
    async with running(
        namespaces={"room": {"join_leave": True, "history_size": 5, "delta": True}, "quiet": {}}
    ) as server:
        yield server


def event(channel: str, what: str, user: str, client: str) -> dict[str, Any]:
    return {"channel": channel, what: {"info": {"user": user, "client": client}}}


async def test_each_joins_after_his_own_reply_and_leaves_after_his_join(room: Server) -> None:
    ann = await room.client(sign(sub="ann"))
    await ann.call("subscribe", channel="room:a")
    assert await ann.push() == event("room:a", "join", "ann", ann.id)
    bob = await room.client(sign(sub="bob"))
    await bob.call("subscribe", channel="room:a", delta="fossil")
    joined = event("room:a", "join", "bob", bob.id)
    assert await bob.push() == joined
    assert await ann.push() == joined
    await room.publish("room:a", {"n": 1})
    assert await ann.publication() == {"n": 1}
    assert await bob.publication() == '{"n":1}'
    await bob.call("unsubscribe", channel="room:a")
    assert await ann.push() == event("room:a", "leave", "bob", bob.id)
    assert await bob.kept() == []


async def test_who_is_cut_has_left(room: Server) -> None:
    ann = await room.subscriber("room:a", token=sign(sub="ann"))
    bob = await room.subscriber("room:a", token=sign(sub="bob"))
    await bob.stream.aclose()
    told = [await ann.push() for _ in range(3)]
    assert told[-1] == event("room:a", "leave", "bob", bob.id)


async def test_subscribe_and_unsubscribe_in_one_message_tell_nobody_else_out_of_order(room: Server) -> None:
    ann = await room.subscriber("room:a", token=sign(sub="ann"))
    bob = await room.client(sign(sub="bob"))
    commands = [
        {"id": 10 + at, each: {"channel": "room:a"}} for at, each in enumerate(["subscribe", "unsubscribe"])
    ]
    await bob.say(*commands)
    own, joined, left = [await ann.push() for _ in range(3)]
    assert (own, joined, left) == (
        event("room:a", "join", "ann", ann.id),
        event("room:a", "join", "bob", bob.id),
        event("room:a", "leave", "bob", bob.id),
    )


async def test_server_side_subscriber_joins_after_the_connect_reply(room: Server) -> None:
    ann = await room.upgraded()
    await ann.connect(token=sign(sub="ann", channels=["room:a"]))
    assert await ann.push() == event("room:a", "join", "ann", ann.id)


async def test_joins_are_no_messages_of_the_ledger_and_nothing_is_told_elsewhere(room: Server) -> None:
    ann = await room.subscriber("room:a", "quiet:a", token=sign(sub="ann"))
    me = (await ann.call("rpc", method="me"))["data"]
    assert me["sent"] == 0
    await room.subscriber("quiet:a")
    assert [document["push"]["channel"] for document in await ann.kept()] == ["room:a"]
