"""The terminal programs that are compared: how each is started, and by which words it is followed.

All have a page of help that one key opens and closes: how soon a word of it is written says how long
a key takes, whatever else is drawn meanwhile.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.terminal import CONSOLE_COMMAND, CONSOLE_SCREEN, console_token

OURS = "lanecast"
OTHERS = {"btop": "apt-get install btop", "glances": "pip install glances"}
"""With what installs each."""


@dataclass(frozen=True, slots=True)
class Program:
    """What is run, and what it writes when."""

    name: str
    pace_seconds: float
    """Between two looks at what it shows."""
    command: Sequence[str]
    first_screen: Sequence[bytes]
    """All written once everything is on it."""
    help_key: bytes
    help_word: bytes
    screen_word: bytes
    """Written again once the help is closed."""
    surroundings: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        pace = f"{1 / self.pace_seconds:g}/s" if self.pace_seconds < 1 else f"every {self.pace_seconds:g} s"
        return f"{self.name}, {pace}"


def lanecast(url: str, operator_key: str) -> Program:
    """Ours, attached to a server."""
    command = [*CONSOLE_COMMAND, url]
    token = console_token(operator_key)
    return Program(OURS, 0.25, command, CONSOLE_SCREEN, b"?", b"Keys and signs", b"immediate", token)


def others(directory: Path) -> list[Program]:
    """Those that are installed, at their own pace, and btop at ours too."""
    found = []
    if (btop := shutil.which("btop")) is not None:
        found += [_btop(btop, directory, pace_seconds) for pace_seconds in (2.0, 0.25)]
    if (glances := shutil.which("glances", path=Path(sys.executable).parent)) is not None:
        words = (b"TASKS", b"PID")
        found.append(Program("glances", 2.0, [glances], words, b"h", b"MISCELLANEOUS", b"TASKS"))
    return found


def _btop(command: str, directory: Path, pace_seconds: float) -> Program:
    home = directory / f"{pace_seconds:g}"
    settings = home / "btop" / "btop.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"update_ms = {pace_seconds * 1_000:.0f}\n")
    words = (b"GiB", b"root")
    where = {"XDG_CONFIG_HOME": str(home)}
    return Program("btop", pace_seconds, [command], words, b"h", b"Description:", b"Pid:", where)


def version(program: Program) -> str:
    """As it tells it itself."""
    done = subprocess.run([program.command[0], "--version"], capture_output=True, text=True, check=True)
    return f"{program.name} {done.stdout.split(maxsplit=3)[2]}"


def left_out(programs: Sequence[Program]) -> list[str]:
    """What is said of those that are not installed."""
    there = {program.name for program in programs}
    return [f"{name} is left out: {how}" for name, how in OTHERS.items() if name not in there]
