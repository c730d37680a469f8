"""Clients that do harm: what they are allowed, and what they leave to the others."""

import pytest
import trio
from trio.testing import MockClock

from monitor.serve.connection import LINGER_BYTES
from tests.serve.running import running
from tests.serve.wire import BINARY, CLOSE, Client, frame

KERNEL_BYTES = 16_777_216
"""More than the loopback holds between two sockets."""


async def send_until_cut(client: Client, at_most: int) -> bool:
    """Whether the server ended the connection before so many bytes were taken."""
    junk = frame(BINARY, bytes(60_000))
    try:
        for _ in range(0, at_most, len(junk)):
            await client.send(junk)
    except trio.BrokenResourceError:
        return True
    return False


@pytest.mark.trio
async def test_flooder_who_was_thrown_out_is_not_read_for_long(mock_clock: MockClock) -> None:
    """Time stands still: the bound is in bytes."""
    async with running(limits={"commands_per_second": 5}) as server:
        client = await server.client()
        await client.say(*({"id": number, "ping": {}} for number in range(2, 80)))
        while (await client.frame()).opcode != CLOSE:
            pass
        assert await send_until_cut(client, LINGER_BYTES + KERNEL_BYTES)
