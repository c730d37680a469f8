"""A bare loop: `for each socket: send(frame)`, on non-blocking sockets, and nothing else."""

import base64
import hashlib
import select
import socket
import sys
import time

from benchmarks.fanout.peers.turn import Turn, announce, finish, read_turn
from monitor.broadcast.frames import text_frame
from monitor.serve.connection import SEND_BUFFER_BYTES

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def main() -> None:
    sockets: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        announce(listener.getsockname()[1])
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if listener in ready:
                sockets.append(_accept(listener))
            elif (turn := read_turn()) is None:
                return
            else:
                _send(sockets, turn)
                finish()


def _accept(listener: socket.socket) -> socket.socket:
    accepted, _ = listener.accept()
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # As Lanecast has it; by default 32 large messages in one frame are not taken in one go.
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    head = b""
    while b"\r\n\r\n" not in head:
        head += accepted.recv(4_096)
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    accept = base64.b64encode(hashlib.sha1(key.split(b":")[1].strip() + _MAGIC).digest())
    accepted.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    accepted.setblocking(False)
    return accepted


def _send(sockets: list[socket.socket], turn: Turn) -> None:
    for wait_seconds, text in turn.texts():
        time.sleep(wait_seconds)
        frame = text_frame(text.encode())
        for member in sockets:
            member.send(frame)


if __name__ == "__main__":
    main()
