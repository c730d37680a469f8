"""A real server with its simulator, and a real browser on its page."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import PATIENCE_MS, open_browser
from tests.process import Process, lanecast_process

WITH_SIMULATOR = "port = 0"

OpenPage = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with lanecast_process(tmp_path_factory.mktemp("served"), WITH_SIMULATOR) as server:
        yield server


@pytest.fixture(scope="module")
def laboratory(browser: Browser, served: Process) -> Iterator[Page]:
    """A page on the server's origin that runs nothing of its own."""
    page = browser.new_page()
    page.goto(f"{served.address}/static/vendor/manifest.json")
    yield page
    page.close()


@contextmanager
def opening(browser: Browser, server: Process, complaints: list[str]) -> Iterator[OpenPage]:
    """A way to open the page; whatever the browser has to complain about by the end fails the test."""
    contexts = []

    def open_page(path: str = "/", width: int = 1440, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.address + path)
        expect(page.get_by_test_id("connection")).to_have_text("connected")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def open_page(browser: Browser, served: Process) -> Iterator[OpenPage]:
    with opening(browser, served, []) as open_page:
        yield open_page


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    return open_page()


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """The browser's, of the page for all tests of a module."""
    return []


@pytest.fixture(scope="module")
def desk(browser: Browser, served: Process, complaints: list[str]) -> Iterator[Page]:
    """A page for all tests of a module, which leave it as it is."""
    with opening(browser, served, complaints) as open_page:
        yield open_page()
