"""Turns for peers on asyncio, whose `send` needs no waiting."""

import asyncio
import sys
from collections.abc import Callable

from benchmarks.fanout.peers.turn import Turn, finish


async def run_turns(send: Callable[[str], object]) -> None:
    """Take turns from standard input until it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        for wait_seconds, text in Turn.read(line.decode()).texts():
            await asyncio.sleep(wait_seconds)
            send(text)
        finish()
