"""The framing beside wsproto's: whatever comes, and however it is chopped, both hear the same."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from monitor.serve.websocket import Closing, Message, Other, Pong, WebSocket
from tests.serve.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

LIMIT_BYTES = 100_000

masks = st.binary(min_size=4, max_size=4)
payloads = st.binary(max_size=200) | st.text(max_size=60).map(str.encode) | st.just(b"x" * 70_000)
codes = st.sampled_from([0, 999, *range(1000, 1017), 2999, 3000, 4999, 5000])
closes = st.builds(
    lambda code, reason: code.to_bytes(2, "big") + reason, codes, st.binary(max_size=8)
) | st.binary(max_size=2)
frames = (
    st.builds(
        lambda opcode, payload, final, mask: frame(opcode, payload, is_final=final, mask=mask),
        st.sampled_from([TEXT, BINARY, CONTINUATION, CONTINUATION]),
        payloads,
        st.booleans(),
        masks,
    )
    | st.builds(lambda opcode, payload: frame(opcode, payload[:125]), st.sampled_from([PING, PONG]), payloads)
    | st.builds(lambda payload: frame(CLOSE, payload), closes)
    | st.builds(
        lambda opcode, rsv, mask: frame(opcode, b"x", rsv=rsv, mask=mask),
        st.integers(0, 15),
        st.integers(0, 7),
        st.sampled_from([b"", b"abcd"]),
    )
    | st.builds(lambda opcode: frame(opcode, b"x" * 126), st.sampled_from([PING, CLOSE]))
    | st.sampled_from(
        [b"\x82\xfe\x00\x05maskhello", b"\x82\xff" + bytes(8) + b"mask", b"\x82\xff\xff" + bytes(11)]
    )
)


def chop(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]


def hear(pieces: list[bytes]) -> list[Message | Pong | Closing]:
    websocket = WebSocket(is_deflated=False, limit_bytes=LIMIT_BYTES, early=b"")
    heard: list[Message | Pong | Closing] = []
    for piece in pieces:
        heard += [event for event in websocket.receive(piece) if not isinstance(event, Other)]
        if heard and isinstance(heard[-1], Closing):
            break
    return heard


def hear_by_wsproto(pieces: list[bytes]) -> list[Message | Pong | Closing]:
    connection = Connection(ConnectionType.SERVER)
    heard: list[Message | Pong | Closing] = []
    parts: list[bytes] = []
    for piece in pieces:
        connection.receive_data(piece)
        for event in connection.events():
            if isinstance(event, TextMessage | BytesMessage):
                parts.append(event.data.encode() if isinstance(event, TextMessage) else bytes(event.data))
                if sum(map(len, parts)) > LIMIT_BYTES:
                    frame = connection.send(
                        CloseConnection(1009, f"message is longer than {LIMIT_BYTES} bytes")
                    )
                    return [*heard, Closing(1009, "", frame)]
                if event.message_finished:
                    heard.append(Message(b"".join(parts)))
                    parts = []
            elif isinstance(event, Ping):
                heard.append(Pong(connection.send(event.response())))
            elif isinstance(event, CloseConnection):
                is_peers = connection.state is ConnectionState.REMOTE_CLOSING
                answer = connection.send(event.response()) if is_peers else b""
                return [*heard, Closing(int(event.code), event.reason or "" if is_peers else "", answer)]
    return heard


def without_words(heard: list[Message | Pong | Closing]) -> list[object]:
    """Our words for a fault are our own; its code is the standard's."""
    return [
        (event.code, event.code in (1002, 1007, 1009) or event) if isinstance(event, Closing) else event
        for event in heard
    ]


@settings(max_examples=300)
@given(st.lists(frames, max_size=6).map(b"".join), st.lists(st.integers(0, 2**20), max_size=8))
def test_frames_mean_what_they_mean_to_wsproto(data: bytes, cuts: list[int]) -> None:
    pieces = chop(data, cuts)
    assert without_words(hear(pieces)) == without_words(hear_by_wsproto(pieces))
