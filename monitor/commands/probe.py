"""`lanecast probe` and `lanecast analyze`: what a person types becomes a test, and a test an exit status.

Progress goes to standard error and only to a terminal; standard output is the result alone.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.options import certificate_of, operator_token, settings_of, source_options

if TYPE_CHECKING:
    from monitor.probe.observation import Observation, OnSecond
    from monitor.probe.trial import Target


@contextmanager
def _progress(label: str, seconds: int) -> Iterator["OnSecond"]:
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=seconds, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield lambda: bar.update(1)


_seconds = click.IntRange(2, 600)


@click.command()
@click.argument("url", required=False, envvar="LANECAST_URL")
@click.option("--seconds", type=_seconds, default=15, show_default=True, help="How long to publish.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, for lanecast analyze.")
@source_options
def probe(url: str | None, seconds: int, as_json: bool, **given: Any) -> int:
    """Test whether the server at URL is healthy, by default the one here.

    Publishes marked events of every kind in channels of its own (orders:probe-…), and checks that each
    reaches its subscribers, nobody else, and in time. Needs the API key and an operator's token: those
    of the data directory, or LANECAST_API_KEY and LANECAST_OPERATOR_TOKEN. Exit 0 if healthy, 1 if not.
    """
    import msgspec
    import trio

    from monitor.probe.text import report_text
    from monitor.probe.trial import run_trial

    target = _target(url, given)
    with _progress("probing", seconds) as on_second:
        report = trio.run(run_trial, target, seconds, on_second)
    click.echo(msgspec.json.encode(report) if as_json else report_text(report))
    return 1 if report.troubles else 0


def _target(url: str | None, given: dict[str, Any]) -> "Target":
    from monitor.keys import load_keys
    from monitor.probe.observation import NAME
    from monitor.probe.trial import Target

    settings = settings_of(given)
    return Target(
        url or settings.address,
        load_keys(settings).api,
        operator_token(lambda: settings, NAME),
        settings.namespaces,
        certificate_of(lambda: settings, url),
    )


@click.command()
@click.argument("source", metavar="REPORT|URL", required=False, envvar="LANECAST_URL")
@click.option("--seconds", type=_seconds, default=5, show_default=True, help="How long to watch a server.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@source_options
def analyze(source: str | None, seconds: int, as_json: bool, **given: Any) -> int:
    """Tell what limits a server, the worst first.

    REPORT is what lanecast probe --json printed. A server, by default the one here, is watched through
    its operator interface; nothing is published, and nothing is said that was not seen. Exit 0 if
    nothing limits it.

    \b
    Examples:
      lanecast analyze
      lanecast probe --json > report.json; lanecast analyze report.json
    """
    import orjson

    from monitor.probe.analysis import analyze as analyze_observation
    from monitor.probe.report import read_report
    from monitor.probe.text import analysis_text

    if source is None or "://" in source:
        seen = _observed(source, seconds, given)
    else:
        seen = read_report(Path(source)).observation
    findings = analyze_observation(seen)
    click.echo(orjson.dumps(findings) if as_json else analysis_text(findings))
    return 1 if findings else 0


def _observed(url: str | None, seconds: int, given: dict[str, Any]) -> "Observation":
    import trio

    from monitor.probe.observation import NAME, Observation, observe, open_probe

    settings = cache(partial(settings_of, given))
    token, certificate = operator_token(settings, NAME), certificate_of(settings, url)

    async def watch(on_second: "OnSecond") -> Observation:
        async with open_probe(url or settings().address, token, certificate) as operator:
            return await observe(operator, seconds, on_second)

    with _progress("watching", seconds) as on_second:
        return trio.run(watch, on_second)
