"""A map held by the client against a real server: complete at any moment, whatever the link does."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from monitor.client import CommandRejected, MapSubscription, Unsubscribed, open_client
from tests.client.test_client_and_server import url
from tests.patience import PATIENCE_SECONDS
from tests.serve.running import Server, running, sign

pytestmark = pytest.mark.trio

CHANNEL = "bag:a"
MAPS = {
    "bag": {"delivery": "map", "history_size": 500, "publish": True},
    "short": {"delivery": "map", "history_size": 2},
    "cursor": {"delivery": "map", "key_seconds": 3600},
}
COME_BACK = {"code": 4000, "reason": "come back"}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(namespaces=MAPS) as server:
        yield server


async def put(server: Server, key: str, data: Any, channel: str = CHANNEL) -> None:
    assert "result" in await server.api("map_publish", channel=channel, key=key, data=data)


async def until(subscription: MapSubscription, state: dict[str, Any]) -> None:
    """Follow it until it holds this state."""
    with trio.fail_after(PATIENCE_SECONDS):
        while subscription.entries != state:
            await anext(subscription)


async def test_state_is_whole_at_the_start_however_many_pages_it_takes(server: Server) -> None:
    for number in range(230):
        await put(server, f"k{number:03}", number)
    async with open_client(url(server)) as client:
        subscription = await client.subscribe_map(CHANNEL)
        assert subscription.entries == {f"k{number:03}": number for number in range(230)}
        assert await anext(subscription) == subscription.entries.keys()


async def test_changes_are_told_by_key_and_a_reader_who_is_behind_gets_the_newest(server: Server) -> None:
    async with open_client(url(server)) as client:
        subscription = await client.subscribe_map(CHANNEL)
        await client.map_publish(CHANNEL, "a", 1)
        await client.map_publish(CHANNEL, "b", {"n": 1})
        await client.map_publish(CHANNEL, "a", 2)
        await client.map_remove(CHANNEL, "b")
        told: set[str] = set()
        with trio.fail_after(PATIENCE_SECONDS):
            while told != {"a", "b"} or subscription.entries != {"a": 2}:
                told |= await anext(subscription)
        await client.map_publish(CHANNEL, "c", 3)
        assert await anext(subscription) == {"c"}


async def test_client_recovers_what_it_missed(server: Server) -> None:
    await put(server, "a", 1)
    await put(server, "b", 1)
    async with open_client(url(server), sign(sub="ann")) as client:
        subscription = await client.subscribe_map(CHANNEL)
        await anext(subscription)
        await server.api("disconnect", user="ann", disconnect=COME_BACK)
        await put(server, "b", 2)
        await put(server, "c", 3)
        await server.api("map_remove", channel=CHANNEL, key="a")
        await until(subscription, {"b": 2, "c": 3})
        assert subscription.recovered


@pytest.mark.parametrize("channel", ["short:a", "cursor:a"], ids=["stream too short", "no stream"])
async def test_client_starts_again_from_the_whole_where_it_cannot_recover(
    server: Server, channel: str
) -> None:
    await put(server, "a", 1, channel)
    await put(server, "b", 1, channel)
    async with open_client(url(server), sign(sub="ann")) as client:
        subscription = await client.subscribe_map(channel)
        assert await anext(subscription) == {"a", "b"}
        await server.api("disconnect", user="ann", disconnect=COME_BACK)
        await server.api("map_remove", channel=channel, key="a")
        for number in range(3):
            await put(server, "c", number, channel)
        await until(subscription, {"b": 1, "c": 2})
        assert not subscription.recovered


async def test_refusals_and_ends_are_raised(server: Server) -> None:
    async with open_client(url(server), sign(sub="ann")) as client:
        with pytest.raises(CommandRejected, match="permission denied"):
            await client.subscribe_map("botstate:somebody")
        with pytest.raises(CommandRejected, match="permission denied"):
            await client.subscribe(CHANNEL)
        subscription = await client.subscribe_map(CHANNEL)
        await server.api("unsubscribe", channel=CHANNEL, user="ann")
        with pytest.raises(Unsubscribed):
            await anext(subscription)
        again = await client.subscribe_map(CHANNEL)
        await client.unsubscribe(CHANNEL)
        with pytest.raises(StopAsyncIteration):
            await anext(again)


async def test_bots_of_the_simulator_are_held_by_id() -> None:
    async with (
        running(simulator={"enabled": True, "rate": 200, "seed": 7}) as server,
        open_client(url(server)) as client,
    ):
        subscription = await client.subscribe_map("botstate:paper")
        await anext(subscription)
        with trio.fail_after(PATIENCE_SECONDS):
            changed = await anext(subscription)
        assert all("phase" in subscription.entries[bot] for bot in changed)
