"""A real server with its simulator, and a real browser on its page."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PATIENCE_MS


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    url: str
    data_dir: Path

    def call(self, method: str, **params: Any) -> Any:
        """Call the HTTP API and return its result."""
        request = urllib.request.Request(
            f"{self.url}/api/{method}",
            json.dumps(params).encode(),
            {"X-API-Key": (self.data_dir / "api.key").read_text().strip()},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_MS / 1_000) as reply:
            return json.load(reply)["result"]

    def channels(self) -> set[str]:
        """Name the channels that somebody is subscribed to."""
        return set(self.call("channels")["channels"])


@contextmanager
def serve(data_dir: Path, port: int = 0) -> Iterator[Served]:
    """Run `lanecast serve` and wait until it says where."""
    command = [sys.executable, "-m", "monitor", "serve", "--port", str(port), "--data-dir", str(data_dir)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            address = re.search(r"http://\S+", said)
            assert address, f"the server said {said!r} and not where it serves"
            yield Served(address[0], data_dir)
        finally:
            process.terminate()
            process.stdout.read()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("data")) as server:
        yield server


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, served: Served) -> Iterator[OpenPage]:
    """Open the page; whatever the browser has to complain about by the end fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(path: str = "/", width: int = 1440, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(served.url + path)
        expect(page.get_by_test_id("connection")).to_have_text("connected")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()
