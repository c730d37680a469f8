"""End-to-end latency over real sockets: who is asked, whose answers count, what is shown."""

from typing import Any

import pytest
import trio

from monitor.client import Client as SdkClient
from monitor.client import open_client
from monitor.sampling import TAG, Mark
from tests.patience import PATIENCE_SECONDS
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

pytestmark = pytest.mark.trio
LIMITS = {"ping_seconds": 0.4, "pong_seconds": 0.3, "commands_per_second": 10_000}
"""A client that volunteers is asked for its round trip within the first ping interval."""


async def volunteer(server: Server, channel: str) -> Client:
    """One that said it answers, and has told its round trip."""
    client = await server.upgraded()
    await client.connect(data={"latency": True})
    await client.call("subscribe", channel=channel)
    while await client.document() != {}:
        pass
    await client.say({})
    return client


async def marked_publication(server: Server, client: Client, channel: str) -> dict[str, Any]:
    while True:
        await server.publish(channel, 1)
        push = await client.push()
        publication: dict[str, Any] = push["pub"]
        if TAG in publication.get("tags", {}):
            return publication


async def row(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = (await client.call("rpc", method="me"))["data"]
    return found


async def test_our_client_answers_by_itself_and_sees_its_latency_with_its_error() -> None:
    async with running(limits=LIMITS) as server, open_client(f"http://127.0.0.1:{server.port}") as client:
        subscription = await client.subscribe("chat:room")
        me = await measured(server, client)
        assert 0 <= me["e2e_error_ms"] <= me["rtt_ms"]
        assert me["e2e_ms"] >= me["e2e_error_ms"]
        assert (await anext(subscription)).tags == {}
        kind = await reported_kind(server)
        assert kind["end_to_end"]["count"] >= 1
        assert kind["end_to_end"]["error_ms"] <= kind["end_to_end"]["worst_ms"]
        metrics = (await server.get("/metrics")).body.decode()
        assert 'lanecast_end_to_end_seconds_count{kind="message"}' in metrics


async def reported_kind(server: Server) -> dict[str, Any]:
    """The kind `message` in the first report that knows its end-to-end latency."""
    operator = await server.client(sign(KEYS.operator, sub="root"))
    report = (await operator.call("subscribe", channel="ops:health"))["data"]
    while True:
        kinds: dict[str, dict[str, Any]] = {kind["kind"]: kind for kind in report["kinds"]}
        if kinds["message"]["end_to_end"] is not None:
            return kinds["message"]
        while "push" not in (document := await operator.document()):
            await operator.say({})
        report = document["push"]["pub"]["data"]


async def measured(server: Server, client: SdkClient) -> dict[str, Any]:
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            await server.publish("chat:room", 1)
            me: dict[str, Any] = await client.rpc("me")
            if me["e2e_ms"] is not None:
                return me


async def test_an_answer_is_taken_once_and_only_from_who_was_asked() -> None:
    async with running(limits=LIMITS) as server:
        client = await volunteer(server, "chat:room")
        mark = Mark.read((await marked_publication(server, client, "chat:room"))["tags"][TAG])
        assert mark.picks(client.id)
        await client.say({"send": {"data": {"latency": "00000000"}}})
        assert (await row(client))["e2e_ms"] is None
        await client.say({"send": {"data": {"latency": mark.salt}}})
        first = await row(client)
        assert first["e2e_ms"] is not None
        await client.say({"send": {"data": {"latency": mark.salt}}})
        assert (await row(client))["e2e_ms"] == first["e2e_ms"]


async def test_plain_clients_are_not_asked(server: Server) -> None:
    client = await server.subscriber("chat:room")
    await server.publish("chat:room", 1)
    assert "tags" not in (await client.push())["pub"]
    assert (await row(client))["e2e_ms"] is (await row(client))["e2e_error_ms"] is None


@pytest.mark.parametrize("data", [{"latency": False}, {"latency": "yes"}, {"other": 1}, [True], None])
async def test_who_has_not_volunteered_may_not_send(server: Server, data: Any) -> None:
    client = await server.upgraded()
    await client.connect(data=data)
    await client.say({"send": {"data": {"latency": "00000000"}}})
    assert await client.closing() == (3508, "not available")


@pytest.mark.parametrize("data", [1, {"latency": 7}, {"chat": "hello"}])
async def test_a_volunteer_may_send_answers_only(server: Server, data: Any) -> None:
    client = await server.upgraded()
    await client.connect(data={"latency": True})
    await client.say({"send": {"data": data}})
    assert await client.closing() == (3508, "not available")
