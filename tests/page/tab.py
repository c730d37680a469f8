"""What a test does with a tab of the page, and sees in it."""

import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page

from tests.browser import PATIENCE_MS
from tests.process import Process

HIDE_TAB = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

PLACES = """(list) => Object.fromEntries(
  [...list.querySelectorAll("[data-seq]:not([hidden])")]
    .map((row) => [row.dataset.seq, Math.round(row.getBoundingClientRect().top)]))"""


def wait_until(page: Page, claim: Callable[[], bool]) -> None:
    """Look again and again until `claim` holds; the browser goes on meanwhile."""
    deadline = time.monotonic() + PATIENCE_MS / 1_000
    while not claim():
        assert time.monotonic() < deadline, "it never came true"
        page.wait_for_timeout(50)


def watched(server: Process) -> set[str]:
    """Name the channels that somebody is subscribed to."""
    return set(server.api("channels")["channels"])


def tape_of(page: Page) -> Locator:
    return page.get_by_test_id("tape")


def newest_row(page: Page) -> int:
    return max(map(int, tape_of(page).evaluate(PLACES)), default=-1)


def fill(fill_id: str) -> dict[str, object]:
    return {
        "type": "order_fill",
        "market": "sim.BTCUSDT",
        "order": "o-1",
        "fill": fill_id,
        "side": "buy",
        "price": "61837.63",
        "size": "0.5",
        "filled": "0.5",
        "order_size": "0.5",
        "status": "FILLED",
        "fee": "0",
        "fee_asset": "",
        "maker": True,
        "client_order": "",
        "bot": "bot-1",
        "role": "safety_order",
        "delay_ms": 42,
        "time": time.time_ns() // 1_000_000,
    }
