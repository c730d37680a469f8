import random
import socket
import ssl
from pathlib import Path
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from monitor.config import TlsSettings
from monitor.errors import ConfigError
from monitor.reload import LOOK_SECONDS
from monitor.serve.tls import RECORD_BYTES, Certificate, TlsConnection
from monitor.turnstile import Turnstile
from tests.patience import PATIENCE_SECONDS
from tests.serve.certificates import make_certificate, trusting
from tests.serve.running import Server, read_answer, running
from tests.serve.wire import UPGRADE, Client, request


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    return make_certificate(tmp_path)


async def dial(server: Server, context: ssl.SSLContext) -> trio.SocketStream:
    stream = trio.SSLStream(await server.dial(), context, server_hostname="localhost", https_compatible=True)
    with trio.fail_after(PATIENCE_SECONDS):
        await stream.do_handshake()
    # As far as a client of the tests uses it, it is one.
    return cast(trio.SocketStream, stream)


async def upgraded(server: Server, context: ssl.SSLContext) -> Client:
    client = Client(await dial(server, context))
    assert b" 101 " in await client.upgrade()
    await client.connect()
    return client


@pytest.mark.trio
async def test_page_api_and_clients_are_served_over_tls(tls: TlsSettings) -> None:
    async with running(tls=tls) as server:
        client = await upgraded(server, trusting(tls))
        await client.call("subscribe", channel="chat:a")
        await client.call("publish", channel="chat:a", data={"said": "hello"})
        assert await client.publication() == {"said": "hello"}
        page = Client(await dial(server, trusting(tls)))
        await page.send(request("GET", "/", {"Host": "lanecast", "Connection": "close"}))
        answer = read_answer(await page.take_all())
        assert answer.status == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert b"<html" in answer.body


@pytest.mark.trio
async def test_localhost_is_not_bound_to_tls_for_a_year(tls: TlsSettings) -> None:
    async with running(tls=tls) as server:
        page = Client(await dial(server, trusting(tls)))
        await page.send(request("GET", "/healthz", {"Host": "localhost:1", "Connection": "close"}))
        assert "strict-transport-security" not in read_answer(await page.take_all()).headers


@pytest.mark.trio
async def test_large_messages_and_many_come_whole_and_in_order(tls: TlsSettings) -> None:
    async with running(tls=tls) as server:
        client = await upgraded(server, trusting(tls))
        await client.call("subscribe", channel="chat:a")
        sizes = [1, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 3 * RECORD_BYTES, 60_000]
        for size in sizes * 5:
            await client.say({"id": 1_000, "publish": {"channel": "chat:a", "data": "x" * size}})
        got: list[int] = []
        while len(got) < 5 * len(sizes):
            document = await client.document()
            if "push" in document:
                got.append(len(document["push"]["pub"]["data"]))
        assert got == sizes * 5


@pytest.mark.trio
async def test_client_that_reads_slowly_is_written_to_where_it_stopped(tls: TlsSettings) -> None:
    async with running(tls=tls) as server:
        reader = await upgraded(server, trusting(tls))
        await reader.call("subscribe", channel="chat:a")
        # More than the kernel takes: the writer has to take over in the middle of a record.
        for number in range(60):
            await server_publish(server, tls, number)
        got = [int((await reader.publication())[:2]) for _ in range(60)]
        assert got == list(range(60))


async def server_publish(server: Server, tls: TlsSettings, number: int) -> None:
    publisher = await upgraded(server, trusting(tls))
    await publisher.call("publish", channel="chat:a", data=f"{number:02}" + "x" * 16_000)
    await publisher.stream.aclose()


@pytest.mark.trio
async def test_plain_http_on_the_tls_port_is_told_so(tls: TlsSettings) -> None:
    async with running(tls=tls) as server:
        answer = read_answer(
            await server.exchange(request("GET", "/connection/websocket", UPGRADE) + b" " * 100)
        )
        assert (answer.status, answer.body) == (400, b"this port speaks TLS: use https://\n")


