"""Where and with what it was measured, so that a figure can be judged."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path

from benchmarks.fanout.peers.catalogue import NODE_MODULES

PACKAGES = ("trio", "trio-websocket", "websockets", "picows", "uvloop", "socketify")


def describe_machine() -> list[str]:
    """Lines for a list: machine, system, versions."""
    uname = platform.uname()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {uname.system} {uname.release}",
        f"Python {platform.python_version()}, " + ", ".join(filter(None, map(_version, PACKAGES))),
        ", ".join(filter(None, (_first_line("cc", "--version"), _node()))),
    ]


def load_average() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def stolen_seconds() -> float:
    """What other guests of this machine's host have taken of our cores since it started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _node() -> str:
    version = _first_line("node", "--version")
    package = NODE_MODULES / "ws" / "package.json"
    return f"Node {version}" + (" with ws" if package.exists() else "") if version else ""


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0]
