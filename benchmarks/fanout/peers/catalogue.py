"""The peers: how each is started, and what it needs that may not be there."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
NODE_MODULES = _HERE / "node_modules"


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that sends one message to all of its clients."""

    name: str
    command: Callable[[Path], list[str | Path]]
    """Given the directory with our compiled programs."""
    modules: tuple[str, ...] = ()

    def missing(self) -> str:
        """What has to be installed before it can run; empty if nothing."""
        if self.name == NODE_WS:
            return _missing_node()
        lacking = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return f"pip install {' '.join(lacking)}" if lacking else ""


def _python(module: str, *arguments: str) -> Callable[[Path], list[str | Path]]:
    return lambda _: [sys.executable, "-m", f"benchmarks.fanout.peers.{module}", *arguments]


def _missing_node() -> str:
    if shutil.which("node") is None:
        return "install Node"
    places = [NODE_MODULES, *map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep)))]
    if not any((place / "ws").is_dir() for place in places):
        return f"npm install --no-save --prefix {_HERE} ws"
    return ""


BARE = "bare Python loop"
BARE_C = "bare C loop"
TRIO_WEBSOCKET = "trio-websocket, nursery"
WEBSOCKETS = "websockets.broadcast"
WEBSOCKETS_DEFLATE = "websockets.broadcast, its deflate"
PICOWS = "picows"
SOCKETIFY = "socketify (uWebSockets)"
NODE_WS = "Node ws"

PEERS = (
    Peer(BARE, _python("bare")),
    Peer(BARE_C, lambda programs: [programs / "bare"]),
    Peer(SOCKETIFY, _python("socketify_publish"), ("socketify",)),
    Peer(PICOWS, _python("picows_send"), ("picows", "uvloop")),
    Peer(WEBSOCKETS, _python("websockets_broadcast"), ("websockets",)),
    Peer(NODE_WS, lambda _: ["node", _HERE / "ws.cjs"]),
    Peer(TRIO_WEBSOCKET, _python("trio_websocket"), ("trio_websocket",)),
    Peer(WEBSOCKETS_DEFLATE, _python("websockets_broadcast", "deflate"), ("websockets",)),
)
