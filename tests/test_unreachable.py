"""What is said where no server is, on real sockets, whichever way there is taken."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
import trio

from monitor import backend
from monitor.backend import publish_json
from monitor.client import Disconnected, connection, open_client
from monitor.errors import PeerError
from monitor.probe.door import Door
from monitor.unreachable import unreachable


@pytest.fixture
def nobody() -> str:
    """host:port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as freed:
        return f"127.0.0.1:{freed.getsockname()[1]}"


@contextmanager
def plain_server() -> Iterator[str]:
    """host:port of a server that speaks no TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


async def told_by_client(url: str) -> str:
    with pytest.raises(Disconnected) as caught:
        async with open_client(url, reconnect=False, zstd=False) as client:
            await client.rpc("me")
    return caught.value.reason


def told_by_publisher(url: str) -> str:
    with pytest.raises(PeerError) as caught:
        publish_json(url, "key", "a:b", "1")
    return str(caught.value)


def test_who_asks_where_nothing_listens_is_told_how_to_start_a_server(nobody: str) -> None:
    told = {
        trio.run(told_by_client, f"http://{nobody}"),
        told_by_publisher(f"http://{nobody}"),
    }
    assert told == {
        f"nothing listens at {nobody}; start a server with lanecast run, or give the address of one"
    }


def test_who_speaks_tls_to_a_plain_server_is_told_so() -> None:
    with plain_server() as at:
        told = trio.run(told_by_client, f"wss://{at}")
    assert told.startswith(f"{at} does not speak TLS (")
    with plain_server() as at:
        assert told_by_publisher(f"https://{at}").startswith(f"{at} does not speak TLS (")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """host:port of a server whose kernel takes connections, and who never looks at them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_server_that_takes_connections_and_never_answers_is_told_apart(
    silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(backend, "TIMEOUT_SECONDS", 0.2)
    told = {
        trio.run(told_by_client, f"ws://{silent_server}"),
        told_by_publisher(f"http://{silent_server}"),
    }
    silence = f"{silent_server} accepted the connection, and did not answer within 0.2 s"
    assert told == {f"{silence}; if it speaks TLS, its address begins with https or wss"}


def test_a_name_that_is_nobodys_is_told() -> None:
    url = "http://no-such-host.invalid"
    for told in (trio.run(told_by_client, url), told_by_publisher(url)):
        assert told.startswith("no-such-host.invalid has no address: ")
    with pytest.raises(PeerError, match="check the name"):
        Door(url, "", Path("none")).resolve()


def test_an_error_without_words_is_told_by_its_name() -> None:
    assert unreachable("wss://venue", TimeoutError()) == "venue:443 can't be reached: TimeoutError"
