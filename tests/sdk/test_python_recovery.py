"""Recovery and deltas as `centrifuge-python` sees them."""

import asyncio

from centrifuge import DeltaType, Subscription  # type: ignore[import-untyped]

from tests.process import Process
from tests.sdk.test_python import Watch, connected_client, run
from tests.serve.running import sign


async def numbers(watch: Watch, count: int) -> list[int]:
    return [(await watch.until("publication")).pub.data["n"] for _ in range(count)]


async def leave(subscription: Subscription) -> None:
    """Unsubscribe, and wait until the server knows."""
    await subscription.unsubscribe()
    await subscription._client.rpc("me", {})


def test_what_was_published_meanwhile_comes_as_events_in_order(process: Process) -> None:
    async def scenario() -> None:
        channel, inside = "chat:py-missed", Watch()
        client = connected_client(process, Watch(), token=sign(sub="ann"))
        await client.connect()
        subscription = client.new_subscription(channel, events=inside, recoverable=True)
        await subscription.subscribe()
        assert (await inside.until("subscribed")).recoverable
        await asyncio.to_thread(process.publish, channel, {"n": 0})
        assert await numbers(inside, 1) == [0]
        await leave(subscription)
        for number in (1, 2, 3):
            await asyncio.to_thread(process.publish, channel, {"n": number})
        await subscription.subscribe()
        back = await inside.until("subscribed")
        assert (back.was_recovering, back.recovered) == (True, True)
        await asyncio.to_thread(process.publish, channel, {"n": 4})
        assert await numbers(inside, 4) == [1, 2, 3, 4]
        await client.disconnect()

    run(scenario)


def test_a_cut_connection_misses_nothing(process: Process) -> None:
    async def scenario() -> None:
        channel, inside = "chat:py-cut", Watch()
        client = connected_client(process, Watch(), token=sign(sub="cut"))
        await client.connect()
        await client.new_subscription(channel, events=inside).subscribe()
        await inside.until("subscribed")
        goodbye = {"code": 3011, "reason": "force reconnect"}
        for number in range(3):
            await asyncio.to_thread(process.publish, channel, {"n": 2 * number})
            await asyncio.to_thread(lambda: process.api("disconnect", user="cut", disconnect=goodbye))
            await asyncio.to_thread(process.publish, channel, {"n": 2 * number + 1})
        assert await numbers(inside, 6) == list(range(6))
        await client.disconnect()

    run(scenario)


def test_what_is_gone_is_told_as_not_recovered(process: Process) -> None:
    async def scenario() -> None:
        channel, inside = "prices:py-gone", Watch()
        client = connected_client(process, Watch())
        await client.connect()
        subscription = client.new_subscription(channel, events=inside, recoverable=True)
        await subscription.subscribe()
        await inside.until("subscribed")
        await leave(subscription)
        for number in range(21):
            await asyncio.to_thread(process.publish, channel, {"n": number})
        await subscription.subscribe()
        context = await inside.until("subscribed")
        assert (context.was_recovering, context.recovered) == (True, False)
        await client.disconnect()

    run(scenario)


def test_deltas_are_decoded_also_over_a_recovery(process: Process) -> None:
    async def scenario() -> None:
        channel, inside = "prices:py-delta", Watch()
        client = connected_client(process, Watch())
        await client.connect()
        subscription = client.new_subscription(channel, events=inside, delta=DeltaType.FOSSIL)
        await subscription.subscribe()
        await inside.until("subscribed")
        for number in range(3):
            await asyncio.to_thread(process.publish, channel, {"n": number, "pad": "\u00e9" * 60})
        assert await numbers(inside, 3) == [0, 1, 2]
        await leave(subscription)
        for number in range(3, 6):
            await asyncio.to_thread(process.publish, channel, {"n": number, "pad": "\u00e9" * 60})
        await subscription.subscribe()
        assert (await inside.until("subscribed")).recovered
        for number in range(6, 8):
            await asyncio.to_thread(process.publish, channel, {"n": number, "pad": "\u00e9" * 60})
        assert await numbers(inside, 5) == list(range(3, 8))
        await client.disconnect()

    run(scenario)
