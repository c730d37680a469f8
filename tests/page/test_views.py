"""The views: what each shows and subscribes to, by the address bar and by keyboard."""

import re
from functools import partial

from playwright.sync_api import Browser, Page, expect

from tests.page.conftest import OpenPage
from tests.page.tab import wait_until, watched
from tests.process import Process
from tests.serve.running import sign
from tests.tui.reports import NOON_MS

VIEWS = {
    "overview": {"trades:all", "market:hot", "market:analytics.hour", "open_orders:paper"},
    "hot": {"trades:all", "market:hot"},
    "analytics/day": {"market:analytics.day"},
    "bots": {"botstate:paper", "bots:paper", "open_orders:paper"},
    "fills": {"orders:paper", "open_orders:paper"},
    "status": {"market:analytics.hour", "botstate:paper"},
}
NOTE_TEXTS = """
const { fillText } = CanvasRenderingContext2D.prototype;
window.drawn = new Set();
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.drawn.add(text);
  fillText.call(this, text, ...where);
};"""
OTHER_VIEWS = {"trades:all", "market:hot", "market:analytics.day", "bots:paper", "open_orders:paper"}


def is_watched_alone(server: Process, view: str) -> bool:
    names = watched(server)
    return names >= VIEWS[view] and not names & (OTHER_VIEWS - VIEWS[view])


def test_address_names_the_view_which_subscribes_to_no_other(page: Page, served: Process) -> None:
    for view in VIEWS:
        page.goto(f"{served.address}/#/{view}")
        wait_until(page, partial(is_watched_alone, served, view))
        expect(page.locator(".views [aria-current=page]")).to_have_count(1)


def test_number_keys_change_the_view_and_back_leads_back(page: Page) -> None:
    page.keyboard.press("4")
    expect(page.locator("#bot")).to_be_visible()
    page.keyboard.press("6")
    expect(page.locator("#status")).to_be_visible()
    page.go_back()
    expect(page.locator("#bot")).to_be_visible()
    page.go_back()
    expect(page.locator("#tape")).to_be_visible()


def test_link_past_the_navigation_leaves_the_view_as_it_is(open_page: OpenPage) -> None:
    page = open_page("/#/bots/bot-2")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panels")).to_be_focused()
    expect(page.locator("#bot-title")).to_have_text("Ether, steady")
    assert page.evaluate("location.hash") == "#/bots/bot-2"


def test_what_nobody_told_of_a_bot_is_a_dash_and_what_it_bought_before_is_said(
    open_page: OpenPage, served: Process
) -> None:
    cycle = {"cycle": 3, "phase": "safety_order", "safety_orders": 3, "safety_orders_max": 5, "position": "5"}
    served.publish("bots:gus", {"type": "bot_cycle", "bot": "grid", "market": "my.X", **cycle})
    order = {"market": "my.X", "order": "1", "side": "buy", "price": "5", "size": "1", "time": NOON_MS}
    served.publish("orders:gus", {"type": "order_fill", "fill": "f1", "bot": "grid", **order})
    served.publish("orders:gus", {"type": "order_update", "status": "NEW", **order})
    page = open_page(f"/#token={sign(sub='gus')}")
    expect(page.locator("#orders .filled")).to_have_text("\N{EN DASH}")
    expect(page.get_by_test_id("fill-row")).to_have_attribute(
        "title", "order 1: - of -, fee - -".replace("-", "\N{EN DASH}")
    )
    page.keyboard.press("4")
    expect(page.locator(".levels [data-state=not]")).to_have_text(re.compile("3 earlier.*not at hand"))
    for part in ("profit", "cycles"):
        expect(page.locator(f"[data-bot-part={part}]")).to_have_text("\N{EN DASH}")
    expect(page.locator(".timeline tbody .time")).to_have_text("\N{EN DASH}")
    assert "undefined" not in page.content()
    assert "null" not in page.inner_text("#panels")


def test_part_of_a_take_profit_ends_no_cycle(open_page: OpenPage, served: Process) -> None:
    cycle = {"cycle": 3, "phase": "take_profit", "safety_orders": 0, "safety_orders_max": 5, "position": "1"}
    served.publish("bots:hal", {"type": "bot_cycle", "bot": "grid", "market": "my.X", **cycle})
    order = {"type": "order_fill", "market": "my.X", "bot": "grid", "price": "5", "time": NOON_MS}
    for side, size, status in (
        ("sell", "9", "FILLED"),
        ("buy", "2", "FILLED"),
        ("sell", "1", "PARTIALLY_FILLED"),
    ):
        name = f"{side}-{size}"
        served.publish(
            "orders:hal", {**order, "fill": name, "order": name, "side": side, "size": size, "status": status}
        )
    page = open_page(f"/#token={sign(sub='hal')}")
    page.keyboard.press("4")
    expect(page.locator(".levels [data-state=filled] .size")).to_have_text("2")
    expect(page.locator(".levels [data-state=not]")).to_have_count(0)


def test_address_of_nothing_shows_the_overview(page: Page) -> None:
    for address in ("#/nowhere", "#/market", "#/market/%E0%A4%A", '#/"]'):
        page.keyboard.press("6")
        expect(page.locator("#status")).to_be_visible()
        page.evaluate("(hash) => { location.hash = hash; }", address)
        expect(page.get_by_test_id("hot-row").locator("visible=true")).to_have_count(12)


