"""The client and the server of this house, together: what each side's own tests can't show."""

from itertools import count

import pytest
import trio

from monitor.client import (
    Client,
    CommandRejected,
    Disconnected,
    LinkState,
    Position,
    Unsubscribed,
    open_client,
)
from tests.patience import PATIENCE_SECONDS
from tests.serve.running import Server, running, sign


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.trio
async def test_publication_of_one_client_reaches_the_other(server: Server) -> None:
    async with open_client(url(server)) as reader, open_client(url(server)) as writer:
        subscription = await reader.subscribe("chat:room")
        await writer.subscribe("chat:room")
        await writer.publish("chat:room", {"text": "line\u2028end", "price": "61837.63"})
        publication = await anext(subscription)
        assert publication.data == {"text": "line\u2028end", "price": "61837.63"}
        assert publication.info is not None
        assert publication.info["client"] == writer.id


@pytest.mark.trio
async def test_history_and_presence_of_a_channel(server: Server) -> None:
    async with open_client(url(server), sign(sub="ada")) as client:
        await client.subscribe("chat:room")
        for number in range(3):
            await server.publish("chat:room", number)
        history = await client.history("chat:room", -1)
        assert [publication.data for publication in history.publications] == [0, 1, 2]
        since = Position(1, history.position.epoch)
        later = await client.history("chat:room", 1, since=since)
        assert [publication.offset for publication in later.publications] == [2]
        backwards = await client.history("chat:room", 1, reverse=True)
        assert [publication.data for publication in backwards.publications] == [2]
        assert [member["user"] for member in (await client.presence("chat:room")).values()] == ["ada"]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("method", "channel"), [("subscribe", "chat:room"), ("subscribe_map", "botstate:ada")]
)
async def test_channel_can_be_taken_again_at_once_whenever_a_subscribe_was_cancelled(
    server: Server, method: str, channel: str
) -> None:
    taken: list[object] = []

    async def take(client: Client) -> None:
        taken.append(await getattr(client, method)(channel))

    async with open_client(url(server), sign(sub="ada")) as client:
        await client.rpc("me")
        for turns in count():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(take, client)
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            if taken:
                break
            await take(client)
            await client.unsubscribe(channel)
            taken.clear()
        await client.unsubscribe(channel)
        assert turns > 2
        assert await server.api("channels") == {"result": {"channels": {}}}


@pytest.mark.trio
async def test_refusals_carry_the_protocols_codes(server: Server) -> None:
    async with open_client(url(server)) as client:
        for attempt, code in (
            (client.subscribe("nowhere:x"), 102),
            (client.subscribe("ops:health"), 103),
            (client.publish("ticker:sim.BTCUSDT", 1), 103),
            (client.rpc("nothing"), 108),
        ):
            with pytest.raises(CommandRejected) as refused:
                await attempt
            assert refused.value.code == code


@pytest.mark.trio
async def test_forged_token_is_final(server: Server) -> None:
    async with open_client(url(server), "forged") as client:
        with pytest.raises(Disconnected, match="3500"):
            await client.rpc("me")


@pytest.mark.trio
async def test_path_without_a_websocket_is_told_by_its_status(server: Server) -> None:
    async with open_client(url(server) + "/elsewhere", reconnect=False) as client:
        with pytest.raises(Disconnected, match=r"answered 404"):
            await client.rpc("me")


@pytest.mark.trio
async def test_server_unsubscribes_and_disconnects(server: Server) -> None:
    async with open_client(url(server), sign(sub="ada")) as client:
        subscription = await client.subscribe("chat:room")
        await server.api("unsubscribe", channel="chat:room", user="ada")
        with pytest.raises(Unsubscribed):
            await anext(subscription)
        connected = client.status
        await server.api("disconnect", user="ada", disconnect={"code": 4000, "reason": "come again"})
        with trio.fail_after(PATIENCE_SECONDS):
            lost = await client.status_after(connected)
            assert (lost.code, lost.reason) == (4000, "come again")
            while client.status.state is not LinkState.CONNECTED:
                await client.status_after(client.status)


@pytest.mark.trio
async def test_order_of_publications_holds_under_load(server: Server) -> None:
    async with open_client(url(server)) as client:
        subscription = await client.subscribe("feed:all", capacity=10_000)
        async with trio.open_nursery() as nursery:
            for start in range(0, 300, 100):
                nursery.start_soon(_publish, server, range(start, start + 100))
        seen = [await anext(subscription) for _ in range(300)]
        assert sorted(publication.data for publication in seen) == list(range(300))
        for start in range(0, 300, 100):
            own = [publication.data for publication in seen if publication.data // 100 == start // 100]
            assert own == sorted(own)


async def _publish(server: Server, numbers: range) -> None:
    for number in numbers:
        await server.publish("feed:all", number)


@pytest.mark.trio
async def test_cuts_at_any_time_lose_and_repeat_nothing(server: Server) -> None:
    async with open_client(url(server), sign(sub="ada")) as client:
        subscription = await client.subscribe("feed:a")
        got: list[int] = []
        for number in range(120):
            await server.publish("feed:a", number)
            if number % 20 == 10:
                goodbye = {"code": 3011, "reason": "force reconnect"}
                await server.api("disconnect", user="ada", disconnect=goodbye)
        with trio.fail_after(PATIENCE_SECONDS):
            while len(got) < 120:
                publication = await anext(subscription)
                assert not publication.is_whole
                got.append(publication.data)
        assert got == list(range(120))


@pytest.mark.trio
async def test_after_a_cut_the_newest_price_comes() -> None:
    async with (
        running(namespaces={"price": {"delivery": "latest"}}) as server,
        open_client(url(server), sign(sub="ada")) as client,
    ):
        subscription = await client.subscribe("price:a")
        await server.publish("price:a", 1)
        assert (await anext(subscription)).data == 1
        connected = client.status
        await server.api("disconnect", user="ada", disconnect={"code": 3011, "reason": "again"})
        await client.status_after(connected)
        await server.publish("price:a", 2)
        await server.publish("price:a", 3)
        seen = [publication := await anext(subscription)]
        while publication.data != 3:
            seen.append(publication := await anext(subscription))
        assert not any(each.is_whole for each in seen)
        assert [each.data for each in seen] == sorted(each.data for each in seen)
