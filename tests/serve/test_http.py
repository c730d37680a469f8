import gzip
import re

import pytest
import trio
import trio.testing
from prometheus_client.parser import text_string_to_metric_families

from monitor.serve import front
from tests.serve.running import KEYS, Server, read_answer, running
from tests.serve.test_villains import Turns
from tests.serve.wire import UPGRADE, Client, Wire, request

HOST = {"Host": "lanecast"}
KEYED = HOST | {"X-API-Key": KEYS.api}


async def next_answer(wire: Wire) -> tuple[int, bytes]:
    """The status and body of the next answer on a connection that stays open."""
    head = read_answer(await wire.take_until(b"\r\n\r\n"))
    return head.status, await wire.take(int(head.headers["content-length"]))


@pytest.mark.trio
async def test_page_comes_with_a_strict_policy(server: Server) -> None:
    answer = await server.get("/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == policy["form-action"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "strict-transport-security" not in answer.headers
    assert b"<html" in answer.body
    assert b"<script>" not in answer.body
    assert (await server.get("/?theme=dark")).body == answer.body


@pytest.mark.trio
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/static/vendor/centrifuge.js", "text/javascript; charset=utf-8"),
        ("/static/css/main.css", "text/css; charset=utf-8"),
        ("/static/index.html", "text/html; charset=utf-8"),
        ("/static/vendor/manifest.json", "application/json"),
    ],
)
async def test_file_is_served_with_its_type_packed_or_not(
    server: Server, path: str, content_type: str
) -> None:
    plain = await server.get(path)
    packed = await server.get(path, Accept_Encoding="br, gzip")
    assert plain.headers["content-type"] == content_type
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.body) == plain.body
    assert int(packed.headers["content-length"]) == len(packed.body) < len(plain.body)
    refused = await server.get(path, Accept_Encoding="gzip;q=0")
    assert refused.body == plain.body


@pytest.mark.trio
async def test_packed_form_is_known_by_a_tag_of_its_own(server: Server) -> None:
    path = "/static/index.html"
    plain, packed = await server.get(path), await server.get(path, Accept_Encoding="gzip")
    assert plain.headers["etag"] != packed.headers["etag"]
    crossed = await server.get(path, Accept_Encoding="gzip", If_None_Match=plain.headers["etag"])
    assert (crossed.status, crossed.body) == (200, packed.body)
    known = await server.get(path, Accept_Encoding="gzip", If_None_Match=packed.headers["etag"])
    assert (known.status, known.headers["etag"]) == (304, packed.headers["etag"])


@pytest.mark.trio
async def test_file_that_is_known_is_not_sent_again(server: Server) -> None:
    first = await server.get("/static/icon.svg")
    again = await server.get("/static/icon.svg", If_None_Match=f'W/"x", {first.headers["etag"]}')
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert (await server.get("/static/icon.svg", If_None_Match='"x"')).status == 200


