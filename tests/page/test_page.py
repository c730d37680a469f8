"""The page as a viewer meets it: a real server, its simulator, a real browser."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import OpenPage
from tests.page.tab import HIDE_TAB, PLACES, fill, newest_row, tape_of, wait_until, watched
from tests.process import Process, lanecast_process

ALL_PANELS = {
    "trades:all",
    "market:feeds",
    "market:hot",
    "market:analytics.hour",
    "botstate:paper",
    "orders:paper",
    "open_orders:paper",
}

BESIDE_FIRST = """async (markets) => {
  const { writeMarket, make } = await import("/static/js/dom.js");
  const sheet = Object.assign(make("link"), { rel: "stylesheet", href: "/static/css/main.css" });
  await new Promise((onload) => document.head.append(Object.assign(sheet, { onload })));
  const names = markets.map(() => document.body.appendChild(make("p")));
  return names.map((name, at) => {
    writeMarket(name, markets[at]);
    return getComputedStyle(names[0], "::after").content;
  });
}"""

OVERFLOW = "(element) => element.scrollWidth - element.clientWidth"


def wait_for_newer(page: Page) -> None:
    expect(page.get_by_test_id("newer")).to_have_text(re.compile(r"^↑ \d\d+ newer$"))


def test_chart_shows_the_hour_or_the_day(page: Page, served: Process) -> None:
    expect(page.locator("#analytics canvas")).to_be_visible()
    page.get_by_role("button", name="Day").click()
    expect(page.get_by_role("button", name="Day")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#analytics canvas")).to_be_visible()
    wait_until(page, lambda: "market:analytics.day" in watched(served))


def test_venue_stands_beside_a_name_as_soon_as_there_are_two(laboratory: Page) -> None:
    assert laboratory.evaluate(BESIDE_FIRST, ["sim.A", "sim.B", "my.A"]) == ["none", "none", '" sim"']


def test_long_price_leaves_room_for_its_size(browser: Browser, process: Process) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(process.address)
    trade = {"market": "my.PEPE", "price": "0.00000788512345", "size": "11469518712.25", "side": "buy"}
    process.publish("trades:all", {**trade, "time": time.time_ns() // 1_000_000})
    row = page.get_by_test_id("tape-row").filter(has_text=trade["price"])
    assert [row.locator(f".{name}").evaluate(OVERFLOW) for name in ("price", "size")] == [0, 0]
    page.close()


def test_paused_tape_keeps_its_place_until_it_goes_on(page: Page) -> None:
    wait_until(page, lambda: len(tape_of(page).evaluate(PLACES)) > 20)
    page.keyboard.press("p")
    expect(page.get_by_test_id("pause")).to_have_text("Go on")
    places = tape_of(page).evaluate(PLACES)
    wait_for_newer(page)
    assert tape_of(page).evaluate(PLACES) == places
    page.keyboard.press("p")
    expect(page.get_by_test_id("newer")).to_be_hidden()
    assert newest_row(page) > max(map(int, places))


def test_tape_that_is_not_in_the_view_is_not_paused(page: Page) -> None:
    wait_until(page, lambda: newest_row(page) > 20)
    page.keyboard.press("4")
    expect(page.locator("#bot")).to_be_visible()
    page.keyboard.press("p")
    page.keyboard.press("1")
    expect(tape_of(page)).to_be_visible()
    before = newest_row(page)
    wait_until(page, lambda: newest_row(page) > before)
    expect(page.get_by_test_id("pause")).to_have_text("Pause")


def test_scrolled_tape_keeps_its_place_until_it_is_back_on_top(page: Page) -> None:
    wait_until(page, lambda: len(tape_of(page).evaluate(PLACES)) > 20)
    tape_of(page).evaluate("(list) => list.scrollTo(0, 500)")
    wait_for_newer(page)
    places = tape_of(page).evaluate(PLACES)
    counted = page.get_by_test_id("newer").text_content() or ""
    expect(page.get_by_test_id("newer")).not_to_have_text(counted)
    assert tape_of(page).evaluate(PLACES) == places
    page.get_by_test_id("newer").click()
    expect(page.get_by_test_id("newer")).to_be_hidden()


def test_market_opens_by_keyboard_and_back_leads_to_its_row(page: Page, served: Process) -> None:
    rows = page.get_by_test_id("hot-row")
    expect(rows).to_have_count(12)
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    market = page.evaluate("document.activeElement.dataset.market")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{served.address}/#/market/{market}")
    expect(page.locator("#quote-title")).to_have_text(market.removeprefix("sim."))
    expect(page.get_by_test_id("book-badge")).to_contain_text("SYNCED")
    expect(page.get_by_test_id("tape-row").locator("visible=true").first).to_be_visible()
    expect(page.locator("#quote canvas")).to_be_visible()
    own = {f"{kind}:{market}" for kind in ("ticker", "book", "trades")}
    wait_until(page, lambda: own <= watched(served) and "trades:all" not in watched(served))
    page.go_back()
    expect(page.get_by_test_id("hot-row").first).to_be_visible()
    wait_until(page, lambda: f"ticker:{market}" not in watched(served))
    assert page.evaluate("document.activeElement.dataset.market") == market


def test_found_market_opens_and_goes_to_the_book(page: Page) -> None:
    expect(page.get_by_test_id("book-badge")).to_contain_text("SYNCED")
    page.keyboard.press("/")
    page.keyboard.type("solus")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#quote-title")).to_have_text("SOLUSDT")
    page.get_by_role("button", name="Keep its book").click()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("book-market")).to_have_text("SOLUSDT")
    page.reload()
    expect(page.get_by_test_id("book-market")).to_have_text("SOLUSDT")


def test_desk_subscribes_to_what_its_panels_show(page: Page, served: Process) -> None:
    book = page.get_by_test_id("book-market")
    expect(book).not_to_have_text("\N{EN DASH}")
    wait_until(page, lambda: watched(served) == {*ALL_PANELS, f"book:sim.{book.text_content()}"})


def test_phone_subscribes_to_what_is_scrolled_into_view(open_page: OpenPage, served: Process) -> None:
    phone = open_page(width=390, height=700, has_touch=True, is_mobile=True)
    expect(phone.get_by_test_id("fill-row").first).to_be_visible()
    below = {"trades:all", "open_orders:paper"}
    wait_until(phone, lambda: watched(served) & {"orders:paper", *below} == {"orders:paper"})
    phone.locator("#tape").scroll_into_view_if_needed()
    wait_until(phone, lambda: "trades:all" in watched(served))
    phone.locator("#orders").scroll_into_view_if_needed()
    wait_until(phone, lambda: "open_orders:paper" in watched(served))
    wait_until(phone, lambda: "orders:paper" not in watched(served))


def test_hidden_tab_receives_nothing_and_comes_back(page: Page, served: Process) -> None:
    wait_until(page, lambda: watched(served) >= ALL_PANELS)
    page.evaluate(HIDE_TAB, True)
    wait_until(page, lambda: watched(served) == set())
    before = newest_row(page)
    page.evaluate(HIDE_TAB, False)
    wait_until(page, lambda: watched(served) >= ALL_PANELS)
    wait_until(page, lambda: newest_row(page) > before + 10)
    expect(page.locator("#tape .gap")).to_have_text("")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_page_is_as_the_system_prefers_until_the_viewer_chooses(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    other = {"dark": "light", "light": "dark"}[scheme]
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", scheme)
    ground = "getComputedStyle(document.getElementById('tape')).backgroundColor"
    as_preferred = page.evaluate(ground)
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", other)
    assert page.evaluate(ground) != as_preferred
    page.reload()
    expect(root).to_have_attribute("data-theme", other)


def test_wide_lists_never_make_a_phone_scroll_sideways(open_page: OpenPage) -> None:
    phone = open_page(width=360, height=700)
    expect(phone.get_by_test_id("fill-row").first).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") == 360


def test_phone_shows_every_total_whole(open_page: OpenPage) -> None:
    phone = open_page(width=390, height=844)
    totals = phone.locator("#pulse dl > div").evaluate_all(
        """(totals) => totals.map((total) =>
          [total.getBoundingClientRect().right, total.scrollWidth - total.clientWidth])"""
    )
    assert len(totals) == 6
    assert all(right <= 390 and hidden == 0 for right, hidden in totals)


def test_cut_connection_misses_no_fill_and_says_so_by_saying_nothing(page: Page, served: Process) -> None:
    expect(page.get_by_test_id("fill-row").first).to_be_visible()
    page.evaluate(HIDE_TAB, True)
    wait_until(page, lambda: "orders:paper" not in watched(served))
    for number in range(3):
        served.publish("orders:paper", fill(f"away-{number}"))
    page.evaluate(HIDE_TAB, False)
    for number in range(3):
        expect(page.locator(f"[data-fill-id=away-{number}]")).to_have_count(1)
    expect(page.locator("#fills .gap")).to_have_text("")


def test_fill_that_was_looked_up_is_said_to_be_late(page: Page, served: Process) -> None:
    unknown = {"filled": None, "order_size": None, "delay_ms": None}
    served.publish("orders:paper", fill("late-1") | unknown | {"backfilled": True})
    row = page.locator("[data-fill-id=late-1]")
    expect(row.locator(".delay")).to_have_text("late")
    expect(row).to_have_attribute("title", re.compile("^order o-1: \N{EN DASH} of \N{EN DASH}, "))


FORBIDDEN_STORAGE = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });"""


