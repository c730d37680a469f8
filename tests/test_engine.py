from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from monitor.broadcast.outflow import Outflow
from monitor.config import Settings
from monitor.engine import build_engine
from monitor.keyring import Keyring
from tests.serve.running import KEYS


@pytest.mark.trio
async def test_a_sample_of_health_waits_for_immediate_fan_outs(
    nursery: trio.Nursery, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine, asked = build_engine(Settings(data_dir=tmp_path), Keyring(KEYS), frozenset()), trio.Event()

    async def note(outflow: Outflow) -> None:
        assert outflow is engine.hub.outflow
        asked.set()
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(Outflow, "give_way", note)
    await nursery.start(engine.run)
    with trio.fail_after(1):
        await asked.wait()
