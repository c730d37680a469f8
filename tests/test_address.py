"""Which addresses a server has, from whichever of them is given."""

import pytest

from monitor.address import http_url, websocket_url
from monitor.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/connection/websocket"),
        ("https://example.test/", "wss://example.test/connection/websocket"),
        ("wss://example.test/desk", "wss://example.test/desk/connection/websocket"),
        ("ws://h:1/connection/websocket?x=1", "ws://h:1/connection/websocket?x=1"),
    ],
)
def test_base_and_full_addresses_name_the_same_endpoint(url: str, endpoint: str) -> None:
    assert websocket_url(url) == endpoint


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://h/", "http://", ""])
def test_what_is_no_server_address_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="url is"):
        websocket_url(url)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("ws://127.0.0.1:8000/connection/websocket", "http://127.0.0.1:8000"),
        ("https://ws.example/lanecast/", "https://ws.example/lanecast"),
        ("wss://example/lanecast/connection/websocket?a=b", "https://example/lanecast"),
    ],
)
def test_api_is_found_from_whatever_address_of_the_server_is_given(url: str, base: str) -> None:
    assert http_url(url) == base
