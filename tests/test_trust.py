from pathlib import Path

import pytest

from monitor.backend import open_backend
from monitor.client import Disconnected, open_client
from monitor.errors import ConfigError, PeerError
from monitor.trust import trusting
from tests.serve.certificates import make_certificate
from tests.serve.running import KEYS, running


@pytest.mark.trio
async def test_own_certificate_is_trusted_whatever_its_name(tmp_path: Path) -> None:
    tls = make_certificate(tmp_path, "lanecast.example.com")
    async with (
        running(tls=tls) as server,
        open_client(f"https://localhost:{server.port}", certificate_file=tls.certificate_file) as client,
    ):
        await client.subscribe("chat:a")
        await client.publish("chat:a", 1)


@pytest.mark.trio
async def test_another_certificate_of_the_same_name_is_not(tmp_path: Path) -> None:
    (tmp_path / "stranger").mkdir()
    tls, stranger = make_certificate(tmp_path), make_certificate(tmp_path / "stranger")
    async with running(tls=stranger) as server:
        for trusted in (None, tls.certificate_file):
            url = f"https://localhost:{server.port}"
            async with open_client(url, reconnect=False, certificate_file=trusted) as client:
                with pytest.raises(Disconnected, match="shows a certificate not trusted here"):
                    await client.subscribe("chat:a")


@pytest.mark.trio
async def test_what_the_certificate_at_hand_vouches_for_is_not_the_servers_own(tmp_path: Path) -> None:
    for name in ("authority", "server"):
        (tmp_path / name).mkdir()
    authority = make_certificate(tmp_path / "authority", "authority")
    tls = make_certificate(tmp_path / "server", authority=authority)
    async with running(tls=tls) as server:
        url = f"https://localhost:{server.port}"
        refused = "shows a certificate not trusted here: it is another one"
        async with open_client(url, reconnect=False, certificate_file=authority.certificate_file) as client:
            with pytest.raises(Disconnected, match=refused):
                await client.rpc("me")
        async with open_backend(url, KEYS.api, authority.certificate_file) as backend:
            with pytest.raises(PeerError, match=refused):
                await backend.call("info")
        async with open_backend(url, KEYS.api, tls.certificate_file) as backend:
            await backend.call("info")


def test_what_stands_behind_the_first_certificate_vouches_for_nobody(tmp_path: Path) -> None:
    (tmp_path / "authority").mkdir()
    own, authority = make_certificate(tmp_path), make_certificate(tmp_path / "authority")
    with own.certificate_file.open("a") as chain:
        chain.write(authority.certificate_file.read_text())
    assert trusting(own.certificate_file).cert_store_stats()["x509"] == 1
    assert trusting(None).check_hostname


def test_authorities_of_the_machine_are_read_once() -> None:
    assert trusting(None) is trusting(None)


def test_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    with pytest.raises(
        ConfigError, match=r"certificate .*none\.pem can't be used: No such file or directory$"
    ):
        trusting(path)
    path.write_text("nothing")
    with pytest.raises(
        ConfigError, match=r"certificate .*none\.pem can't be used: it holds none as PEM text"
    ):
        trusting(path)
