from itertools import pairwise

import pytest
import trio
import trio.testing

from tests.serve.running import Server, running, sign
from tests.serve.wire import PING, Client, frame


@pytest.mark.trio
async def test_client_that_answers_pings_stays_and_its_round_trip_is_known(jumping_clock: object) -> None:
    async with running(limits={"ping_seconds": 4, "pong_seconds": 2}) as server:
        client = await server.client()
        assert (await client.call("rpc", method="me"))["data"]["rtt_ms"] is None
        pings = []
        for _ in range(4):
            assert await client.document() == {}
            pings.append(trio.current_time())
            await client.say({})
        assert 2 <= pings[0] <= 4.5
        assert all(3.5 < later - ping < 4.5 for ping, later in pairwise(pings))
        assert (await client.call("rpc", method="me"))["data"]["rtt_ms"] is not None


@pytest.mark.trio
async def test_missing_pong_ends_that_client_only(jumping_clock: object, server: Server) -> None:
    witness, client = await server.client(), await server.client()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(witness.stay)
        assert await client.document() == {}
        asked = trio.current_time()
        assert await client.closing() == (3012, "no pong")
        assert 7.5 <= trio.current_time() - asked <= 8.5
        nursery.cancel_scope.cancel()
    assert await witness.is_alive()


@pytest.mark.trio
async def test_websocket_pong_is_no_answer_to_the_protocols_ping() -> None:
    async with running(limits={"ping_seconds": 0.02, "pong_seconds": 0.01}) as server:
        client = await server.upgraded()
        await client.say({"id": 1, "connect": {}})
        assert (await client.document())["connect"]["ping"] == 0.02
        await client.send(frame(10, b""))
        assert await client.closing() == (3012, "no pong")


@pytest.mark.trio
async def test_pong_without_a_ping_is_a_terminal_close(server: Server) -> None:
    witness, client = await server.client(), await server.client()
    await client.say({})
    assert await client.closing() == (3501, "bad request: a pong without a ping")
    assert await witness.is_alive()


@pytest.mark.trio
async def test_second_pong_to_one_ping_is_a_terminal_close(jumping_clock: object, server: Server) -> None:
    client = await server.client()
    assert await client.document() == {}
    await client.say({}, {})
    assert (await client.closing())[0] == 3501


@pytest.mark.trio
async def test_more_commands_than_the_limit_are_refused_for_a_second(jumping_clock: object) -> None:
    async with running(limits={"commands_per_second": 5}) as server:
        witness, client = await server.client(), await server.client()
        await client.say(*({"id": number, "ping": {}} for number in range(2, 9)))
        answers = [await client.document() for _ in range(7)]
        assert [answer.get("error") for answer in answers] == [None] * 4 + [
            {"code": 111, "message": "too many requests", "temporary": True}
        ] * 3
        await trio.sleep(2)
        assert await client.is_alive()
        assert await witness.is_alive()


@pytest.mark.trio
async def test_message_beyond_the_limit_is_not_answered_as_if_it_were_a_command(
    jumping_clock: object,
) -> None:
    async with running(limits={"commands_per_second": 2}) as server:
        client = await server.upgraded()
        await client.connect(data={"latency": True})
        await client.say(*[{"send": {"data": {"latency": "0"}}}] * 3)
        await trio.sleep(3)
        assert [document for document in await client.kept() if "error" in document] == []
        assert 'cause="commands_per_second"} 2.0' in (await server.get("/metrics")).body.decode()


@pytest.mark.trio
async def test_flood_of_commands_is_closed_with_leave_to_come_back() -> None:
    async with running(limits={"commands_per_second": 5}) as server:
        witness, client = await server.client(), await server.client()
        await client.say(*({"id": number, "ping": {}} for number in range(2, 80)))
        assert await client.closing() == (3013, "too many requests")
        assert await witness.is_alive()


@pytest.mark.trio
async def test_connection_beyond_the_limit_is_told_to_retry() -> None:
    async with running(limits={"connections": 2}) as server:
        first, second = await server.client(), await server.client()
        late = Client(await server.dial())
        head = await late.upgrade()
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: " in head.lower()
        assert await first.is_alive()
        assert await second.is_alive()
        await second.send(frame(8, b"\x03\xe8"))
        await second.closing()
        assert await (await server.client()).is_alive()


