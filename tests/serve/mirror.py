"""A client of maps by the protocol, a server that has some, and what a backend writes to them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.serve.running import Server, running
from tests.serve.wire import Client

CHANNEL = "bag:a"
MAPS = {
    "bag": {"delivery": "map", "history_size": 5_000, "publish": True, "presence": True},
    "short": {"delivery": "map", "history_size": 2},
    "tight": {"delivery": "map", "history_size": 50, "key_limit": 2},
    "cursor": {"delivery": "map", "key_seconds": 3600, "publish": True},
    "brief": {"delivery": "map", "key_seconds": 1, "history_size": 50},
    "own": {"delivery": "map", "history_size": 9, "publish": True, "client_key": "client_id"},
    "mine": {
        "delivery": "map",
        "history_size": 9,
        "publish": True,
        "client_key": "user_id",
        "publish_debounce_ms": 300,
    },
    "met": {"delivery": "map", "history_size": 9, "join_leave": True},
    "chat": {"publish": True},
}


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running(namespaces=MAPS) as server:
        yield server


class Mirror:
    """A client of the protocol that holds a map's state, and counts what it was sent to get it."""

    def __init__(self, client: Client, channel: str = CHANNEL, **wish: Any) -> None:
        self.client = client
        self.channel = channel
        self.wish = wish
        self.state: dict[str, Any] = {}
        self.replies: list[dict[str, Any]] = []

    async def ask(self, phase: int, **members: Any) -> dict[str, Any]:
        reply = await self.client.call(
            "subscribe", channel=self.channel, type=1, phase=phase, **self.wish, **members
        )
        assert reply["type"] == 1
        self.replies.append(reply)
        for entry in reply.get("state", []):
            assert "removed" not in entry
            self.apply(entry)
        for publication in reply.get("publications", []):
            self.apply(publication)
        return reply

    def apply(self, publication: dict[str, Any]) -> None:
        if publication.get("removed"):
            self.state.pop(publication["key"], None)
        else:
            self.state[publication["key"]] = publication["data"]

    async def take_up(self) -> dict[str, Any]:
        """From the first page to live, as the protocol's clients do it."""
        reply = first = await self.ask(2)
        while reply.get("phase") == 2 and "cursor" in reply:
            place = {name: first[name] for name in ("offset", "epoch") if name in first}
            reply = await self.ask(2, cursor=reply["cursor"], **place)
        offset = first.get("offset", 0)
        while "phase" in reply:
            reply = await self.ask(1, offset=offset, epoch=first["epoch"])
            offset = reply["offset"]
        return reply

    async def come_back(self, live: dict[str, Any]) -> dict[str, Any]:
        """From where a live reply said that it was."""
        return await self.ask(1, recover=True, offset=live["offset"], epoch=live["epoch"])


async def put(server: Server, key: str, data: Any, channel: str = CHANNEL, **members: Any) -> Any:
    return (await server.api("map_publish", channel=channel, key=key, data=data, **members))["result"]


async def remove(server: Server, key: str, channel: str = CHANNEL) -> Any:
    return (await server.api("map_remove", channel=channel, key=key))["result"]


async def state_of(server: Server, channel: str = CHANNEL) -> dict[str, Any]:
    read = (await server.api("map_read_state", channel=channel, limit=1000))["result"]
    return {entry["key"]: entry["data"] for entry in read["entries"]}
