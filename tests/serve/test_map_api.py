"""The HTTP API's map methods: what is not taken says why, and whoever watches is told of nothing else."""

from typing import Any

import pytest

from tests.serve.mirror import CHANNEL, Mirror, put, remove, state_of
from tests.serve.mirror import server as server
from tests.serve.running import Server

pytestmark = pytest.mark.trio


async def told(mirror: Mirror) -> list[tuple[str, Any]]:
    """Key and value of each push so far, None for a removal."""
    return [(each["push"]["pub"]["key"], each["push"]["pub"]["data"]) for each in await mirror.client.kept()]


def suppressed(result: dict[str, Any], reason: str, offset: int) -> bool:
    found = result["suppressed"], result["suppress_reason"], result.get("offset", 0)
    return found == (True, reason, offset)


async def test_idempotency_key_repeats_the_first_result_and_publishes_once(server: Server) -> None:
    mirror = Mirror(await server.client())
    await mirror.take_up()
    first = await put(server, "a", 1, idempotency_key="once")
    assert (first["offset"], "suppressed" in first) == (1, False)
    await put(server, "b", 2)
    again = await put(server, "a", 3, idempotency_key="once")
    assert again == first | {"suppressed": True, "suppress_reason": "idempotency"}
    assert "suppressed" not in await put(server, "a", 4, channel="short:a", idempotency_key="once")
    assert await told(mirror) == [("a", 1), ("b", 2)]


async def test_idempotency_key_removes_once(server: Server) -> None:
    await put(server, "a", 1)
    call = {"channel": CHANNEL, "key": "a", "idempotency_key": "gone"}
    assert (await server.api("map_remove", **call))["result"]["offset"] == 2
    await put(server, "a", 2)
    assert suppressed((await server.api("map_remove", **call))["result"], "idempotency", 2)
    assert await state_of(server) == {"a": 2}


async def test_key_that_has_set_something_removes_it_too(server: Server) -> None:
    await put(server, "a", 1, idempotency_key="same")
    removal = await server.api("map_remove", channel=CHANNEL, key="a", idempotency_key="same")
    assert "suppressed" not in removal["result"]
    assert await state_of(server) == {}


async def test_refused_call_uses_up_no_idempotency_key(server: Server) -> None:
    refused = await server.api("map_publish", channel=CHANNEL, data=1, idempotency_key="kept")
    assert refused["error"]["code"] == 107
    assert (await put(server, "a", 1, idempotency_key="kept"))["offset"] == 1


async def test_key_mode_takes_only_new_or_only_known_keys(server: Server) -> None:
    mirror = Mirror(await server.client())
    await mirror.take_up()
    assert suppressed(await put(server, "a", 1, key_mode="if_exists"), "key_not_found", 0)
    assert (await put(server, "a", 2, key_mode="if_new"))["offset"] == 1
    assert suppressed(await put(server, "a", 3, key_mode="if_new"), "key_exists", 1)
    assert (await put(server, "a", 4, key_mode="if_exists"))["offset"] == 2
    await remove(server, "a")
    assert suppressed(await put(server, "a", 5, key_mode="if_exists"), "key_not_found", 3)
    assert await told(mirror) == [("a", 2), ("a", 4), ("a", None)]
    assert (await server.post("map_publish", b'{"channel":"bag:a","key_mode":"never"}')).status == 400


async def test_version_lets_no_older_value_over_a_newer_one(server: Server) -> None:
    mirror = Mirror(await server.client())
    await mirror.take_up()
    assert (await put(server, "a", "v5", version=5))["offset"] == 1
    for older in (4, 5):
        assert suppressed(await put(server, "a", "late", version=older), "version", 1)
    assert (await put(server, "a", "v6", version=6))["offset"] == 2
    assert (await put(server, "b", "other key", version=1))["offset"] == 3
    assert (await put(server, "a", "none"))["offset"] == 4
    assert suppressed(await put(server, "a", "still known", version=6), "version", 4)
    assert [value for _, value in await told(mirror)] == ["v5", "v6", "other key", "none"]


async def test_versions_of_another_epoch_begin_anew(server: Server) -> None:
    await put(server, "a", "old", version=9, version_epoch="monday")
    assert (await put(server, "a", "new", version=1, version_epoch="tuesday"))["offset"] == 2
    late = await put(server, "a", "late", version=1, version_epoch="tuesday")
    assert suppressed(late, "version", 2)
    assert await state_of(server) == {"a": "new"}


async def test_version_of_a_removed_key_is_forgotten(server: Server) -> None:
    await put(server, "a", 9, version=9)
    await remove(server, "a")
    assert (await put(server, "a", 1, version=1))["offset"] == 3


async def test_unknown_key_is_not_removed(server: Server) -> None:
    await put(server, "a", 1)
    assert suppressed(await remove(server, "b"), "key_not_found", 1)


async def test_clear_takes_out_every_key_and_tells_subscribers_and_who_comes_back(server: Server) -> None:
    for key in ("b", "a"):
        await put(server, key, 1)
    mirror, late = Mirror(await server.client()), Mirror(await server.client())
    live = await mirror.take_up()
    late.state = dict(mirror.state)
    assert (await server.api("map_clear", channel=CHANNEL)) == {"result": {}}
    pushes = [document["push"]["pub"] for document in await mirror.client.kept()]
    assert [(push["key"], push["removed"], push["offset"]) for push in pushes] == [
        ("a", True, 3),
        ("b", True, 4),
    ]
    assert (await server.api("map_stats", channel=CHANNEL))["result"] == {"num_keys": 0}
    assert (await late.come_back(live))["recovered"]
    assert late.state == {}
    assert (await put(server, "a", 2, key_mode="if_new"))["offset"] == 5


async def test_clear_of_an_empty_map_tells_nobody_and_of_no_map_is_refused(server: Server) -> None:
    mirror = Mirror(await server.client())
    await mirror.take_up()
    assert (await server.api("map_clear", channel=CHANNEL)) == {"result": {}}
    assert await told(mirror) == []
    for channel, code in (("chat:a", 107), ("nowhere:a", 102), ("", 107)):
        assert (await server.api("map_clear", channel=channel))["error"]["code"] == code
