"""`lanecast check`: whether a server would start with a settings file, without starting one.

Takes the file the way a start does, and so the certificate, keys and dictionary that it names: a
name that was mistyped is found out before the server is restarted, not by it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import click

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.config import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Validate the settings in FILE, and the files that it names.

    The environment goes over it, as it would at a start.
    """
    from monitor.config import load_settings

    settings = load_settings(file, {})
    if troubles := list(_troubles(settings)):
        raise ConfigError("\n".join(troubles))
    for note in _notes(settings):
        click.echo(f"lanecast: {note}", err=True)
    click.echo(f"{file}: ok")


def _notes(settings: "Settings") -> Iterator[str]:
    """What a start takes, and is most likely not meant."""
    from monitor.config import DEFAULT_KINDS

    used = DEFAULT_KINDS.keys() | {namespace.kind for namespace in settings.namespaces.values()}
    for kind in settings.kinds.keys() - used:
        yield (
            f"kinds.{kind} is of no event of ours and of no namespace: it is for publications that name it;"
            f" known are {', '.join(sorted(used))}"
        )


def _troubles(settings: "Settings") -> Iterator[str]:
    for take in _takers(settings):
        try:
            take()
        except ConfigError as error:
            yield str(error)


def _takers(settings: "Settings") -> Iterator[Callable[[], object]]:
    """What a start reads besides the settings, each as a start reads it."""
    from monitor.feeds.kalshi_key import load_signer
    from monitor.keys import check_given_keys
    from monitor.serve.dictionary import load_zstd
    from monitor.serve.jwks import JwksFile
    from monitor.serve.tls import Certificate

    yield lambda: _check_directory(settings.data_dir)
    yield lambda: check_given_keys(settings)
    yield lambda: load_zstd(settings)
    if tls := settings.tls:
        yield lambda: Certificate(tls)
    if jwks_file := settings.jwks_file:
        yield lambda: JwksFile(jwks_file)
    if kalshi := settings.feeds.kalshi:
        yield lambda: load_signer(kalshi.private_key_file)


def _check_directory(path: Path) -> None:
    """Raises ConfigError for a data directory that can't be made, or written to."""
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    try:
        with TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise ConfigError(f"data_dir {path} can't be written: {error.strerror or error}") from None