def test_browser_that_keeps_nothing_shows_everything(browser: Browser, served: Process) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page.add_init_script(FORBIDDEN_STORAGE)
    page.goto(served.address)
    expect(page.get_by_test_id("hot-row")).to_have_count(12)
    expect(page.get_by_test_id("book-badge")).to_contain_text("SYNCED")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.close()


UNHEARD_FEEDS = """
port = 0
simulator.enabled = false
[namespaces."market:feeds"]
kind = "ops"
delivery = "latest"
access = "operator"
"""


def test_refused_word_on_the_feeds_stands_in_no_panels_notice(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    with lanecast_process(tmp_path, UNHEARD_FEEDS) as server:
        page.goto(server.address)
        expect(page.locator("#hot .notice")).to_have_text("nothing has traded yet")
        expect(page.locator("#tape .notice")).to_have_text("no trades yet")
    page.close()


GARBAGE: list[tuple[str, object]] = [
    ("trades:all", {"market": "sim.A"}),
    ("trades:all", "x"),
    ("market:hot", {"markets": {"sim.A": 7, "sim.B": {"price": "1"}}, "points": {"sim.B": ["x"]}}),
    ("market:analytics.hour", {"bucket_seconds": 60, "buckets": {"60000": {"trades": "x"}}}),
]


def test_garbage_from_a_publisher_is_no_number(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    with lanecast_process(tmp_path, "port = 0\nsimulator.enabled = false") as server:
        page.goto(server.address)
        expect(page.locator("#hot .notice")).to_have_text("nothing has traded yet")
        for channel, data in GARBAGE:
            server.publish(channel, data)
        row = page.get_by_test_id("hot-row")
        expect(row).to_have_count(1)
        expect(row).to_contain_text("B")
        expect(page.locator("[data-counter=trades]")).to_have_text("\N{EN DASH}")
        expect(page.locator("body")).not_to_contain_text(re.compile("NaN|undefined"))
    page.close()