@pytest.mark.trio
@pytest.mark.parametrize("path", ["/", "/static/icon.svg", "/healthz", "/metrics"])
async def test_head_is_get_without_the_body(server: Server, path: str) -> None:
    whole, head = await server.get(path), await server.get(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    if path != "/metrics":
        assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.trio
@pytest.mark.parametrize(
    "path",
    [
        "/static/../pyproject.toml",
        "/static/..%2fpyproject.toml",
        "/static/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
        "/static/",
        "/static/js",
        "/static/none.js",
        "/none",
        "/api",
        "//",
    ],
)
async def test_nothing_but_the_pages_files_is_served(server: Server, path: str) -> None:
    answer = await server.get(path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "content-security-policy" in answer.headers


@pytest.mark.trio
async def test_body_of_two_lengths_is_refused_and_nothing_behind_it_is_answered(server: Server) -> None:
    two = {"Host": "lanecast", "X-API-Key": KEYS.api, "Content-Length": "2", "Transfer-Encoding": "chunked"}
    behind = request("GET", "/healthz", {"Host": "lanecast"})
    said = await server.exchange(request("POST", "/api/info", two, b"0\r\n\r\n" + behind))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1


@pytest.mark.trio
async def test_body_of_many_chunks_is_read_in_many_turns(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "SHARE_NS", 0)
    turns = Turns()
    trio.lowlevel.add_instrument(turns)
    chunked = {"Host": "lanecast", "X-API-Key": KEYS.api, "Transfer-Encoding": "chunked"}
    wire = await server.wire()
    await wire.send(request("POST", "/api/info", chunked, b"1\r\n \r\n" * 500 + b"2\r\n{}\r\n0\r\n\r\n"))
    assert b" 200 " in await wire.take_until(b"\r\n")
    trio.lowlevel.remove_instrument(turns)
    assert turns.most_of_a_session() > 500


@pytest.mark.trio
async def test_probes_say_that_it_is_up_and_ready(server: Server) -> None:
    assert (await server.get("/healthz")).body == b"ok\n"
    assert (await server.get("/readyz")).body == b"ready\n"


@pytest.mark.trio
async def test_metrics_are_what_prometheus_reads(server: Server) -> None:
    client = await server.subscriber("chat:a")
    await server.publish("chat:a", 1)
    await client.publication()
    answer = await server.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert all(family.documentation for family in families.values())
    assert [sample.value for sample in families["lanecast_clients"].samples] == [1.0]
    assert [sample.value for sample in families["lanecast_published"].samples] == [1.0]


@pytest.mark.trio
@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/static/icon.svg", "GET, HEAD"),
        ("OPTIONS", "/metrics", "GET, HEAD"),
        ("GET", "/api/publish", "POST"),
        ("PUT", "/api/publish", "POST"),
        ("POST", "/connection/websocket", "GET"),
        ("X", "/healthz", "GET, HEAD"),
    ],
)
async def test_wrong_verb_is_told_the_right_one(server: Server, method: str, path: str, allow: str) -> None:
    answer = await server.get(path, method)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


@pytest.mark.trio
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (request("POST", "/api/info", KEYED | {"Content-Length": "x"}), 400),
        (request("POST", "/api/info", KEYED | {"Content-Length": "-1"}), 400),
        (request("POST", "/api/info", KEYED | {"Content-Length": "1, 2"}), 400),
        (request("POST", "/api/info", KEYED | {"Transfer-Encoding": "gzip"}), 501),
        (request("POST", "/api/info", KEYED | {"Transfer-Encoding": "chunked"}, b"zz\r\n"), 400),
        (request("GET", "/", HOST | {"X": "x" * 40_000}), 431),
        (b"GET /" + b"x" * 40_000, 431),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else "",
)
async def test_bad_request_is_a_clear_4xx(server: Server, data: bytes, status: int) -> None:
    witness = await server.client()
    answer = read_answer(await server.exchange(data))
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert re.fullmatch(rb"[^\n]{5,200}\n", answer.body)
    assert await witness.is_alive()


@pytest.mark.trio
async def test_body_beyond_the_limit_is_413_before_it_is_read() -> None:
    async with running(limits={"body_bytes": 1_024}) as server:
        told = request("POST", "/api/info", KEYED | {"Content-Length": "9999999999999"})
        assert read_answer(await server.exchange(told)).status == 413
        chunked = request(
            "POST", "/api/info", KEYED | {"Transfer-Encoding": "chunked"}, b"800\r\n" + b" " * 2_048
        )
        assert read_answer(await server.exchange(chunked)).status == 413
        assert (await server.post("info", b" " * 1_022 + b"{}")).status == 200


@pytest.mark.trio
async def test_413_reaches_a_client_that_is_still_sending(server: Server) -> None:
    """To close over unread bytes would reset the connection, and take the answer with it."""
    for _ in range(5):
        answer = await server.post("publish", b" " * 3_000_000)
        assert answer.status == 413
        assert b"3000000 bytes, at most 1048576 (limits.body_bytes)" in answer.body


@pytest.mark.trio
async def test_client_that_does_not_read_its_answer_is_cut(jumping_clock: object, server: Server) -> None:
    wire = await server.wire()
    requests = request("GET", "/static/vendor/centrifuge.js", HOST) * 400
    with pytest.raises(trio.BrokenResourceError), trio.fail_after(30):
        await wire.stream.send_all(requests * 100)


