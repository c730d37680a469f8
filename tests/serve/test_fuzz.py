"""Whatever a client sends, nothing fails but that client, and nothing is logged as a failure."""

from typing import Any

import orjson
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import TEXT, deflate, frame, request

SETTINGS = settings(max_examples=25, suppress_health_check=list(HealthCheck))
FRAMES_PER_RUN = 30
METHODS = ["connect", "subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history"]
METHODS += ["rpc", "refresh", "sub_refresh", "ping", "send", "nonsense"]
API_METHODS = ["publish", "broadcast", "subscribe", "unsubscribe", "disconnect", "refresh", "presence"]
API_METHODS += ["presence_stats", "history", "history_remove", "channels", "info", "batch", "nonsense"]

numbers = st.integers(-(2**63), 2**64 - 1) | st.floats() | st.sampled_from([0, 1, -1, 300])
channels = st.sampled_from(
    ["chat:a", "feed:a", "$chat:a", "nowhere:a", "orders:ann", "book:sim.X", ":", "chat:"]
)
tokens = st.sampled_from(
    [sign(sub="ann"), sign(sub="ann", channel="chat:a"), sign(sub="", exp=2**53), sign(exp=1e300), "x.y.z"]
)
texts = channels | tokens | st.text(max_size=8) | st.sampled_from(["me", "ops.connections", "[", "fossil"])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
positions = st.fixed_dictionaries({"offset": numbers}, optional={"epoch": texts})
members = st.fixed_dictionaries(
    {},
    optional={
        "channel": channels,
        "channels": st.lists(channels, max_size=3),
        "token": tokens,
        "data": values,
        "b64data": texts,
        "limit": numbers,
        "since": positions | values,
        "reverse": st.booleans(),
        "method": texts,
        "delta": texts,
        "type": numbers,
        "tf": values,
        "user": st.sampled_from(["", "ann", "nobody"]),
        "client": texts,
        "tags": values,
        "kind": texts,
        "expire_at": numbers,
        "disconnect": st.fixed_dictionaries({}, optional={"code": numbers, "reason": texts}),
        "pattern": st.text(alphabet="[]*?!-a:", max_size=6),
        "info": values,
        "idempotency_key": texts,
        "commands": st.lists(st.dictionaries(st.sampled_from(API_METHODS), values, max_size=2), max_size=2),
    },
)
ids = st.integers(-1, 2**64 - 1) | values
commands = st.fixed_dictionaries({"id": ids}) | st.tuples(
    ids, st.sampled_from(METHODS), members | values
).map(lambda drawn: {"id": drawn[0], drawn[1]: drawn[2]})


def encode(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)


payloads = (
    commands.map(encode)
    | st.lists(commands, min_size=1, max_size=4).map(lambda several: b"\n".join(map(encode, several)))
    | st.binary(max_size=200)
    | values.map(encode)
)
opcodes = st.sampled_from([TEXT, TEXT, TEXT, 0, 2, 8, 9, 10, 3, 15])
frames = (
    st.builds(frame, opcodes, payloads, is_final=st.booleans(), rsv=st.sampled_from([0, 0, 0, 4, 2]))
    | payloads.map(lambda payload: frame(TEXT, payload))
    | payloads.map(lambda payload: frame(TEXT, deflate(payload), rsv=4))
    | st.binary(max_size=60)
)


async def rest_is_well(server: Server) -> None:
    """Another client gets what is published, and the server counts nobody who is gone."""
    witness = await server.subscriber("experiment:witness")
    await server.publish("experiment:witness", "well")
    assert await witness.publication() == "well"


async def throw(server: Server, data: bytes, *, is_connected: bool) -> None:
    try:
        client = await (server.client(sign(sub="ann"), extensions="permessage-deflate") if is_connected
                        else server.upgraded())  # fmt: skip
        await client.send(data)
        await client.stream.send_eof()
        await client.take_all()
    except trio.BrokenResourceError:
        pass


@given(st.lists(st.tuples(frames, st.booleans()), min_size=1, max_size=FRAMES_PER_RUN))
@SETTINGS
def test_frames_of_any_kind_harm_nobody_else(thrown: list[tuple[bytes, bool]]) -> None:
    async def main() -> None:
        async with running() as server:
            for data, is_connected in thrown:
                await throw(server, data, is_connected=is_connected)
            await rest_is_well(server)

    trio.run(main)


@given(st.lists(commands, min_size=1, max_size=FRAMES_PER_RUN))
@SETTINGS
def test_commands_of_any_kind_are_answered_or_end_that_client(thrown: list[dict[str, Any]]) -> None:
    async def main() -> None:
        async with running() as server:
            for command in thrown:
                await throw(server, frame(TEXT, encode(command)), is_connected=True)
            await rest_is_well(server)

    trio.run(main)


@given(
    st.lists(st.tuples(st.sampled_from(API_METHODS), members | values), min_size=1, max_size=FRAMES_PER_RUN)
)
@SETTINGS
def test_api_calls_of_any_kind_are_answered(calls: list[tuple[str, Any]]) -> None:
    async def main() -> None:
        async with running() as server:
            for method, params in calls:
                assert (await server.post(method, encode(params))).status in {200, 400, 404}
            await rest_is_well(server)

    trio.run(main)


@given(st.lists(st.binary(max_size=300) | st.text(max_size=60).map(str.encode), min_size=1, max_size=10))
@SETTINGS
def test_bytes_of_any_kind_at_the_door_harm_nobody(thrown: list[bytes]) -> None:
    heads = [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", request("POST", "/api/info", {"X-API-Key": KEYS.api})]

    async def main() -> None:
        async with running() as server:
            for number, data in enumerate(thrown):
                wire = await server.wire()
                await wire.send(heads[number % len(heads)] + data)
                await wire.stream.send_eof()
                try:
                    await wire.take_all()
                except trio.BrokenResourceError:
                    continue
            await rest_is_well(server)

    trio.run(main)
