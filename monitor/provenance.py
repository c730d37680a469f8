"""What this program is: its version, the commit that it was built from, and the packages inside.

A binary carries its commit as a file beside the dictionary; a checkout asks git, which also says
whether something was changed since. Where neither is, the commit is unknown, and never guessed.
"""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from monitor import __version__

_PACKAGE = Path(__file__).parent
_BAKED = _PACKAGE / "_data" / "commit"
_TOLD = ("trio", "textual", "orjson", "msgspec", "zstandard", "pydantic", "cryptography")
_GIT_SECONDS = 5


def describe() -> str:
    """Two lines for `--version`."""
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in _TOLD)
    return f"lanecast {__version__}, commit {commit()}\nPython {platform.python_version()}, {packages}"


def commit() -> str:
    """Twelve digits, with `-dirty` behind them where the checkout differs from it, or `unknown`."""
    if _BAKED.exists():
        return _BAKED.read_text(encoding="ascii")
    checkout = _PACKAGE.parent
    return _asked(checkout) if (checkout / ".git").exists() else "unknown"


def _asked(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip()
