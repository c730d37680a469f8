"""Tuning of a running server: its steps over real sockets, what the operator sees, and how it is undone."""

from typing import Any

import pytest
import trio

from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import Client

pytestmark = pytest.mark.trio
IMPOSSIBLE = {"message": {"threshold_ms": 0.001}}
"""A promise that no machine keeps, so that there is something to tune for."""


async def tuning(operator: Client, action: str = "show") -> dict[str, Any]:
    reply = await operator.call("rpc", method="ops.tuning", data={"action": action})
    found: dict[str, Any] = reply["data"]
    return found


async def step_taken(operator: Client, publisher: Client) -> dict[str, Any]:
    """How tuning stands once it has done something."""
    while True:
        for number in range(10):
            await publisher.say({"id": 1, "publish": {"channel": "chat:room", "data": number}})
            await trio.sleep(0.1)
        found = await tuning(operator)
        if found["steps"]:
            return found


async def test_a_server_tunes_itself_tells_why_and_is_put_back(jumping_clock: object) -> None:
    async with running(tuning=True, kinds=IMPOSSIBLE) as server:
        operator = await server.client(sign(KEYS.operator, sub="root"))
        found = await step_taken(operator, await server.subscriber("chat:room"))
        step = found["steps"][0]
        assert step["before"] == found["configured"][step["knob"]]
        assert step["after"] == found["cadence"][step["knob"]] != step["before"]
        assert step["cause"].startswith("message: p99 ")
        whole = (await operator.call("subscribe", channel="ops:health"))["data"]
        assert whole["tuning"]["steps"] == (await tuning(operator))["steps"]
        undone = await tuning(operator, "off")
        assert undone["on"] is False
        assert undone["cadence"] == undone["configured"]
        assert undone["steps"][0]["outcome"] == "reverted"


async def test_tuning_is_off_unless_asked_for_and_for_operators_only(server: Server) -> None:
    operator = await server.client(sign(KEYS.operator, sub="root"))
    assert (await tuning(operator))["on"] is False
    assert await (await server.client()).refusal("rpc", method="ops.tuning", data={"action": "on"}) == 103
    assert await operator.refusal("rpc", method="ops.tuning", data={"action": "faster"}) == 107
