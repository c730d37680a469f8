import os
from pathlib import Path

import psutil
import pytest

from monitor.health.process import (
    CLIENT_BYTES,
    SCHEDULED,
    WARM_UP_SECONDS,
    CpuWait,
    MemoryGrowth,
    ProcessMeter,
)

MIB = 2**20


def warm(memory_bytes: int) -> MemoryGrowth:
    """After its warm-up, at one memory and without clients."""
    growth = MemoryGrowth()
    for _ in range(WARM_UP_SECONDS):
        growth.read(memory_bytes, clients=0)
    return growth


def test_growth_is_what_memory_rose_within_ten_minutes() -> None:
    growth = warm(100 * MIB)
    for second in range(1, 1_801):
        growth.read(100 * MIB + second * 1_000, clients=0)
    assert growth.bytes == 600 * 1_000


def test_what_fills_while_the_program_warms_up_is_no_growth() -> None:
    growth = MemoryGrowth()
    for second in range(WARM_UP_SECONDS):
        growth.read(50 * MIB + second * MIB, clients=0)
    assert growth.bytes == 0


def test_memory_that_new_clients_may_take_is_no_growth() -> None:
    growth = warm(100 * MIB)
    growth.read(100 * MIB + 500 * CLIENT_BYTES, clients=500)
    assert growth.bytes == 0


def test_the_process_is_this_one_and_its_cpu_known_from_the_start() -> None:
    meter = ProcessMeter()
    assert meter.pid == os.getpid()
    assert meter.memory_bytes > MIB
    assert meter.cpu_percent > 0


def test_a_reading_takes_in_memory_and_its_growth() -> None:
    meter = ProcessMeter()
    meter.read(clients=0)
    assert meter.memory_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert meter.growth.bytes == 0


def test_time_in_line_for_a_cpu_is_a_share_of_the_time_that_went_by(tmp_path: Path) -> None:
    file = tmp_path / "schedstat"
    wait = CpuWait(file)
    wait.read()
    assert wait.share is None
    for waited_ns in (5_000, 5_000):
        file.write_text(f"700 {waited_ns} 3\n")
        wait.read()
    assert wait.share == 0
    file.write_text(f"700 {10**15} 4\n")
    wait.read()
    assert (wait.share or 0) > 1_000


def test_this_system_tells_how_long_a_process_stood_in_line() -> None:
    meter = ProcessMeter()
    meter.read(0)
    assert (meter.wait.share is not None) == SCHEDULED.exists()