def test_activity_over_no_span_is_that_of_the_hour(open_page: OpenPage, served: Process) -> None:
    page = open_page("/#/analytics/constructor")
    expect(page.get_by_role("button", name="Hour")).to_have_attribute("aria-pressed", "true")
    wait_until(page, lambda: "market:analytics.hour" in watched(served))
    assert "market:analytics.constructor" not in watched(served)


def test_market_that_nobody_has_listed_is_said_and_its_book_not_kept(open_page: OpenPage) -> None:
    page = open_page("/#/market/sim.NOPE")
    for panel in ("#quote", "#book"):
        expect(page.locator(f"{panel} .notice")).to_have_text("no market sim.NOPE is known")
    expect(page.locator("#fills .notice")).to_have_text("no fills of paper in sim.NOPE yet")
    expect(page.get_by_role("button", name="Keep its book")).to_be_hidden()
    page.evaluate("location.hash = '#/market/sim.BTCUSDT'")
    expect(page.get_by_role("button", name="Keep its book")).to_be_visible()
    expect(page.locator("#quote .notice")).to_be_empty()


def test_axis_of_a_chart_tells_the_smallest_prices_apart(browser: Browser, served: Process) -> None:
    page = browser.new_page()
    page.add_init_script(NOTE_TEXTS)
    page.goto(f"{served.address}/#/market/sim.PEPEUSDT")
    drawn = partial(page.evaluate, "[...window.drawn].filter((text) => !text.includes(':'))")
    wait_until(page, lambda: len(drawn()) > 1)
    assert all(re.fullmatch(r"0\.00000\d+", text) for text in drawn())
    page.close()


def test_bot_shows_its_levels_from_the_highest_and_what_it_did(open_page: OpenPage) -> None:
    page = open_page("/#/bots/bot-2")
    expect(page.locator("#bot-title")).to_have_text("Ether, steady")
    expect(page.locator(".levels [data-level=last]")).to_have_count(1)
    expect(page.locator(".levels [data-level=take_profit]")).not_to_have_count(0)
    prices = [float(text) for text in page.locator(".levels .price").all_text_contents() if text]
    assert prices == sorted(prices, reverse=True)
    expect(page.get_by_test_id("event-row").first).to_be_visible()
    page.locator("[data-bot=bot-1]").click()
    expect(page.locator("#bot-title")).to_have_text("Bitcoin, patient")
    expect(page.locator(".bots .is-chosen")).to_have_attribute("data-bot", "bot-1")


PRICE_TEXTS = """async (prices) => {
  const { priceText } = await import("/static/js/panels/bots.js");
  return prices.map(priceText);
}"""


def test_price_of_a_bot_that_holds_nothing_is_a_dash(laboratory: Page) -> None:
    assert laboratory.evaluate(PRICE_TEXTS, ["61.50", "0", None]) == ["61.50", *["\N{EN DASH}"] * 2]


def test_status_shows_this_connection_as_the_server_sees_it(open_page: OpenPage) -> None:
    page = open_page("/#/status")
    since = re.compile(r"^connected since \d\d:\d\d:\d\d$")
    expect(page.locator("[data-status-part=connection]")).to_have_text(since)
    part = page.locator("[data-status-part=encoding]")
    expect(part).to_have_text("deflate")
    expect(page.locator("[data-status-part=delivery]")).to_have_text(re.compile(r"^[\d.]+ m?s ± [\d.]+ m?s$"))
    expect(page.locator("[data-status-part=rate]")).to_have_text(re.compile(r"^[\d.]+ k?B/s$"))
    expect(page.locator("[data-status-part=lanes]")).to_have_text(re.compile("^immediate 0 · high 0"))
    expect(page.locator("[data-status-part=ladder]")).to_have_text("step 0: everything")
    expect(page.get_by_test_id("channel-row")).to_have_count(3)


def test_cut_is_kept_with_how_long_it_lasted_and_why(open_page: OpenPage, served: Process) -> None:
    page = open_page(f"/?#token={sign(sub='cut')}")
    page.keyboard.press("6")
    expect(page.locator(".cuts .none")).to_have_text("none since this page was opened")
    served.api("disconnect", user="cut", disconnect={"code": 3012, "reason": "for a test"})
    cut = page.get_by_test_id("cut-row")
    expect(cut.locator(".lasted")).to_have_text(re.compile(r"^back after [0-4]\.\d s$"))
    expect(cut.locator(".reason")).to_have_text("for a test")


SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll(".views, .scroll:not(.timeline)")]
  .filter((part) => part.scrollWidth > part.clientWidth)
  .map((part) => part.closest("[id]")?.id ?? part.className)"""


def test_no_view_scrolls_sideways(page: Page) -> None:
    for view in ("market/sim.BTCUSDT", *VIEWS):
        page.evaluate("(hash) => { location.hash = hash; }", f"#/{view}")
        for width in (320, 390, 768, 1024, 1280, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(SIDEWAYS) == [], (view, width)
