"""The command line: what a person types becomes a call.

Each command imports what it runs inside itself: `lanecast --help` must not wait for Trio, Textual
and an HTTP client that it does not use.
"""

import signal
import sys
from functools import cache, partial
from pathlib import Path
from typing import Any

import click

from monitor.commands.check import check
from monitor.commands.dictionary import dictionary
from monitor.commands.journal import journal
from monitor.commands.probe import analyze, probe
from monitor.ending import run_to_the_end
from monitor.errors import ConfigError
from monitor.options import (
    InReadingOrder,
    certificate_of,
    combined,
    operator_token,
    settings_of,
    source_options,
)


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(run_to_the_end(lanecast))


_server_options = combined(
    click.option("--host", metavar="ADDRESS", help="Address to listen on. [default: 127.0.0.1]"),
    click.option("--port", metavar="N", help="Port to listen on, 0 for any free one. [default: 8000]"),
    click.option(
        "--rate", metavar="N", help="Trades per second of the simulator, as simulator.rate. [default: 20]"
    ),
    click.option(
        "--preset", metavar="NAME", help="realtime, balanced, throughput or saver. [default: balanced]"
    ),
    click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [default: info]"),
    source_options,
)


@click.group(
    cls=InReadingOrder,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
    Examples:
      lanecast run                          the simulator, in this terminal and on http://127.0.0.1:8000
      lanecast serve --port 9000 --rate 200
      lanecast run --set feeds.binance.symbols=btcusdt,ethusdt
      lanecast publish dashboard:sales '{"sold": 7}'

    Every setting is a key of lanecast.toml, a variable (LANECAST_PORT=9000, LANECAST_SIMULATOR__RATE=200)
    and a flag (--port 9000, --set simulator.rate=200); flags go over variables, variables over the file.""",
)
@click.option("--version", is_flag=True, help="Show the version, the commit and the packages inside.")
@click.pass_context
def lanecast(ctx: click.Context, version: bool) -> None:
    """Deliver market and trading events to the people watching, in time."""
    if version:
        from monitor import provenance

        click.echo(provenance.describe())
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@lanecast.command()
@_server_options
def run(**given: Any) -> int:
    """Start the server and the operator console.

    Without a terminal the server runs headless.
    """
    return _serve(given, console=True)


@lanecast.command()
@_server_options
def serve(**given: Any) -> int:
    """Start the server without a console."""
    return _serve(given, console=False)


@lanecast.command()
@click.argument("url", required=False, envvar="LANECAST_URL")
@click.option("--read-only", is_flag=True, help="Offer nothing that does something to a client.")
@click.option("--once", is_flag=True, help="Print once what the views would show, and leave.")
@click.option("--output", type=click.Choice(["text", "json"]), help="How --once prints it. [default: text]")
@source_options
def console(url: str | None, read_only: bool, once: bool, output: str | None, **given: Any) -> int:
    """Attach the operator console to a server.

    It is the one at URL, by default the one here. The token is LANECAST_OPERATOR_TOKEN, or is made with
    the operator key (LANECAST_OPERATOR_KEY, or the one in the data directory). Over TLS the machine's
    authorities must vouch for the server, or LANECAST_CERTIFICATE names a file with its certificate.
    """
    if output and not once:
        raise click.UsageError("--output says how --once prints: it needs --once")
    # Until the console listens to it, Ctrl-C ends us in silence: the next import takes half a second.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Who is told all of it, as the console of `lanecast run`, stumbles over no settings of somebody else's.
    settings = cache(partial(settings_of, given))
    token, certificate = operator_token(settings, "console"), certificate_of(settings, url)
    address = url or settings().address
    if once:
        from tui.once import Output, look_once

        look = look_once(address, token, certificate, Output(output or "text"))
        click.echo(look.text)
        for why, missing in look.refusals.items():
            click.echo(f"lanecast: without {missing}: {why}", err=True)
        return 1 if look.refusals else 0
    from tui.app import run_console

    return run_console(address, token, certificate, is_read_only=read_only)


@lanecast.command()
@click.argument("capture", type=click.Path(path_type=Path))
@click.option(
    "--host", default="127.0.0.1", metavar="ADDRESS", show_default=True, help="Address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=0,
    metavar="N",
    help="Port, 0 for any free one. [default: 0]",
)
@click.option("--speed", default="1", show_default=True, metavar="X|max", help="Times the recorded pace.")
def venue(capture: Path, host: str, port: int, speed: str) -> None:
    """Serve a recorded session as its venue would.

    CAPTURE is lines of JSON, plain or compressed by gzip or zstd, a message of the venue's each:
    {"ts": seconds since 1970, "dir": "in" or "out", "raw": "its text"}. NAME_rest.jsonl beside
    NAME.jsonl has what the venue answered over HTTP, with "url" in place of "dir". Which venue it is
    shows in the messages. Feeds connect to it by a setting of their base URL.

    \b
    Example:
      lanecast venue spot_btcusdt_20240808.jsonl.gz --port 9443 --speed 10
      lanecast run --set feeds.binance.symbols=btcusdt \\
          --set feeds.binance.url=ws://127.0.0.1:9443 --set feeds.binance.rest_url=http://127.0.0.1:9443
    """
    times = _speed(speed)
    import trio

    from monitor.venue.server import run_venue

    async def stand_in() -> None:
        async with trio.open_nursery() as nursery:
            address = await nursery.start(partial(run_venue, capture, host=host, port=port, speed=times))
            click.echo(f"{capture} is served on {address}")

    trio.run(stand_in)


@lanecast.command()
@click.argument("channel")
@click.argument("json_text", metavar="JSON")
@click.option("--url", envvar="LANECAST_URL", help="The server. [default: as host and port are set]")
@source_options
def publish(channel: str, json_text: str, url: str | None, **given: Any) -> None:
    """Publish JSON to CHANNEL by the HTTP API.

    Prints the server's result: offset and epoch where the channel has a history, {} where it has none.
    JSON passes as it is written; - reads it from standard input.
    """
    from monitor.backend import publish_json
    from monitor.keys import find_key

    settings = settings_of(given)
    text = sys.stdin.read() if json_text == "-" else json_text
    address, certificate = url or settings.address, certificate_of(lambda: settings, url)
    click.echo(publish_json(address, find_key("api", settings), channel, text, certificate))


lanecast.add_command(check)


@lanecast.command()
@click.argument("sub")
@click.option("--ttl", type=click.IntRange(1), metavar="SECONDS", help="Let it expire. [default: never]")
@click.option("--operator", is_flag=True, help="Sign with the operator key: reads everything.")
@click.option("--channel", help="Make a subscription token, for this channel only.")
@click.option(
    "--grant",
    "grants",
    metavar="CHANNEL",
    multiple=True,
    help="Subscribe the client to it on connecting; may be repeated.",
)
@click.option("--info", metavar="JSON", help="What others are shown of the client.")
@source_options
def token(
    sub: str,
    ttl: int | None,
    operator: bool,
    channel: str | None,
    grants: tuple[str, ...],
    info: str | None,
    **given: Any,
) -> None:
    """Print a token for the user SUB.

    Its bearer may read orders:SUB, bots:SUB and so on.
    """
    from monitor.keys import find_key
    from monitor.serve.tokens import make_token

    if not sub:
        raise ConfigError("SUB is empty: such a token would be nobody's")
    if channel and grants:
        raise ConfigError(
            "--channel makes a subscription token, which grants nothing else: leave out --grant"
        )
    settings = settings_of(given)
    made = make_token(
        find_key("operator" if operator else "token", settings),
        sub,
        ttl_seconds=ttl,
        channel=channel,
        channels=list(grants) or None,
        info=_json("--info", info),
        aud=settings.token_audience,
        iss=settings.token_issuer,
    )
    click.echo(made)


@lanecast.group(cls=InReadingOrder)
def keys() -> None:
    """Change the keys that the server made itself."""


@keys.command()
@click.argument("name", type=click.Choice(["api", "operator", "token"]))
@click.option("--at-once", is_flag=True, help="Take the old one no more: somebody else has it.")
@source_options
def rotate(name: str, at_once: bool, **given: Any) -> None:
    """Replace a key in the data directory.

    A running server takes the new one by itself, within seconds, and the old one for
    key_overlap_seconds still. Who is connected stays connected.
    """
    from monitor.keys import rotate_key

    settings = settings_of(given)
    path = rotate_key(settings, name, at_once=at_once)
    seconds = 0 if at_once else settings.key_overlap_seconds
    click.echo(f"{path}: a new key; the old one is taken for {seconds} s")


lanecast.add_command(probe)
lanecast.add_command(analyze)
lanecast.add_command(dictionary)
lanecast.add_command(journal)


@lanecast.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    \b
    Example:
      lanecast completion bash > ~/.local/share/bash-completion/completions/lanecast
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete
    click.echo(complete(lanecast, {}, "lanecast", "_LANECAST_COMPLETE").source())


def _serve(given: dict[str, Any], *, console: bool) -> int:
    from monitor.keys import load_keys

    settings = settings_of(given)
    keys = load_keys(settings)
    # Only now: a wrong setting is told before the second that this import takes.
    from monitor import app

    return app.run(settings, keys, console=console)


def _json(option: str, text: str | None) -> Any:
    import orjson

    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{option} {text!r} is not JSON: {error}") from None


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0
    if not 0 < speed <= 1_000_000:
        raise ConfigError(f"--speed {text!r} must be a number above 0 and at most 1000000, or max")
    return speed
