"""The long test's page, in a real browser and without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request

from monitor.probe.diagnosis import analyze_report
from monitor.probe.document import document
from monitor.probe.report import Report
from tests.probe.reports import load, report

HOSTILE = "<script>document.title='taken'</script><img src=http://127.0.0.1:9/x>"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def shown(page: Page, directory: Path, found: Report) -> list[str]:
    """Open a report's page; what it asked for beside itself."""
    assert found.load is not None
    file = directory / "report.html"
    file.write_text(document(found, found.load, analyze_report(found)), encoding="utf-8")
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    page.goto(file.as_uri())
    return [url for url in asked if url != file.as_uri()]


def test_page_loads_nothing_and_shows_every_step(page: Page, tmp_path: Path) -> None:
    found = report(load=load())
    assert shown(page, tmp_path, found) == []
    assert page.locator("svg").count() == 4
    text = page.inner_text("main")
    for words in (
        "The server bears 800 clients, not 1200",
        "never reads",
        "400 of 400 clients",
        "order_fill",
    ):
        assert words in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_readable_by_everybody(page: Page, tmp_path: Path, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    shown(page, tmp_path, report(load=load(), troubles=["beside resets: trade came late"]))
    assert Axe().run(page).response["violations"] == []


def test_page_fits_on_paper(page: Page, tmp_path: Path) -> None:
    shown(page, tmp_path, report(load=load()))
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_what_a_hostile_server_says_is_text(page: Page, tmp_path: Path) -> None:
    found = report(url=HOSTILE, version=HOSTILE, troubles=[HOSTILE], load=load())
    assert shown(page, tmp_path, found) == []
    assert page.title() != "taken"
    assert HOSTILE in page.inner_text("main")
