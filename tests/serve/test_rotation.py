from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from monitor.config import Settings
from monitor.keys import load_keys, rotate_key
from monitor.reload import LOOK_SECONDS
from monitor.serve.tokens import make_token
from tests.serve.running import Server, running

KEPT = {"api_key": None, "operator_key": None, "token_key": None}


async def status(server: Server, key: str) -> int:
    return (await server.post("info", b"{}", X_API_Key=key)).status


@pytest.mark.trio
async def test_running_server_takes_a_new_api_key_and_for_a_while_the_old_one(
    tmp_path: Path, jumping_clock: MockClock
) -> None:
    settings = Settings(data_dir=tmp_path)
    async with running(data_dir=tmp_path, **KEPT) as server:
        old = load_keys(settings).api
        rotate_key(settings, "api", at_once=False)
        await trio.sleep(2 * LOOK_SECONDS)
        new = load_keys(settings).api
        assert [await status(server, key) for key in (new, old, "x" * 43)] == [200, 200, 401]
        rotate_key(settings, "api", at_once=True)
        server.control.reload()
        await trio.sleep(LOOK_SECONDS / 2)
        newest = load_keys(settings).api
        assert [await status(server, key) for key in (newest, new, old)] == [200, 401, 401]


@pytest.mark.trio
@pytest.mark.parametrize("name", ["operator", "token"])
async def test_tokens_of_a_key_that_was_replaced_at_once_are_refused(
    tmp_path: Path, jumping_clock: MockClock, name: str
) -> None:
    settings = Settings(data_dir=tmp_path)
    async with running(data_dir=tmp_path, **KEPT) as server:
        token = make_token(getattr(load_keys(settings), name), "ann")
        connected = await server.client(token)
        rotate_key(settings, name, at_once=True)
        await trio.sleep(2 * LOOK_SECONDS)
        refused = await server.upgraded()
        await refused.say({"id": 1, "connect": {"token": token}})
        assert (await refused.closing())[0] == 3500
        assert await connected.is_alive()
        renewed = await server.client(make_token(getattr(load_keys(settings), name), "ann"))
        assert await renewed.is_alive()


@pytest.mark.trio
@pytest.mark.parametrize("name", ["operator", "token"])
async def test_who_is_connected_refreshes_by_the_new_key_and_for_a_while_by_the_old_one(
    tmp_path: Path, jumping_clock: MockClock, name: str
) -> None:
    settings = Settings(data_dir=tmp_path)
    async with running(data_dir=tmp_path, **KEPT) as server:
        old = make_token(getattr(load_keys(settings), name), "ann", ttl_seconds=60)
        connected = await server.client(old)
        rotate_key(settings, name, at_once=False)
        await trio.sleep(2 * LOOK_SECONDS)
        new = make_token(getattr(load_keys(settings), name), "ann", ttl_seconds=600)
        for token, ttl_seconds in ((old, 60), (new, 600)):
            assert ttl_seconds - 30 < (await connected.call("refresh", token=token))["ttl"] <= ttl_seconds


@pytest.mark.trio
async def test_key_in_a_url_is_refused_even_if_it_is_right(server: Server) -> None:
    answer = await server.get("/api/info?api_key=" + "a" * 64, "POST")
    assert (answer.status, b"rotate it" in answer.body, b"a" * 64 in answer.body) == (400, True, False)
