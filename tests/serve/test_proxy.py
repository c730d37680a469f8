from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.serve.http import HttpError
from monitor.serve.proxy import Proxies
from tests.serve.running import KEYS, Server, running, sign
from tests.serve.wire import UPGRADE, Client, request

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("fd00::/8")])
OURS = "10.0.0.1:4711"


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ({}, OURS),
        ({"x-forwarded-for": "203.0.113.9"}, "203.0.113.9"),
        ({"x-forwarded-for": "198.51.100.1, 203.0.113.9, 10.2.3.4"}, "203.0.113.9"),
        ({"x-forwarded-for": "203.0.113.9:51234"}, "203.0.113.9"),
        ({"x-forwarded-for": "::ffff:203.0.113.9"}, "203.0.113.9"),
        ({"x-forwarded-for": "2001:db8::17"}, "2001:db8::17"),
        ({"x-forwarded-for": "10.9.9.9, 10.2.3.4"}, "10.9.9.9"),
        ({"x-forwarded-for": "203.0.113.9, unknown"}, OURS),
        ({"x-forwarded-for": "203.0.113.9, nonsense, 10.2.3.4"}, "10.2.3.4"),
        ({"x-forwarded-for": ","}, OURS),
        ({"forwarded": "for=203.0.113.9;proto=https;by=10.0.0.1"}, "203.0.113.9"),
        ({"forwarded": 'proto=https; FOR="[2001:db8::17]:4711", for=10.1.1.1'}, "2001:db8::17"),
        ({"forwarded": "for=_hidden"}, OURS),
        ({"forwarded": "before=203.0.113.9"}, OURS),
        ({"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}, "203.0.113.9"),
    ],
)
def test_first_untrusted_address_from_the_right_is_the_peer(headers: dict[str, str], peer: str) -> None:
    assert PROXIES.peer(OURS, headers) == peer


def test_who_is_no_trusted_proxy_is_itself_whatever_it_says() -> None:
    headers = {"x-forwarded-for": "127.0.0.1", "forwarded": "for=10.0.0.1"}
    assert PROXIES.peer("203.0.113.9:4711", headers) == "203.0.113.9:4711"
    assert Proxies([]).peer("127.0.0.1:4711", headers) == "127.0.0.1:4711"


@pytest.mark.parametrize("forwarded", ["for=198.51.100.1", "for=_hidden", "for=unknown", "proto=https"])
def test_two_headers_that_differ_are_refused(forwarded: str) -> None:
    with pytest.raises(HttpError, match="let the proxy set one"):
        PROXIES.peer(OURS, {"x-forwarded-for": "203.0.113.9", "forwarded": forwarded})


@given(st.lists(st.ip_addresses(v=4)), st.lists(st.ip_addresses(network="10.0.0.0/8"), max_size=3))
def test_what_a_client_writes_itself_never_counts(written: list[object], proxies: list[object]) -> None:
    client = ip_address("203.0.113.9")
    chain = ", ".join(str(address) for address in [*written, client, *proxies])
    assert PROXIES.peer(OURS, {"x-forwarded-for": chain}) == str(client)


async def behind_the_proxy(server: Server, address: str, token: str = "") -> Client:
    client = Client(await server.dial())
    await client.send(request("GET", "/connection/websocket", UPGRADE | {"X-Forwarded-For": address}))
    assert b" 101 " in await client.take_until(b"\r\n\r\n")
    await client.connect(**({"token": token} if token else {}))
    return client


@pytest.mark.trio
async def test_clients_behind_a_proxy_are_not_taken_for_each_other() -> None:
    async with running(trusted_proxies=["127.0.0.1"]) as server:
        olga = await behind_the_proxy(server, "203.0.113.1", sign(KEYS.operator, sub="olga"))
        gone = await behind_the_proxy(server, "203.0.113.9")
        await olga.call("rpc", method="ops.disconnect", data={"client": gone.id})
        await gone.closing()
        other = await behind_the_proxy(server, "203.0.113.8")
        again = await behind_the_proxy(server, "203.0.113.9")
        ended = {}
        for client in (other, again):
            page = await olga.call("rpc", method="ops.connection", data={"client": client.id})
            ended[client] = [close["client"] for close in page["data"]["closes"]]
        assert ended == {other: [], again: [gone.id]}


@pytest.mark.trio
async def test_row_of_a_client_behind_a_proxy_has_its_own_address() -> None:
    async with running(trusted_proxies=["127.0.0.1"]) as server:
        client = Client(await server.dial())
        head = request("GET", "/connection/websocket", UPGRADE | {"X-Forwarded-For": "198.51.100.1"})
        # A second header of the name is the nearer one's.
        await client.send(head[:-2] + b"X-Forwarded-For: 203.0.113.9\r\n\r\n")
        assert b" 101 " in await client.take_until(b"\r\n\r\n")
        await client.connect(token=sign(KEYS.operator, sub="op"))
        result = await client.call("rpc", method="me", data={})
        assert result["data"]["address"] == "203.0.113.9"