@pytest.mark.trio
async def test_connection_is_kept_for_the_next_request_and_pipelined_ones(server: Server) -> None:
    wire = await server.wire()
    for _ in range(3):
        await wire.send(request("GET", "/healthz", HOST))
        assert await next_answer(wire) == (200, b"ok\n")
    publish = b'{"channel":"chat:a","data":1}'
    length = {"Content-Length": str(len(publish))}
    await wire.send(
        request("GET", "/healthz", HOST)
        + request("POST", "/api/publish", KEYED | length, publish)
        + request("GET", "/none", HOST | {"Connection": "close"})
    )
    assert await next_answer(wire) == (200, b"ok\n")
    assert (await next_answer(wire))[1].startswith(b'{"result":{"offset":1,')
    assert (await next_answer(wire))[0] == 404
    assert await wire.take_all() == b""


@pytest.mark.trio
async def test_many_pipelined_requests_give_way_after_each(server: Server) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    wire = await server.wire()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await wire.send(request("GET", "/healthz", HOST) * 200)
        for _ in range(200):
            assert (await next_answer(wire))[0] == 200
        nursery.cancel_scope.cancel()
    assert turns >= 100


@pytest.mark.trio
async def test_error_of_a_call_leaves_the_connection_open(server: Server) -> None:
    wire = await server.wire()
    for path, headers, status in (
        ("/none", HOST, 404),
        ("/api/publish", HOST | {"Content-Length": "0"}, 401),
        ("/healthz", HOST, 200),
    ):
        await wire.send(request("POST" if "api" in path else "GET", path, headers))
        assert (await next_answer(wire))[0] == status


@pytest.mark.trio
async def test_idle_connection_is_closed_after_its_time(jumping_clock: object, server: Server) -> None:
    wire = await server.wire()
    await wire.send(request("GET", "/healthz", HOST))
    await next_answer(wire)
    answered = trio.current_time()
    with trio.fail_after(100):
        assert await wire.stream.receive_some() == b""
    assert 75 <= trio.current_time() - answered <= 76


@pytest.mark.trio
async def test_chunked_body_is_read(server: Server) -> None:
    wire = await server.wire()
    await wire.send(request("POST", "/api/publish", KEYED | {"Transfer-Encoding": "chunked"}))
    for part in (b'{"channel":', b'"chat:a","data":', b"1}", b""):
        await wire.send(b"%x\r\n%s\r\n" % (len(part), part))
        await trio.testing.wait_all_tasks_blocked()
    assert (await next_answer(wire))[0] == 200


@pytest.mark.trio
async def test_client_that_asks_is_told_to_go_on(server: Server) -> None:
    wire = await server.wire()
    await wire.send(request("POST", "/api/info", KEYED | {"Content-Length": "2", "Expect": "100-continue"}))
    assert (await wire.take_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    await wire.send(b"{}")
    assert (await next_answer(wire))[0] == 200
    too_long = KEYED | {"Content-Length": "9999999", "Expect": "100-continue"}
    await wire.send(request("POST", "/api/info", too_long))
    assert (await next_answer(wire))[0] == 413


@pytest.mark.trio
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Upgrade": None, "Connection": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": "AAAA"}, 400),
        ({"Sec-WebSocket-Key": "\u00e9" * 24}, 400),
        ({"Sec-WebSocket-Protocol": "centrifuge-protobuf"}, 400),
    ],
    ids=str,
)
async def test_bad_upgrade_is_a_clear_4xx(
    server: Server, changes: dict[str, str | None], status: int
) -> None:
    headers = {name: value for name, value in (UPGRADE | changes).items() if value is not None}
    answer = read_answer(await server.exchange(request("GET", "/connection/websocket", headers)))
    assert answer.status == status
    if status == 426:
        assert (answer.headers["upgrade"], answer.headers["sec-websocket-version"]) == ("websocket", "13")


@pytest.mark.trio
@pytest.mark.parametrize("query", ["format=protobuf", "cf_protocol=protobuf"])
async def test_protobuf_is_refused(server: Server, query: str) -> None:
    data = request("GET", f"/connection/websocket?{query}", UPGRADE)
    assert read_answer(await server.exchange(data)).status == 400


@pytest.mark.trio
async def test_upgrade_is_answered_as_rfc_6455_says(server: Server) -> None:
    client = Client(await server.dial())
    mixed = UPGRADE | {"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket"}
    mixed["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    await client.send(request("GET", "/connection/websocket", mixed))
    answer = read_answer(await client.take_until(b"\r\n\r\n"))
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert "sec-websocket-protocol" not in answer.headers
    await client.connect()
