import pytest

from monitor.serve.http import HttpError
from monitor.serve.origin import ORIGINS_LOGGED, Origins
from tests.serve.running import KEYS, Server, read_answer, running
from tests.serve.wire import UPGRADE, request

LOCAL = Origins("127.0.0.1", ["Lanecast.Example.com"], ["https://app.example.com"])


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.168.1.7:8000",
        "localhost",
        "LOCALHOST:9000",
        "desk.localhost:8000",
        "localhost.:8000",
        "lanecast.example.com",
        "LANECAST.example.com:443",
        "lanecast.example.com.",
    ],
)
def test_addresses_localhost_and_listed_names_are_this_server(host: str) -> None:
    LOCAL.check_host({"host": host})


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "example.com",
        "sub.lanecast.example.com",
        "[::1",
        "127.0.0.1@evil.example",
        "a/b",
        ":8000",
        "127.1",
        "0x7f.1",
    ],
)
def test_any_other_name_may_have_been_pointed_here(host: str) -> None:
    with pytest.raises(HttpError, match="add it to hosts") as refusal:
        LOCAL.check_host({"host": host})
    assert refusal.value.status == 421


def test_bound_name_is_this_server() -> None:
    Origins("desk.lan", [], []).check_host({"host": "desk.lan:8000"})


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "a.example"},
        {"host": "a.example:8000", "origin": "http://a.example:8000"},
        {"host": "A.example", "origin": "https://a.EXAMPLE"},
        {"host": "a.example", "origin": "https://app.example.com"},
    ],
)
def test_own_pages_listed_pages_and_what_is_no_browser_may_connect(headers: dict[str, str]) -> None:
    LOCAL.check_origin(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "a.example", "origin": "https://evil.example"},
        {"host": "a.example:8000", "origin": "http://a.example:9000"},
        {"host": "a.example", "origin": "null"},
        {"host": "", "origin": "null"},
        {"origin": "https://evil.example"},
        {"host": "a.example", "origin": "https://app.example.com.evil.example"},
        {"host": "a.example", "origin": "http://app.example.com"},
        {"host": "a.example", "origin": "http://a.example, https://evil.example"},
    ],
)
def test_pages_of_other_sites_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(HttpError, match="add it to origins") as refusal:
        LOCAL.check_origin(headers)
    assert refusal.value.status == 403


def test_star_lets_every_page_in() -> None:
    Origins("127.0.0.1", [], ["*"]).check_origin({"host": "a.example", "origin": "null"})


@pytest.mark.trio
async def test_upgrade_from_another_sites_page_is_refused(server: Server) -> None:
    head = request("GET", "/connection/websocket", UPGRADE | {"Origin": "https://evil.example"})
    answer = read_answer(await server.exchange(head))
    assert answer.status == 403
    assert b"add it to origins" in answer.body


@pytest.mark.trio
async def test_upgrade_from_a_listed_page_is_taken() -> None:
    async with running(origins=["https://app.example.com"]) as server:
        wire = await server.wire()
        await wire.send(
            request("GET", "/connection/websocket", UPGRADE | {"Origin": "https://app.example.com"})
        )
        assert b" 101 " in await wire.take_until(b"\r\n\r\n")


@pytest.mark.trio
async def test_api_call_of_another_sites_page_is_refused_even_with_the_key(server: Server) -> None:
    answer = await server.post("info", b"{}", Origin="https://evil.example")
    assert (answer.status, b"add it to origins" in answer.body) == (403, True)
    assert (await server.post("info", b"{}", Origin="http://lanecast")).status == 200


@pytest.mark.trio
@pytest.mark.parametrize("path", ["/", "/metrics", "/connection/websocket", "/api/info"])
async def test_nothing_is_answered_under_a_strangers_name(server: Server, path: str) -> None:
    answer = await server.get(path, Host="evil.example:8000", X_API_Key=KEYS.api)
    assert answer.status == 421
    assert answer.body.startswith(b"host 'evil.example:8000' is not a name of this server")


def test_refused_page_is_logged_once_with_the_setting_that_would_let_it_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    origins = Origins("127.0.0.1", [], [])
    for number in (*range(ORIGINS_LOGGED + 5), 0):
        with pytest.raises(HttpError, match="add it to origins"):
            origins.check_origin({"host": "127.0.0.1", "origin": f"https://{number}.example"})
    assert len(caplog.messages) == ORIGINS_LOGGED
    assert caplog.messages[0] == (
        "a page was refused: origin 'https://0.example' is not this server's:"
        " if its pages may connect, add it to origins"
    )
