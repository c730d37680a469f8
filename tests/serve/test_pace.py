"""A client that asks for less, or is given less, gets the newest of it, and every fill at once."""

import pytest
import trio

from tests.serve.running import KEYS, Server, sign

PRICE, FILLS = "ticker:venue.market", "orders:desk"


@pytest.mark.trio
async def test_a_paced_client_gets_the_latest_price_now_and_then_and_every_fill_at_once(
    server: Server, jumping_clock: object
) -> None:
    desk = sign(sub="desk")
    paced = await server.subscriber(PRICE, FILLS, token=desk)
    await paced.call("rpc", method="me.limit", data={"messages_per_second": 1})
    started = trio.current_time()
    for number in range(100):
        await server.publish(PRICE, number)
        await server.publish(FILLS, {"number": number})
        await trio.sleep(0.1)
    seconds = trio.current_time() - started
    got = [document["push"] for document in await paced.kept() if "push" in document]
    fills = [push["pub"]["data"]["number"] for push in got if push.get("channel") == FILLS]
    prices = [push["pub"]["data"] for push in got if push.get("channel") == PRICE]
    assert fills == list(range(100))
    assert prices == sorted(prices)
    assert len(prices) <= seconds + 1
    me = (await paced.call("rpc", method="me"))["data"]
    assert me["budget"] == {"messages_per_second": 1.0, "bytes_per_second": 0.0}


@pytest.mark.trio
async def test_an_operator_sets_a_clients_byte_budget_live_and_takes_it_back(
    server: Server, jumping_clock: object
) -> None:
    client = await server.subscriber(PRICE)
    operator = await server.client(sign(KEYS.operator, sub="operator"))
    limit = {"client": client.id, "bytes_per_second": 1_000}
    await operator.call("rpc", method="ops.limit", data=limit)
    for _ in range(50):
        await server.publish(PRICE, "x" * 1_000)
        await trio.sleep(0.1)
    assert 3 <= len(await client.kept()) <= 8
    await operator.call("rpc", method="ops.limit", data={"client": client.id})
    for _ in range(50):
        await server.publish(PRICE, "x" * 1_000)
        await trio.sleep(0.1)
    assert len(await client.kept()) >= 50


@pytest.mark.trio
async def test_budgets_are_for_their_owner_and_for_operators(server: Server) -> None:
    client = await server.client()
    data = {"client": client.id, "bytes_per_second": 10}
    assert await client.refusal("rpc", method="ops.limit", data=data) == 103
    assert await client.refusal("rpc", method="me.limit", data={"bytes_per_second": -1}) == 107
    assert await client.refusal("rpc", method="me.limit", data={"bytes_per_second": "much"}) == 107