@pytest.mark.trio
async def test_garbage_in_place_of_a_handshake_ends_that_connection_only(tls: TlsSettings) -> None:
    async with running(tls=tls) as server:
        await server.exchange(b"\x16\x03\x01\x00\x05hello" * 10)
        assert await (await upgraded(server, trusting(tls))).is_alive()


@pytest.mark.trio
async def test_who_never_shakes_hands_is_let_go(tls: TlsSettings) -> None:
    async with running(tls=tls, limits={"handshake_seconds": 0.2}) as server:
        assert await (await server.wire()).take_all() == b""


@pytest.mark.trio
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_tls_is_not_spoken(tls: TlsSettings) -> None:
    context = trusting(tls)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with running(tls=tls) as server:
        with pytest.raises(trio.BrokenResourceError):
            await dial(server, context)


@pytest.mark.trio
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_is_spoken_as_http_1_1(tls: TlsSettings, version: ssl.TLSVersion) -> None:
    context = trusting(tls)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with running(tls=tls) as server:
        client = await upgraded(server, context)
        assert client.stream.selected_alpn_protocol() == "http/1.1"  # type: ignore[attr-defined]


@pytest.mark.trio
async def test_new_certificate_is_shown_without_a_restart(tls: TlsSettings, jumping_clock: MockClock) -> None:
    first = trusting(tls)
    async with running(tls=tls) as server:
        old = await upgraded(server, first)
        make_certificate(tls.certificate_file.parent)
        await trio.sleep(2 * LOOK_SECONDS)
        assert await (await upgraded(server, trusting(tls))).is_alive()
        with pytest.raises(trio.BrokenResourceError):
            await dial(server, first)
        assert await old.is_alive()


@pytest.mark.trio
@pytest.mark.parametrize("chunk_bytes", [3_000, RECORD_BYTES, 100_000])
async def test_record_that_is_half_out_is_gone_on_with_and_not_sealed_again(
    tls: TlsSettings, chunk_bytes: int
) -> None:
    data = random.Random(chunk_bytes).randbytes(8_000_000)
    async with trio.open_nursery() as nursery:
        near, far = await shaken(tls, nursery)
        sent, received = 0, b""
        while sent < len(data):
            # A full socket: what is given again begins where it stopped, and may have grown.
            while taken := near.send_now(data[sent : sent + chunk_bytes]):
                sent += taken
            received += await far.receive_some(300_000)
            sent += near.send_now(data[sent : sent + 2 * chunk_bytes])
        while len(received) < len(data):
            received += await far.receive_some(300_000)
        assert received == data
        near.close()
        assert await far.receive_some() == b"", "an end that was not said could be an attacker's cut"
        await far.aclose()


async def shaken(
    tls: TlsSettings, nursery: trio.Nursery
) -> tuple[TlsConnection, trio.SSLStream[trio.SocketStream]]:
    """Both ends of a connection whose first byte from the client has arrived."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stream = await trio.open_tcp_stream(*listener.getsockname())
        accepted, _ = listener.accept()
    near = Certificate(tls).accept(accepted, "peer", Turnstile())
    far = trio.SSLStream(stream, trusting(tls), server_hostname="localhost")
    nursery.start_soon(far.send_all, b"!")
    assert await near.receive() == b"!"
    return near, far


@pytest.mark.parametrize("broken", ["certificate_file", "key_file"])
def test_pair_that_can_not_be_used_stops_the_start(tls: TlsSettings, broken: str) -> None:
    getattr(tls, broken).unlink()
    with pytest.raises(ConfigError, match=rf"tls\.{broken} .* can't be read: No such file"):
        Certificate(tls)


def test_key_of_another_certificate_stops_the_start(tls: TlsSettings, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificate(tmp_path / "other")
    with pytest.raises(ConfigError, match="can't be used: KEY_VALUES_MISMATCH"):
        Certificate(TlsSettings(certificate_file=tls.certificate_file, key_file=other.key_file))
