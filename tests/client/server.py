"""A real WebSocket server that says what each test makes it say."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from monitor.client import Client, LinkState
from tests.patience import PATIENCE_SECONDS

Command = dict[str, Any]
Answer = dict[str, Any] | list[dict[str, Any]] | None
Script = Callable[[Command], Answer]


def result(command: Command, **members: Any) -> dict[str, Any]:
    """The reply to a command: its first method with these members."""
    return {"id": command["id"], next(name for name in command if name != "id"): members}


def refusal(command: Command, code: int, message: str, **more: Any) -> dict[str, Any]:
    return {"id": command["id"], "error": {"code": code, "message": message, **more}}


def push(channel: str, data: Any, **members: Any) -> dict[str, Any]:
    return {"push": {"channel": channel, "pub": {"data": data, **members}}}


def obliging(command: Command) -> Answer:
    if "connect" in command:
        return result(command, client="c1")
    return result(command) if "id" in command else None


@dataclass
class Server:
    """Accepts, keeps every command, and answers by its script."""

    script: Script = obliging
    commands: list[Command] = field(default_factory=list)
    sockets: list[WebSocketConnection] = field(default_factory=list)
    closings: list[int] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: WebSocketRequest) -> None:
        socket = await request.accept()
        self.sockets.append(socket)
        try:
            while True:
                for line in str(await socket.get_message()).split("\n"):
                    await self._answer(socket, orjson.loads(line))
        except ConnectionClosed as closed:
            self.closings.append(closed.reason.code if closed.reason else 0)

    async def _answer(self, socket: WebSocketConnection, command: Command) -> None:
        self.commands.append(command)
        answer = self.script(command)
        if answer is not None:
            await self.say(*(answer if isinstance(answer, list) else [answer]), socket=socket)

    async def say(self, *documents: dict[str, Any], socket: WebSocketConnection | None = None) -> None:
        frame = b"\n".join(orjson.dumps(document) for document in documents)
        await (socket or self.sockets[-1]).send_message(frame.decode())

    def sent(self, method: str) -> list[dict[str, Any]]:
        return [command[method] for command in self.commands if method in command]


@asynccontextmanager
async def serving(script: Script = obliging) -> AsyncIterator[Server]:
    server = Server(script)
    async with trio.open_nursery() as nursery:
        listening = await nursery.start(serve_websocket, server.handle, "127.0.0.1", 0, None)
        server.url = f"http://127.0.0.1:{listening.port}"
        yield server
        nursery.cancel_scope.cancel()


async def state(client: Client, wanted: LinkState) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while client.status.state is not wanted:
            await client.status_after(client.status)
