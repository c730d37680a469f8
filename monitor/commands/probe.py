"""`lanecast probe` and `lanecast analyze`: what a person types becomes a test, and a test an exit status.

Progress goes to standard error and only to a terminal; standard output is the result alone.
"""

from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.address import websocket_url
from monitor.errors import ConfigError
from monitor.options import certificate_of, check_writable, operator_token, settings_of, source_options
from monitor.progress import progress

if TYPE_CHECKING:
    from monitor.probe.observation import Observation, OnSecond
    from monitor.probe.report import Report
    from monitor.probe.trial import Target


SECONDS, FULL_SECONDS = 15, 60
_seconds = click.IntRange(2, 600)


@click.command()
@click.argument("url", required=False, envvar="LANECAST_URL")
@click.option(
    "--seconds", type=_seconds, help=f"How long to publish. [default: {SECONDS}, with --full {FULL_SECONDS}]"
)
@click.option(
    "--full", is_flag=True, help="Put load on it: more and more clients, villains, a reconnect wave."
)
@click.option("--allow-remote", is_flag=True, help="Let --full put load on another machine's server.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="NAME",
    help="Where --full writes NAME.html and NAME.json. [default: lanecast-probe-TIME]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, for lanecast analyze.")
@source_options
def probe(
    url: str | None,
    seconds: int | None,
    full: bool,
    allow_remote: bool,
    report: Path | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Test whether a server is healthy.

    It is the one at URL, by default the one here. Publishes marked events of every kind in channels of
    its own (orders:probe-…), and checks that each reaches its subscribers, nobody else, and in time.
    Needs the API key and an operator's token: those of the data directory, or LANECAST_API_KEY and
    LANECAST_OPERATOR_TOKEN. Exit 0 if healthy, 1 if not. What it publishes of orders and bots stays in
    the server's journal, as all there does (journal.days); the rest it takes out again.

    --full then has more and more clients come until a promise breaks, lets others do harm beside them
    (not reading, resetting, flooding …), and cuts many at once. It writes what it found as a page and
    as JSON, and says where it is this machine that limits the figures and not the server.
    """
    import msgspec

    from monitor.probe.text import report_text

    if not full and (report or allow_remote):
        raise click.UsageError("--report and --allow-remote are for the long test: they need --full")
    target = _target(url, given)
    found = (
        _full(target, seconds or FULL_SECONDS, report, url, allow_remote) if full else _short(target, seconds)
    )
    click.echo(msgspec.json.encode(found) if as_json else report_text(found))
    return 1 if found.troubles else 0


def _short(target: "Target", seconds: int | None) -> "Report":
    import trio

    from monitor.probe.trial import run_trial

    with progress("probing", seconds or SECONDS) as on_second:
        return trio.run(run_trial, target, seconds or SECONDS, on_second)


def _full(target: "Target", seconds: int, name: Path | None, url: str | None, allow_remote: bool) -> "Report":
    from monitor.probe.door import is_of_this_machine
    from monitor.probe.load import Plan, run_full

    if url is not None and not (allow_remote or is_of_this_machine(url)):
        raise ConfigError(
            f"{url} is not this machine's, and --full puts load on it; add --allow-remote if you may do that"
        )
    if name is not None and not name.name:
        raise ConfigError(f"--report is {str(name)!r}, must end in a file's name")
    stem = name or Path(f"lanecast-probe-{datetime.now():%Y%m%d-%H%M%S}")
    files = [stem.with_name(f"{stem.name}{ending}") for ending in (".html", ".json")]
    for file in files:
        check_writable("--report", file)
    with progress("probing", seconds) as on_second:
        found = run_full(target, Plan.of(seconds), on_second)
    _write(found, *files)
    return found


def _write(found: "Report", page: Path, data: Path) -> None:
    import msgspec

    from monitor.probe.diagnosis import analyze_report
    from monitor.probe.document import document

    assert found.load is not None
    page.write_text(document(found, found.load, analyze_report(found)), encoding="utf-8")
    data.write_bytes(msgspec.json.encode(found))
    click.echo(f"written: {page}, {data}", err=True)


def _target(url: str | None, given: dict[str, Any]) -> "Target":
    from monitor.keys import find_key
    from monitor.probe.observation import NAME
    from monitor.probe.trial import Target

    settings = settings_of(given)
    address = url or settings.address
    websocket_url(address)
    return Target(
        address,
        find_key("api", settings),
        operator_token(lambda: settings, NAME),
        settings.namespaces,
        certificate_of(lambda: settings, url),
    )


@click.command()
@click.argument("source", metavar="[REPORT|URL]", required=False, envvar="LANECAST_URL")
@click.option("--seconds", type=_seconds, default=5, show_default=True, help="How long to watch a server.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@source_options
def analyze(source: str | None, seconds: int, as_json: bool, **given: Any) -> int:
    """Tell what limits a server, the worst first.

    REPORT is what lanecast probe --json printed, or --full wrote as JSON. A server, by default the one
    here, is watched through its operator interface; nothing is published. Only what was seen is said; if
    no cause of a lateness shows, that is said, too. The server's own alerts are told where nothing else
    is found. Exit 0 if nothing limits it.

    \b
    Examples:
      lanecast analyze
      lanecast probe --json > report.json; lanecast analyze report.json
    """
    import orjson

    from monitor.probe.analysis import analyze as analyze_observation
    from monitor.probe.diagnosis import analyze_report
    from monitor.probe.report import read_report
    from monitor.probe.text import analysis_text

    if source is None or "://" in source:
        seen, troubles = _observed(source, seconds, given), []
        findings = analyze_observation(seen)
    else:
        report = read_report(Path(source))
        seen, findings, troubles = report.observation, analyze_report(report), report.troubles
    told = [*troubles, *(f"the server's alert: {alert}" for alert in seen.alerts)]
    click.echo(orjson.dumps(findings) if as_json else analysis_text(findings, told))
    return 1 if findings else 0


def _observed(url: str | None, seconds: int, given: dict[str, Any]) -> "Observation":
    import trio

    from monitor.probe.observation import NAME, Observation, observe, open_probe

    settings = cache(partial(settings_of, given))
    token, certificate = operator_token(settings, NAME), certificate_of(settings, url)

    async def watch(on_second: "OnSecond") -> Observation:
        async with open_probe(url or settings().address, token, certificate) as operator:
            return await observe(operator, seconds, on_second)

    with progress("watching", seconds) as on_second:
        return trio.run(watch, on_second)
