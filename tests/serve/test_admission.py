"""Who is let in, and what those are told who are not."""

from typing import Any

import pytest
import trio

from monitor.config import Limits, Settings
from monitor.health.health import Health
from monitor.serve import admission
from monitor.serve.admission import LOOPBACK, Admission, neighbourhood
from monitor.serve.front import SPARE_SOCKETS
from monitor.serve.registry import Registry
from monitor.serve.window import NAMES_MAX, Rates, Window
from tests.serve.running import KEYS, Server, read_answer, running, sign
from tests.serve.wire import UPGRADE, Refused, frame, request

PLACES = {
    "1.2.3.4": "1.2.3.4",
    "1.2.3.4:80": "1.2.3.4",
    "127.0.0.1:9": LOOPBACK,
    "::1": LOOPBACK,
    "[::1]:80": LOOPBACK,
    "[::ffff:127.0.0.1]:80": LOOPBACK,
    "[::ffff:1.2.3.4]:80": "1.2.3.4",
    "[2001:db8:0:1:2::3]:80": "2001:db8:0:1::/64",
    "2001:db8:0:1:ffff::": "2001:db8:0:1::/64",
    "[fe80::1%eth0]:80": "fe80::/64",
}


@pytest.mark.parametrize(("address", "place"), PLACES.items())
def test_place_is_an_address_or_a_network_or_this_machine(address: str, place: str) -> None:
    assert neighbourhood(address) == place


async def ask(server: Server, **headers: str) -> tuple[int, str]:
    """The status of an upgrade that is refused, and when to come again."""
    data = await server.exchange(request("GET", "/connection/websocket", UPGRADE | headers))
    answer = read_answer(data)
    return answer.status, answer.headers["retry-after"]


async def refused(server: Server) -> str:
    metrics = (await server.get("/metrics")).body.decode()
    return "\n".join(line for line in metrics.splitlines() if line.startswith("lanecast_refused_total"))


@pytest.mark.trio
async def test_address_with_enough_clients_is_told_to_come_later() -> None:
    async with running(limits={"connections_per_address": 2}) as server:
        first, _ = await server.client(), await server.client()
        assert await ask(server) == (429, "5")
        assert 'cause="connections_per_address"} 1.0' in await refused(server)
        await first.send(frame(8, b"\x03\xe8"))
        await first.closing()
        assert await (await server.client()).is_alive()


@pytest.mark.trio
async def test_address_that_was_answered_enough_is_told_to_come_later(jumping_clock: object) -> None:
    async with running(limits={"answer_bytes_per_second": 20_000}) as server:
        first, second = await server.client(), await server.client()
        for _ in range(5):
            await server.publish("chat:a", "x" * 6_000)
        assert len((await first.call("history", channel="chat:a", limit=-1))["publications"]) == 5
        for method, wish in (("history", {"limit": -1}), ("subscribe", {"recover": True}), ("presence", {})):
            assert await second.refusal(method, channel="chat:a", **wish) == 111
        assert await first.is_alive()
        assert 'cause="answer_bytes_per_second"} 3.0' in await refused(server)
        late = await server.upgraded()
        await late.say({"id": 1, "connect": {}})
        assert (await late.document())["error"] == {
            "code": 111,
            "message": "too many requests",
            "temporary": True,
        }
        await trio.sleep(2)
        assert len((await second.call("history", channel="chat:a", limit=-1))["publications"]) == 5


@pytest.mark.trio
async def test_sockets_of_an_address_are_bounded_though_none_is_a_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "SOCKETS_BESIDE", 2)
    async with running(limits={"connections_per_address": 1}) as server:
        client, silent = await server.client(), await server.wire()
        assert (await server.get("/healthz")).status == 200
        other = await server.wire()
        assert await server.exchange(b"") == b""
        await other.stream.aclose()
        assert 'cause="connections_per_address"} 1.0' in await refused(server)
        assert await client.is_alive()
        await silent.stream.aclose()


@pytest.mark.trio
@pytest.mark.parametrize("trusted", [["127.0.0.0/8"], []], ids=["proxy", "stranger"])
async def test_sockets_of_a_proxy_are_not_counted_as_one_address(
    monkeypatch: pytest.MonkeyPatch, trusted: list[str]
) -> None:
    monkeypatch.setattr(admission, "SOCKETS_BESIDE", 0)
    async with running(limits={"connections_per_address": 1}, trusted_proxies=trusted) as server:
        await server.wire()
        answer = await server.exchange(request("GET", "/healthz", UPGRADE | {"Connection": "close"}))
        assert (b" 200 " in answer) is bool(trusted)


