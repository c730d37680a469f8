"""`centrifuge-python`, as it comes from PyPI, against a server."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from centrifuge import CentrifugeError, Client  # type: ignore[import-untyped]

from tests.process import Process
from tests.serve.running import KEYS, sign

PATIENCE_SECONDS = 20


class Watch:
    """What the SDK reported, as (event, context), in order."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    def __getattr__(self, name: str) -> Callable[[Any], Awaitable[None]]:
        if not name.startswith("on_"):
            raise AttributeError(name)

        async def note(context: Any) -> None:
            self._events.put_nowait((name.removeprefix("on_"), context))

        return note

    async def until(self, wanted: str) -> Any:
        """The context of the next event of that name."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                name, context = await self._events.get()
                if name == wanted:
                    return context


def connected_client(process: Process, watch: Watch, **options: Any) -> Client:
    return Client(process.endpoint, events=watch, proxy=None, **options)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            await scenario()
        # The SDK closes its socket in a task of its own.
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=PATIENCE_SECONDS)

    asyncio.run(main())


def test_subscriber_receives_reads_history_presence_and_publishes(process: Process) -> None:
    async def scenario() -> None:
        watch, inside = Watch(), Watch()
        client = connected_client(process, watch, token=sign(sub="ann", info={"name": "Ann"}))
        await client.connect()
        await client.ready()
        subscription = client.new_subscription("chat:python", events=inside)
        await subscription.subscribe()
        await subscription.ready()
        await asyncio.to_thread(process.publish, "chat:python", {"n": 1})
        assert (await inside.until("publication")).pub.data == {"n": 1}
        await subscription.publish({"n": 2})
        own = (await inside.until("publication")).pub
        assert (own.data, own.offset, own.info.user, own.info.conn_info) == (
            {"n": 2},
            2,
            "ann",
            {"name": "Ann"},
        )
        history = await subscription.history(limit=-1)
        assert [publication.data["n"] for publication in history.publications] == [1, 2]
        assert history.offset == 2
        newest = await subscription.history(limit=1, reverse=True)
        assert [publication.data["n"] for publication in newest.publications] == [2]
        (me,) = (await subscription.presence()).clients.values()
        assert (me.user, me.conn_info) == ("ann", {"name": "Ann"})
        stats = await subscription.presence_stats()
        assert (stats.num_clients, stats.num_users) == (1, 1)
        assert (await client.rpc("me", {})).data["user"] == "ann"
        with pytest.raises(CentrifugeError) as refused:
            await client.rpc("no_such", {})
        assert refused.value.code == 108
        await subscription.unsubscribe()
        await inside.until("unsubscribed")
        await client.disconnect()
        await watch.until("disconnected")

    run(scenario)


def test_expired_connection_token_is_fetched_anew(process: Process) -> None:
    tokens = [
        sign(sub="ann", exp=int(time.time()) - 10),
        sign(sub="ann", exp=int(time.time()) + 2),
        sign(sub="ann"),
    ]

    async def scenario() -> None:
        fetched = asyncio.Semaphore(0)

        async def fetch() -> str:
            fetched.release()
            return tokens.pop(0)

        watch = Watch()
        client = connected_client(process, watch, get_token=fetch)
        await client.connect()
        await client.ready(PATIENCE_SECONDS)
        for _ in range(3):
            await fetched.acquire()
        assert (await client.rpc("me", {})).data["user"] == "ann"
        await client.disconnect()

    run(scenario)
    assert tokens == []


def test_wrong_token_is_final(process: Process) -> None:
    async def scenario() -> None:
        watch = Watch()
        await connected_client(process, watch, token=sign("w" * 64, sub="ann")).connect()
        context = await watch.until("disconnected")
        assert (context.code, context.reason) == (3500, "invalid token")

    run(scenario)


def test_subscription_token_is_fetched_and_refreshed(process: Process) -> None:
    asked: list[str] = []

    async def scenario() -> None:
        refreshed = asyncio.Event()

        async def fetch(channel: str) -> str:
            asked.append(channel)
            if len(asked) > 1:
                refreshed.set()
                return sign(sub="ann", channel=channel)
            return sign(sub="ann", channel=channel, exp=int(time.time()) + 1)

        client = connected_client(process, Watch(), token=sign(sub="ann"))
        await client.connect()
        subscription = client.new_subscription("$chat:python", get_token=fetch)
        await subscription.subscribe()
        await subscription.ready(PATIENCE_SECONDS)
        await refreshed.wait()
        assert (await subscription.history(limit=0)).offset == 0
        await client.disconnect()

    run(scenario)
    assert asked == ["$chat:python"] * 2


def test_refused_subscription_is_told_and_is_final(process: Process) -> None:
    async def scenario() -> None:
        inside = Watch()
        client = connected_client(process, Watch())
        await client.connect()
        await client.new_subscription("orders:somebody", events=inside).subscribe()
        assert (await inside.until("unsubscribed")).code == 103
        await client.disconnect()

    run(scenario)


def test_server_side_subscription_comes_with_the_token(process: Process) -> None:
    async def scenario() -> None:
        watch = Watch()
        client = connected_client(process, watch, token=sign(sub="ann", channels=["chat:server-side"]))
        await client.connect()
        assert (await watch.until("subscribed")).channel == "chat:server-side"
        await asyncio.to_thread(process.publish, "chat:server-side", "x")
        publication = await watch.until("publication")
        assert (publication.channel, publication.pub.data) == ("chat:server-side", "x")
        await client.disconnect()
        await watch.until("disconnected")

    run(scenario)


def test_client_comes_back_after_a_disconnect_that_allows_it(process: Process) -> None:
    async def scenario() -> None:
        watch, inside = Watch(), Watch()
        client = connected_client(process, watch, token=sign(sub="returning"))
        await client.connect()
        subscription = client.new_subscription("chat:returning", events=inside)
        await subscription.subscribe()
        await inside.until("subscribed")
        first = (await watch.until("connected")).client
        code = {"code": 3011, "reason": "force reconnect"}
        await asyncio.to_thread(lambda: process.api("disconnect", user="returning", disconnect=code))
        assert (await watch.until("connected")).client != first
        await inside.until("subscribed")
        await asyncio.to_thread(process.publish, "chat:returning", "again")
        assert (await inside.until("publication")).pub.data == "again"
        await asyncio.to_thread(lambda: process.api("disconnect", user="returning"))
        assert (await watch.until("disconnected")).code == 3503

    run(scenario)


def test_operator_token_opens_the_servers_health(process: Process) -> None:
    async def scenario() -> None:
        inside = Watch()
        client = connected_client(process, Watch(), token=sign(KEYS.operator, sub="root"))
        await client.connect()
        await client.new_subscription("ops:health", events=inside).subscribe()
        assert {"lanes", "kinds"} <= set((await inside.until("publication")).pub.data)
        await client.disconnect()

    run(scenario)
