"""`lanecast dictionary`: makes the dictionary of the zstd subprotocol from simulated traffic.

What trains one is imported when it is called, so that `lanecast --help` does not wait for it.
"""

from pathlib import Path

import click

from monitor.options import InReadingOrder, check_writable
from monitor.progress import progress


@click.group(cls=InReadingOrder)
def dictionary() -> None:
    """Make the dictionary of the zstd subprotocol."""


@dictionary.command()
@click.option(
    "--seconds",
    type=click.IntRange(60, 86_400),
    default=600,
    show_default=True,
    help="Of simulated traffic; a minute of it takes some seconds.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("lanecast.zdict"), show_default=True)
def train(seconds: int, output: Path) -> None:
    """Train one from the traffic of a simulated market.

    A server uses it with --set zstd_dictionary=FILE.
    """
    from monitor.training import SEGMENTS, record, train_dictionary

    check_writable("--output", output)
    with progress("recording", seconds) as on_second:
        samples = record(seconds, on_second=on_second)
    with progress("training", len(SEGMENTS)) as on_candidate:
        trained = train_dictionary(samples, on_candidate=on_candidate)
    output.write_bytes(trained.data)
    click.echo(f"{output}: {len(trained.data)} bytes, id {trained.id}")
