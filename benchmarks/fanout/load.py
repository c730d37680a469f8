"""The load client's process: compiled on the fly, connected, asked for what it has counted."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fanout.process import LOAD_CORE, Child, start

SOURCES = Path(__file__).parent
PRODUCT_PATH = "/connection/websocket"


@dataclass(frozen=True, slots=True)
class Ready:
    """How the connecting went."""

    ready: int
    failed: int
    seconds: float
    """Until the last was connected and had its replies."""
    upgrade_seconds: float
    slowest_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """What came since the last reset."""

    messages: int
    frames: int
    bytes: int
    closed: int
    receipts: int
    each_p50_ms: float
    each_p99_ms: float
    last_ms: list[float]
    """Of each message that all clients had: from when it was due until the last one had it."""


class Load:
    """A load client that is connected."""

    def __init__(self, child: Child, ready: Ready) -> None:
        self.child = child
        self.ready = ready

    def reset(self) -> None:
        self.child.ask("reset")

    def attend(self) -> None:
        """Poll without sleeping until what is expected next is there."""
        self.child.ask("attend")

    def expect(self, messages: int, limit_seconds: float = 20.0) -> int:
        """Wait until so many messages came in all; how many did."""
        answer = self.child.ask_json(f"expect {messages} {limit_seconds * 1_000:.0f}", limit_seconds + 5)
        return int(answer["messages"])

    def report(self) -> Report:
        return Report(**self.child.ask_json("report"))


def compile_c(source: str, directory: Path) -> Path:
    """Compile one of our C files; raises FileNotFoundError where there is no compiler.

    With TLS where OpenSSL's headers are.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("no C compiler (cc)")
    target = directory / Path(source).stem
    command = [compiler, "-O2", "-o", str(target), str(SOURCES / source)]
    with_tls = [*command, "-DWITH_TLS", "-lssl", "-lcrypto"]
    if subprocess.run(with_tls, stderr=subprocess.DEVNULL, check=False).returncode:
        subprocess.run(command, check=True)
    return target


def hello(channels: Sequence[str]) -> str:
    """What a client of ours says first: connect, and subscribe to channels."""
    commands = [{"id": 1, "connect": {}}]
    commands += [{"id": n, "subscribe": {"channel": name}} for n, name in enumerate(channels, start=2)]
    return "\n".join(json.dumps(command) for command in commands)


@contextlib.contextmanager
def start_load(
    program: Path,
    port: int,
    clients: int,
    *,
    channels: Sequence[str] | None = None,
    path: str = "/",
    at_once: int = 64,
    deflate: bool = False,
    protocol: str = "",
    tls: bool = False,
    nice: int = 0,
    arrivals: bool = False,
) -> Iterator[Load]:
    """Connect clients; with `channels` they speak the product's protocol, else they say nothing.

    With `arrivals`, without TLS, a client has a message as soon as its kernel has the last of what is
    read with it; that costs the sender a little.

    Raises:
        RuntimeError: not all of them could connect.
    """
    command: list[str | Path] = [program, "--port", str(port), "--clients", str(clients)]
    command += ["--at-once", str(at_once), "--deflate", str(int(deflate))]
    if channels is not None:
        replies = 1 if deflate or protocol else 1 + len(channels)
        path = PRODUCT_PATH
        command += ["--hello", hello(channels), "--replies", str(replies)]
    command += ["--path", path]
    if tls:
        command += ["--tls", "1"]
    if arrivals:
        assert not tls, "OpenSSL doesn't pass on when something came"
        command += ["--arrivals", "1"]
    if protocol:
        command += ["--protocol", protocol]
    with start(command, core=LOAD_CORE, nice=nice) as child:
        ready = Ready(**json.loads(child.read()))
        if ready.failed:
            raise RuntimeError(f"{ready.failed} of {clients} clients could not connect to port {port}")
        yield Load(child, ready)