@pytest.mark.trio
async def test_what_a_filter_keeps_from_a_client_was_read_for_it_all_the_same(jumping_clock: object) -> None:
    rooms = {
        "tape": {"tags_filter": True, "history_size": 10},
        "bag": {"delivery": "map", "tags_filter": True, "history_size": 10},
    }
    async with running(limits={"answer_bytes_per_second": 2_000}, namespaces=rooms) as server:
        nothing = {"key": "side", "cmp": "eq", "val": "none"}
        await server.publish("tape:a", "x" * 3_000)
        await server.api("map_publish", channel="bag:a", key="k", data="x" * 3_000)
        for channel, wish in (("tape:a", {"recover": True}), ("bag:a", {"type": 1, "phase": 2})):
            client = await server.client()
            result = await client.call("subscribe", channel=channel, tf=nothing, **wish)
            assert "x" * 3_000 not in str(result)
            assert await client.refusal("presence", channel="tape:a") == 111
            await trio.sleep(3)


@pytest.mark.trio
async def test_this_machine_is_exempt_unless_the_setting_is_set(server: Server) -> None:
    for _ in range(120):
        assert await server.upgraded()


@pytest.mark.trio
async def test_handshakes_of_an_address_are_limited_over_a_sliding_second(jumping_clock: object) -> None:
    async with running(limits={"handshakes_per_second": 3}) as server:
        for _ in range(3):
            await server.upgraded()
        assert await ask(server) == (429, "1")
        assert 'cause="handshakes_per_second"} 1.0' in await refused(server)
        await trio.sleep(2.5)
        await server.upgraded()


@pytest.mark.trio
async def test_behind_a_trusted_proxy_each_client_is_counted_by_its_own_address() -> None:
    limits = {"connections_per_address": 1}
    async with running(limits=limits, trusted_proxies=["127.0.0.1"]) as server:
        wire = await server.wire()
        headers = UPGRADE | {"X-Forwarded-For": "192.0.2.1"}
        await wire.send(request("GET", "/connection/websocket", headers))
        assert b" 101 " in await wire.take_until(b"\r\n\r\n")
        assert await ask(server, **{"X-Forwarded-For": "192.0.2.1"}) == (429, "5")
        wire = await server.wire()
        headers = UPGRADE | {"X-Forwarded-For": "192.0.2.2"}
        await wire.send(request("GET", "/connection/websocket", headers))
        assert b" 101 " in await wire.take_until(b"\r\n\r\n")


@pytest.mark.trio
async def test_user_who_is_connected_often_enough_is_closed_but_no_operator_and_nobody_anonymous() -> None:
    async with running(limits={"connections_per_user": 2}) as server:
        token = sign(sub="ann")
        first = await server.client(token)
        await server.client(token)
        third = await server.upgraded()
        await third.say({"id": 1, "connect": {"token": token}})
        assert await third.closing() == (3504, "connection limit")
        assert 'cause="connections_per_user"} 1.0' in await refused(server)
        for _ in range(3):
            await server.client()
            await server.client(sign(KEYS.operator, sub="boss"))
        await first.send(frame(8, b"\x03\xe8"))
        await first.closing()
        assert await (await server.client(token)).is_alive()


@pytest.mark.trio
async def test_publications_to_a_channel_are_limited_for_clients_and_backends_together() -> None:
    async with running(limits={"publications_per_second": 3}) as server:
        client = await server.client()
        for number in range(2):
            await client.call("publish", channel="chat:a", data=number)
        await server.publish("chat:a", 2)
        assert (await server.api("publish", channel="chat:a", data=3))["error"]["code"] == 111
        with pytest.raises(Refused) as refusal:
            await client.call("publish", channel="chat:a", data=4)
        assert (refusal.value.code, refusal.value.is_temporary) == (111, True)
        assert 'cause="publications_per_second"} 2.0' in await refused(server)
        await client.call("publish", channel="chat:b", data=5)


