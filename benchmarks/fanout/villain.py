"""Clients that do harm, in a process of their own; `python -m benchmarks.fanout.villain KIND PORT`.

They are many, and they go on until they are ended: each kind says what it does. Niced, because
it shares the load client's core, and it is the server that is to be harmed.
"""

import contextlib
import os
import select
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator

from benchmarks.fanout.load import PRODUCT_PATH, hello
from benchmarks.fanout.process import LOAD_CORE, start

CHANNELS = ("bench:one",)
CROWD = 20
BOMB_BYTES = 60_000_000
_RECEIVE_BUFFER = 4_096


def text_frame(document: bytes, *, first: int = 0x81) -> bytes:
    """A client's frame with a mask of zeros."""
    size = len(document)
    length = bytes([0x80 | size]) if size < 126 else struct.pack("!BH", 0xFE, size)
    if size >= 65_536:
        length = struct.pack("!BQ", 0xFF, size)
    return bytes([first]) + length + bytes(4) + document


def join(port: int, *, deflate: bool = False) -> socket.socket:
    """Connect and subscribe, with a small receive buffer so that not reading is soon felt."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
    client.sendall(
        f"GET {PRODUCT_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\n{extension}\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(512)
    client.sendall(text_frame(hello(CHANNELS).encode()))
    client.recv(512)
    return client


def never_reads(port: int) -> None:
    """One that takes nothing any more; comes again when it was thrown out."""
    while True:
        with join(port) as client:
            _say_ready()
            _wait_thrown_out(client)


def read_slowly(port: int) -> None:
    """Twenty that take a little, ten times a second."""
    clients = [join(port) for _ in range(CROWD)]
    _say_ready()
    while True:
        time.sleep(0.1)
        for number, client in enumerate(clients):
            if not _take_little(client):
                client.close()
                clients[number] = join(port)


def reset(port: int) -> None:
    """Come, and go by a reset, some hundred times a second."""
    _say_ready()
    while True:
        with join(port) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.005)


def stay_half_open(port: int) -> None:
    """A hundred in all states of half done: no request, half of one, half a frame's head."""
    clients = []
    for _ in range(CROWD):
        silent, half = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
        half.sendall(b"GET /connection/websocket HTTP/1.1\r\nHost: x")
        headless = join(port)
        headless.sendall(b"\x81")
        clients += [silent, half, headless]
    _say_ready()
    time.sleep(3_600)


def leave_in_frame(port: int) -> None:
    """Come, send half of a frame, go; some hundred times a second."""
    _say_ready()
    while True:
        with join(port) as client:
            client.sendall(text_frame(b'{"id":9,"rpc":{"method":"' + b"x" * 4_000)[:2_000])
        time.sleep(0.005)


def flood_commands(port: int) -> None:
    """Five that send commands as fast as they are taken, until they are thrown out, again and again."""
    frame = b"".join(text_frame(b'{"id":%d,"presence":{"channel":"bench:one"}}' % n) for n in range(9, 59))
    clients = [join(port) for _ in range(5)]
    _say_ready()
    while True:
        # There is always more than is read. To burn the load client's core is no harm to the server, and
        # doubled what it saw as the others' p99, also without a single connection.
        time.sleep(0.001)
        for number, client in enumerate(clients):
            with contextlib.suppress(OSError):
                client.sendall(frame)
                client.setblocking(False)
                while client.recv(65_536):
                    pass
            client.setblocking(True)
            if _is_thrown_out(client):
                client.close()
                clients[number] = join(port)


def bomb(port: int) -> None:
    """A frame of 60 KB that would be 60 MB, some twenty times a second."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(bytes(BOMB_BYTES)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    frame = text_frame(packed[:-4], first=0xC1)
    _say_ready()
    while True:
        with join(port, deflate=True) as client, contextlib.suppress(OSError):
            client.sendall(frame)
            _wait_thrown_out(client)
        time.sleep(0.05)


KINDS: dict[str, Callable[[int], None]] = {
    "never_reads": never_reads,
    "reads_slowly": read_slowly,
    "resets": reset,
    "half_open": stay_half_open,
    "leaves_in_frame": leave_in_frame,
    "floods_commands": flood_commands,
    "deflate_bomb": bomb,
}


def _say_ready() -> None:
    if not _said:
        _said.append(True)
        print("ready", flush=True)


_said: list[bool] = []


def _take_little(client: socket.socket) -> bool:
    """False if it was thrown out."""
    ready, _, _ = select.select([client], [], [], 0)
    try:
        return not ready or bool(client.recv(256))
    except OSError:
        return False


def _is_thrown_out(client: socket.socket) -> bool:
    try:
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _wait_thrown_out(client: socket.socket) -> None:
    """Until the server's end is gone, without taking any of what it sent before."""
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    poll.poll()


@contextlib.contextmanager
def open_villain(kind: str, port: int, *, is_there: bool = True) -> Iterator[None]:
    """Run one until the end of the block; with `is_there` false, run none."""
    if not is_there:
        yield
        return
    with start([sys.executable, "-m", __name__, kind, str(port)], core=LOAD_CORE) as child:
        child.read()
        yield
        child.kill()


def main() -> None:
    kind, port = sys.argv[1:]
    os.nice(10)
    while True:
        with contextlib.suppress(OSError):
            KINDS[kind](int(port))
        time.sleep(0.05)


if __name__ == "__main__":
    main()
