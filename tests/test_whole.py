"""The whole walk, as its users see it: one event in, the same on the page and on the console."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from monitor.serve.tokens import make_token
from tests.captures import beginning, capture
from tests.process import Process, lanecast_process, venue_process
from tests.serve.running import KEYS
from tests.terminal import Terminal, terminal
from tests.tui.reports import fill

TRIES = 10
STANDSTILL_MS = 30_000
"""Of a replay, on a machine that has other things to do; all of it takes as long as it takes."""
MESSAGES, BEST = 10_700, ("61784.63", "61784.64")
"""A tenth of the session, and the best prices at its end; the feed's tests replay all of it."""
WITH_SIMULATOR = "port = 0"
WITH_BINANCE = """
port = 0
[feeds.binance]
symbols = ["BTCUSDT"]
url = "{url}"
rest_url = "{rest_url}"
"""


@contextmanager
def console(server: Process) -> Iterator[Terminal]:
    token = make_token(KEYS.operator, "console")
    with terminal(["monitor", "console", server.address], (160, 50), LANECAST_OPERATOR_TOKEN=token) as screen:
        yield screen


def open_page(browser: Browser, server: Process) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(server.address)
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    return page


def watch_book(page: Page, price: str) -> None:
    """Until it shows this price; fails once it stands still."""
    book = page.locator("#book")
    while price not in (shown := book.text_content() or ""):
        expect(book).not_to_have_text(shown, timeout=STANDSTILL_MS)


def is_seen_within_a_second(server: Process, page: Page, screen: Terminal, price: str) -> bool:
    """Publish a fill; whether it is on the page and on the console in time. It must come to both."""
    published = time.monotonic()
    # Of now: the console has the newest ones on top, and the simulator goes on.
    now_ms = time.time_ns() // 1_000_000
    server.publish("orders:paper", {"type": "order_fill", **fill(fill=price, price=price, time=now_ms)})
    expect(page.locator(f'[data-fill-id="{price}"]')).to_contain_text(price)
    screen.wait_for(price.encode())
    return time.monotonic() - published <= 1


def test_the_same_fill_is_on_page_and_console_within_a_second(browser: Browser, tmp_path: Path) -> None:
    with lanecast_process(tmp_path, WITH_SIMULATOR) as server, console(server) as screen:
        page = open_page(browser, server)
        expect(page.get_by_test_id("fill-row").first).to_be_visible()
        screen.wait_for(b"order_fill")
        # A busy machine may stop for a second by itself, but hardly each time.
        assert any(is_seen_within_a_second(server, page, screen, f"9876{n}.4321") for n in range(TRIES))


def test_a_recorded_session_replays_into_feed_book_page_and_console(browser: Browser, tmp_path: Path) -> None:
    session = beginning(capture("binance/spot_btcusdt_20240808"), MESSAGES, tmp_path)
    with venue_process(session, speed="max") as venue:
        settings = WITH_BINANCE.format(url=venue, rest_url=venue.replace("ws://", "http://"))
        with lanecast_process(tmp_path, settings) as server, console(server) as screen:
            page = open_page(browser, server)
            expect(page.get_by_test_id("book-badge")).to_contain_text("SYNCED")
            watch_book(page, BEST[0])
            expect(page.locator("#book")).to_contain_text(BEST[1])
            expect(page.get_by_test_id("tape-row").first).to_contain_text("BTCUSDT")
            screen.wait_for(b"binance")
            screen.wait_for(b"live")
