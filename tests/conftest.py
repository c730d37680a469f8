"""The fixtures that several packages share."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser
from trio.testing import MockClock

from tests.browser import open_browser
from tests.process import Process, lanecast_process
from tests.serve.running import Server, running

HERE = Path(__file__).parent
IDLE_SECONDS = 0.001
"""Of real time without any work: by then what is on its way through the loopback has arrived."""

LONG = (
    "page",
    "probe/test_load.py",
    "serve/test_fuzz.py",
    "test_cli.py",
    "test_shipped.py",
    "test_whole.py",
    "tui/test_terminal.py",
)
"""Files that take long, each a whole; at the end all would wait for the one that began last."""

# A shell has what it runs in the background ignore Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A stopwatch is no test: on a busy machine an example takes as long as it takes.
hypothesis.settings.register_profile("lanecast", deadline=None)
hypothesis.settings.load_profile("lanecast")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have what takes long begin first."""
    long = tuple(HERE / name for name in LONG)
    assert all(path.exists() for path in long), f"LONG names what isn't there: {LONG}"
    items.sort(key=lambda item: not any(item.path.is_relative_to(path) for path in long))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server in the test's own loop, with the simulator off; for Trio tests."""
    async with running() as server:
        yield server


@pytest.fixture
def jumping_clock() -> MockClock:
    """Lets a Trio test with real sockets skip the time in which nothing happens."""
    return MockClock(autojump_threshold=IDLE_SECONDS)


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server in a process of its own, with the simulator off; tests share it, each with its channels."""
    with lanecast_process(tmp_path_factory.mktemp("lanecast")) as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser. Not for longer than a module: as long as it runs, `asyncio.run` can't."""
    with open_browser() as browser:
        yield browser
