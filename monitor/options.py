"""How settings and files are given on a command line, by whatever command.

Decides which flags all commands have that read settings, so that none of them reads another
file, another variable or another data directory than the server does.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from monitor.address import is_dialable, is_loopback
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.config import Settings

Decorator = Callable[[Any], Any]

_KEYS = {"rate": "simulator.rate"}
"""The settings that flags of another name set."""


def combined(*options: Decorator) -> Decorator:
    """Several options as one decorator."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


source_options = combined(
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        envvar="LANECAST_CONFIG",
        help="Settings file. [default: ./lanecast.toml, if there is one]",
    ),
    click.option(
        "--data-dir",
        metavar="DIR",
        help="Where keys, journal and log are kept. [default: the user's, as ~/.local/share/lanecast]",
    ),
    click.option(
        "--set", "assignments", metavar="KEY=VALUE", multiple=True, help="Set any key; may be repeated."
    ),
)


class InReadingOrder(click.Group):
    """Lists its commands as they stand in the file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def settings_of(given: dict[str, Any]) -> "Settings":
    """The settings, with a command's flags over them. Raises ConfigError."""
    from monitor.config import load_settings

    flags = dict(given)
    config = flags.pop("config")
    overrides = dict(_assignment(text) for text in flags.pop("assignments"))
    overrides |= {_KEYS.get(name, name): value for name, value in flags.items() if value is not None}
    return load_settings(config, overrides)


def _assignment(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not key or not sign:
        raise ConfigError(f"--set {text!r} must be KEY=VALUE, as in --set limits.connections=500")
    return key, value


def operator_token(settings: Callable[[], "Settings"], user: str) -> str:
    """LANECAST_OPERATOR_TOKEN, or one made with the operator key. Raises ConfigError."""
    from monitor.keys import find_key
    from monitor.serve.tokens import make_token

    return os.environ.get("LANECAST_OPERATOR_TOKEN") or make_token(find_key("operator", settings()), user)


def certificate_of(settings: Callable[[], "Settings"], url: str | None) -> Path | None:
    """The file of the certificate that the server must have; of the server here, by whatever URL, its own."""
    if given := os.environ.get("LANECAST_CERTIFICATE"):
        return Path(given)
    if url is not None and not _may_be_here(url):
        return None
    own = settings()
    is_own = url is None or urlsplit(url).port == own.port
    return own.tls.certificate_file if own.tls and is_own else None


def _may_be_here(url: str) -> bool:
    """Of what is elsewhere no settings are read: whoever looks at another server needs none."""
    return is_dialable(url, ("https", "wss")) and is_loopback(urlsplit(url).hostname or "")


def check_writable(option: str, file: Path) -> None:
    """Tell before the work and not after it that its result can't be written; what is there stays.

    Raises ConfigError.
    """
    is_new = not file.exists()
    try:
        file.open("ab").close()
    except OSError as error:
        raise ConfigError(f"{option}: {file} can't be written: {error.strerror or error}") from None
    if is_new:
        file.unlink()