@pytest.mark.trio
async def test_publications_to_the_keys_of_a_map_are_limited_together() -> None:
    bag = {"delivery": "map", "history_size": 10}
    async with running(limits={"publications_per_second": 2}, namespaces={"bag": bag}) as server:
        codes = []
        for _ in range(2):
            put = await server.api("map_publish", channel="bag:a", key="a", data=1)
            removed = await server.api("map_remove", channel="bag:a", key="a")
            codes += [answer.get("error", {}).get("code") for answer in (put, removed)]
        assert codes == [None, None, 111, 111]


@pytest.mark.trio
async def test_connect_that_does_not_come_is_stale(jumping_clock: object) -> None:
    async with running(limits={"connect_seconds": 3}) as server:
        client = await server.upgraded()
        began = trio.current_time()
        assert await client.closing() == (3502, "stale")
        assert 3 <= trio.current_time() - began < 4
        assert 'cause="connect_seconds"} 1.0' in await refused(server)


@pytest.mark.trio
async def test_who_says_nothing_is_let_go_without_a_word(jumping_clock: object) -> None:
    async with running(limits={"handshake_seconds": 3}) as server:
        assert await server.exchange(b"") == b""
        assert 'cause="handshake_seconds"} 1.0' in await refused(server)


@pytest.mark.trio
async def test_time_to_a_requests_head_counts_from_the_first_moment(jumping_clock: object) -> None:
    async with running(limits={"handshake_seconds": 10}) as server:
        began = trio.current_time()
        wire = await server.wire()
        await trio.sleep(8)
        await wire.send(b"GET / HTTP/1.1\r\n")
        assert b" 408 " in await wire.take_until(b"\r\n")
        assert 10 <= trio.current_time() - began < 11


@pytest.mark.trio
@pytest.mark.parametrize(
    ("setting", "data"),
    [
        ("handshake_seconds", b"GET / HTTP/1.1\r\nHost: lan"),
        ("handshake_seconds", request("GET", "/connection/websocket", UPGRADE)[:-2]),
        (
            "body_seconds",
            request(
                "POST",
                "/api/info",
                {"Host": "lanecast", "X-API-Key": KEYS.api, "Content-Length": "9"},
                b"{",
            ),
        ),
    ],
    ids=["head", "upgrade", "body"],
)
async def test_half_of_a_request_is_answered_408_in_the_end(
    jumping_clock: object, setting: str, data: bytes
) -> None:
    limits: dict[str, Any] = {"handshake_seconds": 600, "body_seconds": 600, setting: 3}
    async with running(limits=limits) as server:
        began = trio.current_time()
        wire = await server.wire()
        await wire.send(data)
        with trio.fail_after(30):
            assert b" 408 " in await wire.take_until(b"\r\n")
        assert 3 <= trio.current_time() - began < 4
        assert f'cause="{setting}"}} 1.0' in await refused(server)


@pytest.mark.trio
async def test_names_that_are_counted_are_bounded_and_the_latest_are_kept() -> None:
    rates = Rates(1)
    assert rates.take("first")
    for number in range(NAMES_MAX - 1):
        rates.take(str(number))
    assert not rates.take("first")
    rates.take("one more")
    assert not rates.take("first")
    assert len(rates) == NAMES_MAX


@pytest.mark.trio
async def test_window_holds_the_second_that_ends_now_and_not_the_one_that_began_last(
    jumping_clock: object,
) -> None:
    window, counts = Window(), []
    await trio.sleep(0.9)
    window.add(10)
    for pause_seconds in (0.2, 0.5, 1):
        await trio.sleep(pause_seconds)
        counts.append(window.add(0))
    assert counts == pytest.approx([9, 4, 0], abs=0.5)


@pytest.mark.trio
async def test_who_goes_on_at_twice_the_rate_gets_all_of_it_and_no_more(jumping_clock: object) -> None:
    rates, taken = Rates(10), []
    for _ in range(100):
        if rates.take("a"):
            taken.append(trio.current_time())
        await trio.sleep(0.05)
    assert len(taken) >= 45
    assert all(later - first >= 0.9 for first, later in zip(taken, taken[10:], strict=False))


def test_one_address_leaves_half_of_the_spare_sockets_to_others() -> None:
    limits, health = Limits(connections=10), Health(Settings())
    door = Admission(limits, Registry(health), health.totals)
    taken = sum(door.open_socket("203.0.113.7:1") for _ in range(2_000))
    assert limits.connections + SPARE_SOCKETS - taken == SPARE_SOCKETS // 2
    assert door.open_socket("203.0.113.8:1")
