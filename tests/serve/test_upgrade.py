import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.serve.front import HEAD_BYTES, _request
from monitor.serve.http import Request
from monitor.serve.upgrade import read_upgrade
from tests.serve.wire import UPGRADE, request

HEAD = request("GET", "/connection/websocket?a=b", UPGRADE)
names = st.sampled_from(
    ["Host", "host", "Origin", "X-A", "Content-Length", "Transfer-Encoding", "Expect", "a b", ""]
)
values = st.text(st.characters(max_codepoint=255), max_size=8) | st.sampled_from(
    ["1", "chunked", " x ", "\tx"]
)


def read_by_h11(data: bytes) -> tuple[Request, bytes] | None:
    peer = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    peer.receive_data(data)
    try:
        event = peer.next_event()
    except h11.RemoteProtocolError:
        return None
    return (_request(event), peer.trailing_data[0]) if isinstance(event, h11.Request) else None


def test_ordinary_upgrade_is_read_as_h11_reads_it_with_what_follows() -> None:
    found = read_upgrade(HEAD + b"\x81")
    assert found is not None
    assert found == read_by_h11(HEAD + b"\x81")
    assert found[1] == b"\x81"


def test_half_of_a_head_and_other_paths_are_left_to_h11() -> None:
    for data in (b"", HEAD[:-1], HEAD.replace(b"/connection", b"/other"), HEAD.replace(b"GET", b"PUT")):
        assert read_upgrade(data) is None


@settings(max_examples=300)
@given(
    st.lists(st.tuples(names, values), max_size=4),
    st.lists(st.tuples(st.integers(0, len(HEAD) - 1), st.integers(0, 255)), max_size=2),
    st.binary(max_size=5),
)
def test_what_is_read_at_all_is_read_as_h11_reads_it(
    more: list[tuple[str, str]], flaws: list[tuple[int, int]], rest: bytes
) -> None:
    damaged = bytearray(HEAD)
    for place, byte in flaws:
        damaged[place] = byte
    lines = "".join(f"{name}: {value}\r\n" for name, value in more).encode("latin-1")
    data = bytes(damaged[:-2]) + lines + b"\r\n" + rest
    found = read_upgrade(data)
    assert found is None or found == read_by_h11(data)
