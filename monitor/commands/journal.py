"""`lanecast journal`: what an operator asks of the journal, beside the server that writes it.

Nothing here changes the file of a server; times without a zone are this machine's.
"""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.errors import ConfigError
from monitor.options import InReadingOrder, combined, settings_of, source_options
from monitor.progress import progress

if TYPE_CHECKING:
    from monitor.storage.journal_reader import Verdict


@click.group(cls=InReadingOrder)
def journal() -> None:
    """Look at what survives the server: orders, fills, bot events.

    All read the file beside a server that writes it, and change nothing.
    """


_journal_options = combined(
    click.argument("file", required=False, type=click.Path(path_type=Path)),
    source_options,
)


@journal.command("check")
@_journal_options
def check_journal(file: Path | None, **given: Any) -> int:
    """Say whether the journal holds together.

    It, or another FILE, is read as a whole: pages, positions, keys, payloads. Exit 0 if it
    holds together, 1 if not.
    """
    from monitor.storage.journal_reader import check

    path = file or settings_of(given).journal_file
    with progress("checking") as on_work:
        verdict = check(path, on_work)
    return _tell(path, verdict)


@journal.command("export")
@_journal_options
@click.option("--channel", default="*", show_default=True, metavar="GLOB", help="As orders:* or bots:ann.")
@click.option("--since", metavar="TIME", help="From then on, as 2026-11-21 or 2026-11-21T03:00:00Z.")
@click.option("--until", metavar="TIME", help="Before then.")
def export_journal(
    file: Path | None, channel: str, since: str | None, until: str | None, **given: Any
) -> None:
    """Write what the journal keeps as lines of JSON.

    It, or another FILE, is only read. Of a damaged one, what can be read; it fails then, and says so.
    """
    from monitor.storage.journal_reader import export

    path = file or settings_of(given).journal_file
    first_ms, end_ms = _time_ms("--since", since, 0), _time_ms("--until", until, 2**62)
    with progress("exporting", prints_lines=True) as on_work:
        for line in export(path, channel=channel, since_ms=first_ms, until_ms=end_ms, on_work=on_work):
            sys.stdout.buffer.write(line)


@journal.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@source_options
def back_up_journal(file: Path, **given: Any) -> int:
    """Copy the journal into a new FILE, while the server runs, and check that.

    To go back to it: end the server, put journal.db and what is called journal.db-… elsewhere, and
    FILE in its place. Who was connected before is told then that it can't recover. Exit 0 if the
    copy holds together, 1 if not.
    """
    from monitor.storage.journal_backup import back_up

    with progress("copying") as on_work:
        verdict = back_up(settings_of(given).journal_file, file, on_work)
    return _tell(file, verdict)


def _tell(path: Path, verdict: "Verdict") -> int:
    """Print what was found; returns the exit code."""
    for trouble in verdict.troubles:
        click.echo(f"{path}: {trouble}")
    state = "damaged" if verdict.troubles else "ok"
    click.echo(f"{path}: {verdict.publications} publications of {verdict.channels} channels, {state}")
    return 1 if verdict.troubles else 0


def _time_ms(option: str, text: str | None, default: int) -> int:
    """Milliseconds since 1970 of a time that is local unless it says otherwise."""
    if text is None:
        return default
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise ConfigError(f"{option} {text!r} must be a time, as 2026-11-21T03:00:00Z") from None
