"""A fake socket for tests: takes as many bytes as its room, and a test makes room."""

from collections.abc import Callable

import trio


class FakeWire:
    def __init__(self, room: int = 1 << 40) -> None:
        self.room = room
        self.data = bytearray()
        self.is_broken = False
        self.on_send: Callable[[bytes | memoryview], object] = lambda data: None
        self._writable = trio.Event()

    @property
    def plain(self) -> None:
        return None

    def send_now(self, data: bytes | memoryview) -> int:
        if self.is_broken:
            raise ConnectionResetError
        self.on_send(data)
        taken = min(len(data), self.room)
        self.data += data[:taken]
        self.room -= taken
        return taken

    async def wait_writable(self) -> None:
        while not self.room and not self.is_broken:
            self._writable = trio.Event()
            await self._writable.wait()
        await trio.lowlevel.checkpoint()

    def make_room(self, room: int) -> None:
        self.room = room
        self._writable.set()

    def break_off(self) -> None:
        self.is_broken = True
        self._writable.set()

    def messages(self) -> list[bytes]:
        """The payloads of the whole, uncompressed frames that were written."""
        messages, rest = [], bytes(self.data)
        while len(rest) >= 2:
            start, length = 2, rest[1]
            if length == 126:
                start, length = 4, int.from_bytes(rest[2:4])
            elif length == 127:
                start, length = 10, int.from_bytes(rest[2:10])
            if len(rest) < start + length:
                break
            messages.append(rest[start : start + length])
            rest = rest[start + length :]
        return messages

    def documents(self) -> list[bytes]:
        return [document for message in self.messages() for document in message.split(b"\n")]
