from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.broadcast.zstd import Zstd
from monitor.cli import lanecast
from monitor.dictionary import Dictionary, shipped_dictionary
from monitor.training import SESSIONS, record, train_dictionary

SECONDS = 60
CHANNELS = (
    "trades:all",
    "trades:sim.",
    "trades:binance.",
    "ticker:sim.",
    "book:kalshi.",
    "market:hot",
    "market:analytics.hour",
    "market:sparkline",
    "orders:paper",
    "bots:paper",
    "botstate:paper",
    "open_orders:paper",
    "ops:health",
    "ops:feeds",
)


@pytest.fixture(scope="module")
def samples() -> list[bytes]:
    return record(SECONDS, seed=7)


def encoded_bytes(dictionary: Dictionary, samples: list[bytes]) -> int:
    encoding = Zstd(dictionary)
    return sum(len(encoding.frame(payload)) for payload in samples)


def test_every_kind_of_frame_is_among_the_samples(samples: list[bytes]) -> None:
    for channel in CHANNELS:
        assert any(sample.startswith(b'{"push":{"channel":"%s' % channel.encode()) for sample in samples), (
            channel
        )
    for method in (b"connect", b"subscribe", b"unsubscribe", b"rpc"):
        assert any(b'"%s":{' % method in sample[:30] for sample in samples), method
    assert not any(b'"error"' in sample[:30] for sample in samples)


def test_samples_take_their_time_in_no_time() -> None:
    ticks: list[None] = []
    record(SESSIONS, on_second=lambda: ticks.append(None))
    assert len(ticks) == SESSIONS


def test_trained_dictionary_is_worth_it_on_traffic_that_it_has_not_seen(samples: list[bytes]) -> None:
    trained = train_dictionary(samples, size_bytes=8_192)
    assert len(trained.data) <= 8_192
    unseen = record(SESSIONS * 3, seed=1_000)
    plain = sum(len(payload) for payload in unseen)
    assert encoded_bytes(trained, unseen) < plain / 3
    assert encoded_bytes(shipped_dictionary(), unseen) < plain / 3


def test_command_writes_what_a_server_can_be_given(tmp_path: Path) -> None:
    output = tmp_path / "own.zdict"
    done = CliRunner().invoke(lanecast, ["dictionary", "train", "--seconds", "60", "--output", str(output)])
    assert done.exit_code == 0, done.output
    trained = Dictionary(output.read_bytes())
    assert f"{output}: {len(trained.data)} bytes, id {trained.id}\n" in done.stdout
    Zstd(trained)
