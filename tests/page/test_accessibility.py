"""What axe finds in each view, dark on a desk and light on a phone; and what other eyes are given."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.page.conftest import OpenPage
from tests.page.tab import fill, wait_until, watched
from tests.process import Process

# By view: a panel in it, and what that shows once its channel has spoken.
PLACES = {
    "overview": ("#hot", "[data-testid=hot-row]"),
    "market/sim.BTCUSDT": ("#quote", "canvas"),
    "hot": ("#hot", "[data-testid=hot-row]"),
    "analytics": ("#analytics", "canvas"),
    "bots": ("#bot", "[data-testid=event-row]"),
    "fills": ("#fills", "[data-testid=fill-row]"),
    "status": ("#status", "[data-testid=channel-row]"),
}

# In one look: a row that a newer trade is shown in may change its side between two.
SIGNS = """() => [...document.querySelectorAll(".tape-row:not([hidden])")].map((row) =>
  [row.dataset.side, getComputedStyle(row.querySelector(".price"), "::before").content])"""


def findings(page: Page) -> list[tuple[str, str]]:
    """Each rule that is broken, with the element that breaks it."""
    response = Axe().run(page).response
    return [(rule["id"], node["html"]) for rule in response["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1440), ("light", 390)])
def test_axe_finds_nothing_in_any_view(open_page: OpenPage, scheme: str, width: int) -> None:
    page = open_page(width=width, color_scheme=scheme, reduced_motion="reduce")
    for view, (panel, content) in PLACES.items():
        page.evaluate("(hash) => { location.hash = hash; }", f"#/{view}")
        expect(page.locator(panel)).to_be_visible()
        # On a phone it may be below the screen, where it subscribes to nothing.
        page.locator(panel).evaluate("(element) => element.scrollIntoView()")
        expect(page.locator(panel).locator(content).first).to_be_attached()
        assert findings(page) == [], view


def test_axe_finds_nothing_in_what_lies_below_a_small_screen(open_page: OpenPage) -> None:
    page = open_page("/#/bots", width=320, height=640)
    expect(page.get_by_test_id("bot-row")).to_have_count(6)
    assert findings(page) == []


def test_axe_finds_nothing_in_the_dialogs(page: Page) -> None:
    for key, dialog in (("?", "#help"), ("/", "#search")):
        page.keyboard.press(key)
        expect(page.locator(dialog)).to_be_visible()
        assert findings(page) == []
        page.keyboard.press("Escape")
        expect(page.locator(dialog)).to_be_hidden()


# The ground of a fill that has just come, held still for axe.
LIT = """() => {
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
  const { style } = rules.find(({ name }) => name === "arrive").cssRules[0];
  const held = new CSSStyleSheet();
  held.replaceSync(`.fills tr { background: ${style.background || style.backgroundColor} !important }`);
  document.adoptedStyleSheets = [held];
}"""


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_fill_that_lights_up_can_be_read(open_page: OpenPage, scheme: Literal["dark", "light"]) -> None:
    page = open_page("/#/fills", color_scheme=scheme, reduced_motion="reduce")
    expect(page.get_by_test_id("fill-row").first).to_be_visible()
    page.evaluate(LIT)
    assert findings(page) == []


@pytest.mark.parametrize(("motion", "moves"), [("reduce", "none"), ("no-preference", "arrive")])
def test_fill_lights_up_but_not_for_who_asked_that_nothing_moves(
    open_page: OpenPage, served: Process, motion: Literal["reduce", "no-preference"], moves: str
) -> None:
    page = open_page("/#/fills", reduced_motion=motion)
    wait_until(page, lambda: "orders:paper" in watched(served))
    served.publish("orders:paper", fill(f"moving-{motion}"))
    row = page.locator(f"[data-fill-id=moving-{motion}]")
    assert row.evaluate("(row) => getComputedStyle(row).animationName") == moves


def test_state_is_seen_in_forced_colours(open_page: OpenPage) -> None:
    page = open_page("/#/bots/bot-1", forced_colors="active")
    for chosen in ("[aria-current=page]", ".bots .is-chosen"):
        style = page.locator(chosen).evaluate("(element) => getComputedStyle(element).outlineStyle")
        assert style == "solid"


def test_buys_and_sells_are_told_apart_in_forced_colours(open_page: OpenPage) -> None:
    page = open_page(forced_colors="active")
    part = "(element, name) => getComputedStyle(element, '::before')[name]"
    wait_until(
        page, lambda: sorted(set(map(tuple, page.evaluate(SIGNS)))) == [("buy", '"▲"'), ("sell", '"▼"')]
    )
    series = page.locator(".legend li:not([data-series=time])")
    colours = {series.nth(place).evaluate(part, "color") for place in range(series.count())}
    assert len(colours) == 3