@pytest.mark.trio
async def test_reader_who_never_reads_is_cut_and_delays_nobody() -> None:
    async with running(limits={"outbox_bytes": 65_536, "gather_bytes": 67_108_864}) as server:
        witness = await server.subscriber("chat:a")
        deaf = await server.subscriber("chat:a")
        text = "x" * 60_000
        for _ in range(200):
            await server.publish("chat:a", text)
            assert await witness.publication() == text
        assert [await witness.call("presence", channel="chat:a")] == [
            {"presence": {witness.id: {"user": "", "client": witness.id}}}
        ]
        seen = await deaf.take_all()
        assert 0 < len(seen) < 200 * 60_000


@pytest.mark.trio
async def test_reader_who_falls_behind_gets_every_publication_in_order(server: Server) -> None:
    slow = await server.subscriber("chat:a")
    numbers = range(300)
    for number in numbers:
        await server.publish("chat:a", f"{number} " + "x" * 3_000)
    assert [int((await slow.publication()).split()[0]) for _ in numbers] == list(numbers)
    assert await slow.is_alive()


@pytest.mark.trio
async def test_pings_to_a_client_that_does_not_read_are_bounded(server: Server) -> None:
    witness, client = await server.client(), await server.client()
    with pytest.raises((trio.BrokenResourceError, trio.TooSlowError)):
        await client.send(frame(PING, b"p" * 125) * 1_000_000)
    assert await witness.is_alive()


@pytest.mark.trio
async def test_closing_house_says_goodbye_and_lets_nobody_in() -> None:
    async with running() as server:
        client = await server.client()
        streams, server.streams = server.streams, []
    assert await client.closing() == (3001, "shutdown")
    with pytest.raises(OSError, match="connect"):
        await server.dial()
    for stream in streams:
        await stream.aclose()


@pytest.mark.trio
async def test_answers_keep_their_place_among_the_publications_of_a_client_that_is_behind(
    server: Server,
) -> None:
    slow = await server.subscriber("chat:a")
    for _ in range(12):
        await server.publish("chat:a", "before " + "x" * 60_000)
    for number, method in ((10, "unsubscribe"), (11, "subscribe")):
        await slow.say({"id": number, method: {"channel": "chat:a"}})
        await trio.testing.wait_all_tasks_blocked()
        await server.publish("chat:a", f"after {number}")
    seen = []
    while "after 11" not in seen:
        document = await slow.document()
        seen.append(document.get("id") or document["push"]["pub"]["data"].split(" x")[0])
    assert seen[seen.index(10) :] == [10, 11, "after 11"]
    assert set(seen[: seen.index(10)]) == {"before"}


@pytest.mark.trio
async def test_stranger_who_holds_all_channels_he_may_stops_no_fill() -> None:
    async with running(limits={"channels": 3}) as server:
        stranger = await server.subscriber(*(f"chat:{number}" for number in range(3)))
        assert await stranger.refusal("subscribe", channel="chat:3") == 106
        ann = await server.subscriber("orders:ann", token=sign(sub="ann"))
        await server.publish("orders:ann", 1)
        assert (await ann.push())["pub"]["data"] == 1
        await server.publish("chat:new", 2)
        assert "error" not in await server.api("subscribe", user="ann", channel="chat:granted")


@pytest.mark.trio
async def test_stranger_who_holds_all_channels_he_may_gets_what_the_server_fills() -> None:
    async with running(limits={"channels": 3}) as server:
        stranger = await server.subscriber(*(f"chat:{number}" for number in range(3)))
        for channel in ("market:feeds", "market:hot"):
            assert "data" in await stranger.call("subscribe", channel=channel)
        await stranger.call("subscribe", channel="trades:all")
        assert await stranger.refusal("subscribe", channel="market:feeds.invented") == 106
        assert await stranger.refusal("subscribe", channel="trades:sim.INVENTED") == 106
