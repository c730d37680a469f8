"""What the overview shows at a desk: nothing here changes the page, so that one is enough for all."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser import PATIENCE_MS
from tests.page.tab import fill, newest_row, tape_of, wait_until
from tests.process import Process


@pytest.fixture(autouse=True)
def answer_for_complaints(complaints: list[str]) -> Iterator[None]:
    """Each test for those that came with it."""
    yield
    told = [*complaints]
    complaints.clear()
    assert told == []


def test_trades_flow_on_top_of_the_history(desk: Page) -> None:
    expect(tape_of(desk).get_by_test_id("tape-row").locator("visible=true").nth(10)).to_be_visible()
    first = newest_row(desk)
    wait_until(desk, lambda: newest_row(desk) > first)


def test_book_is_synced_and_in_order(desk: Page) -> None:
    expect(desk.get_by_test_id("book-badge")).to_have_text(re.compile(r"^SYNCED \d"))
    expect(desk.locator("#book .asks li").nth(9)).to_be_visible()
    bids, asks = desk.locator("#book").evaluate(
        """(book) => ["bids", "asks"].map((side) =>
             [...book.querySelectorAll(`.${side} li:not([hidden]) .price`)]
               .map((cell) => Number(cell.textContent)))"""
    )
    assert asks == sorted(asks)
    assert bids == sorted(bids, reverse=True)
    assert bids[0] < asks[0]


def test_bots_show_where_their_cycles_stand(desk: Page) -> None:
    bots = desk.get_by_test_id("bot-row")
    expect(bots).to_have_count(6)
    expect(bots.first.locator(".turns")).to_have_text(re.compile(r"^#\d+$"))
    expect(bots.first.locator(".phase")).to_have_text(
        re.compile("^(active|base order|safety order|take profit|completed)$")
    )
    expect(bots.first.locator(".safety")).to_have_text(re.compile(r"^\d/\d$"))
    for delay in ("safety-delay", "target-delay"):
        expect(bots.first.locator(f".{delay}")).to_have_text(re.compile(r"^(\u2013|[\d.]+ m?s)$"))


def test_hot_markets_come_with_their_lines(desk: Page) -> None:
    expect(desk.get_by_test_id("hot-row")).to_have_count(12)
    expect(desk.locator("#hot path").first).to_have_attribute("d", re.compile("^M0.0 .*L100.0 "))


def test_chart_has_a_line_where_the_pointer_is_and_none_without_it(desk: Page) -> None:
    cursor = desk.locator("#analytics .u-cursor-x")
    expect(cursor).to_be_attached()
    expect(cursor).to_be_hidden()
    desk.locator("#analytics .chart").hover()
    expect(cursor).to_be_visible()


def test_counters_and_readings_are_filled(desk: Page) -> None:
    expect(desk.locator("[data-counter=trades]")).to_have_text(re.compile(r"^\d+,\d{3}$"))
    expect(desk.locator("[data-counter=bots]")).to_have_text("6 of 6")
    expect(desk.get_by_test_id("round-trip")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
    expect(desk.get_by_test_id("event-age")).to_have_text(re.compile(r"^[\d.]+ m?s$"))


def test_fill_is_shown_as_it_happens_and_only_once(desk: Page, served: Process) -> None:
    expect(desk.get_by_test_id("fill-row").first).to_be_visible()
    for fill_id in ("seen-1", "seen-1", "seen-2"):
        served.publish("orders:paper", fill(fill_id))
    expect(desk.locator("[data-fill-id=seen-2]")).to_be_visible()
    shown = desk.locator("[data-fill-id=seen-1]")
    expect(shown).to_have_count(1)
    expect(shown.locator("td").nth(1)).to_have_text("buy safety")
    expect(shown.locator("td").nth(3)).to_have_text("61837.63")
    expect(shown.locator("td").nth(5)).to_have_text("42 ms")


def test_open_orders_are_listed(desk: Page) -> None:
    expect(desk.get_by_test_id("order-row").first).to_be_visible()


def test_help_tells_the_keys(desk: Page) -> None:
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog", name="Keys")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_one_escape_closes_the_search_whatever_is_typed(desk: Page) -> None:
    desk.keyboard.press("/")
    desk.keyboard.type("zzz")
    expect(desk.locator("#search .notice")).to_have_text("no such market")
    desk.keyboard.press("Escape")
    expect(desk.locator("#search")).to_be_hidden()


def test_the_page_shows_its_delivery_with_its_error(desk: Page) -> None:
    delivery = desk.get_by_test_id("delivery")
    # The server is asked for it every five seconds, and knows none before it has asked the page for one.
    expect(delivery).to_have_text(re.compile(r"^[\d.]+ m?s ± [\d.]+ m?s$"), timeout=2 * PATIENCE_MS)
