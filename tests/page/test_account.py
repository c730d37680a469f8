"""Whose orders and bots the page shows, by which token, and what it says where it may not."""

import socket
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from monitor.serve.tokens import make_token
from tests.page.conftest import OpenPage
from tests.page.tab import fill, wait_until, watched
from tests.process import Process, lanecast_process
from tests.serve.running import KEYS, sign

NEEDS_TOKEN = "orders and bots need a token: the account button takes one"
NEEDS_ANOTHER = "orders and bots need another token: the account button takes one"


def test_token_of_the_address_names_the_account_and_leaves_the_address(
    open_page: OpenPage, served: Process
) -> None:
    page = open_page(f"/#token={sign(sub='ann')}")
    expect(page.locator("#account")).to_have_text("ann")
    expect(page.locator("#bots .notice")).to_have_text("no bots of ann")
    assert page.url == f"{served.address}/"
    wait_until(page, lambda: "orders:ann" in watched(served))
    page.evaluate("(token) => { location.hash = `#token=${token}`; }", sign(sub="bob"))
    expect(page.locator("#account")).to_have_text("bob")
    assert page.url == f"{served.address}/"
    page.locator("#account").click()
    page.get_by_role("button", name="No token").click()
    expect(page.get_by_test_id("bot-row")).to_have_count(6)


def test_token_is_typed_and_sent_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#account").press("Enter")
    page.keyboard.type(sign(sub="ann"))
    page.keyboard.press("Enter")
    expect(page.locator("#account")).to_have_text("ann")
    expect(page.locator("#bots .notice")).to_have_text("no bots of ann")


def test_server_that_refuses_gets_no_other_ones_figures_shown(browser: Browser, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        configuration = f"port = {reserved.getsockname()[1]}"
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    with lanecast_process(tmp_path, configuration) as server:
        page.goto(server.address)
        expect(page.get_by_test_id("bot-row")).to_have_count(6)
        expect(page.get_by_test_id("fill-row").first).to_be_visible()
        expect(page.locator("#analytics canvas")).to_be_visible()
    with lanecast_process(tmp_path, f"{configuration}\nsimulator.enabled = false"):
        expect(page.locator("#bots .notice")).to_have_text(NEEDS_TOKEN)
        expect(page.get_by_test_id("bot-row")).to_have_count(0)
        expect(page.get_by_test_id("fill-row")).to_have_count(0)
        expect(page.locator("#analytics canvas")).to_be_hidden()
    page.close()


def test_page_says_what_it_may_not_show(browser: Browser, process: Process) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(process.address)
    expect(page.locator("#account")).to_have_text("sign in")
    expect(page.get_by_text(NEEDS_TOKEN).locator("visible=true")).to_have_count(1)
    page.keyboard.press("5")
    expect(page.locator("#fills .notice")).to_have_text(NEEDS_TOKEN)
    expect(page.get_by_text(NEEDS_TOKEN).locator("visible=true")).to_have_count(1)
    page.keyboard.press("1")
    expect(page.locator("[data-counter=profit]")).to_have_text("\N{EN DASH}")
    expect(page.locator("#hot .notice")).to_have_text("nothing has traded yet")
    page.close()


def test_who_has_signed_in_is_asked_for_another_token_for_what_is_anothers(
    browser: Browser, process: Process
) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{process.address}/?account=bob#token={sign(sub='ann')}")
    expect(page.get_by_text(NEEDS_ANOTHER).locator("visible=true")).to_have_count(1)
    page.locator("#account").evaluate("(button) => { button.firstChild.data = 'not drawn since'; }")
    expect(page.locator("#account")).to_have_text("bob")
    page.close()


def test_operator_sees_the_account_told_of_last_and_chooses_another(
    browser: Browser, process: Process
) -> None:
    for account in ("bob", "ann"):
        process.publish(f"orders:{account}", fill(account))
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{process.address}/#token={make_token(KEYS.operator, 'op')}")
    page.keyboard.press("5")
    expect(page.locator("#account")).to_have_text("ann")
    assert page.url == f"{process.address}/?account=ann#/fills"
    page.locator("#account").click()
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("combobox", name="Account").select_option("bob")
    expect(page.locator("#account")).to_have_text("bob")
    assert page.url == f"{process.address}/?account=bob#/fills"
    wait_until(page, lambda: "orders:bob" in watched(process))
    process.publish("orders:bob", fill("bob-2"))
    expect(page.locator("[data-fill-id=bob-2]")).to_have_count(1)
    page.close()
