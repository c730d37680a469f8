"""What the page outlives: a restart, an expired token, sleep, a deep book, many markets."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, WebSocket, expect

from tests.page.conftest import OpenPage
from tests.page.tab import newest_row, wait_until, watched
from tests.process import Process, lanecast_process
from tests.serve.running import sign

BACK_MS = 5_000
"""From a server that answers to a page that is connected, whatever the dice say."""
DICE = (0, 0.999)
"""What pages get that wait the shortest and the longest."""
DESK: ViewportSize = {"width": 1440, "height": 900}
SHORT_HISTORY = """
port = 0
simulator.enabled = false
[limits]
ping_seconds = 2
pong_seconds = 1
[namespaces.trades]
gather = true
history_size = 10
"""
WITHOUT_SIMULATOR = "port = 0\nsimulator.enabled = false"
KEEP_CLIENT = """Object.defineProperty(window, "Centrifuge", {
  configurable: true,
  set(Client) {
    class Kept extends Client { constructor(...options) { super(...options); window.kept = this; } }
    Object.defineProperty(window, "Centrifuge", { value: Kept });
  },
});"""
KEEP_TOKEN = """(token) => sessionStorage.setItem("lanecast.token", token)"""


def trade(number: int) -> dict[str, object]:
    told = {"market": "sim.A", "id": str(number), "side": "buy", "time": 1}
    return {**told, "price": f"{number}.5", "size": "1"}


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Stop processes as a closed lid does."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def renderers(browser: Browser) -> list[int]:
    """The processes that the browser's pages run in."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return [process["id"] for process in processes if process["type"] == "renderer"]


def attempts_of(page: Page) -> list[WebSocket]:
    """Each time that the page tries to connect, as it happens."""
    attempts: list[WebSocket] = []

    def note(attempt: WebSocket) -> None:
        attempts.append(attempt)

    page.on("websocket", note)
    return attempts


def test_restarted_server_is_found_again_in_five_seconds_by_pages_that_did_not_wait_alike(
    browser: Browser, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        configuration = f"port = {reserved.getsockname()[1]}\ndrain_seconds = 0"
    pages = [browser.new_page(viewport=DESK) for _ in DICE]
    eager, patient = (attempts_of(page) for page in pages)
    with lanecast_process(tmp_path, configuration) as server:
        for page, dice in zip(pages, DICE, strict=True):
            page.add_init_script(f"Math.random = () => {dice}")
            page.goto(server.address)
            expect(page.get_by_test_id("book-badge")).to_contain_text("SYNCED")
    expect(page.get_by_test_id("connection")).to_have_text(re.compile(r"^connecting · .*\d+ failed$"))
    expect(page.get_by_test_id("book-badge")).to_contain_text("STALE")
    gap = page.locator("#tape .gap")
    expect(gap).to_have_text(re.compile(r"^behind since \d\d:\d\d:\d\d$"))
    wait_until(page, lambda: len(eager) > 12)
    assert len(patient) < len(eager) / 2
    before = newest_row(page)
    with lanecast_process(tmp_path, configuration):
        for each in reversed(pages):
            expect(each.get_by_test_id("connection")).to_have_text("connected", timeout=BACK_MS)
        wait_until(page, lambda: newest_row(page) > before)
        expect(page.get_by_test_id("book-badge")).to_contain_text("SYNCED")
        expect(gap).to_have_text(re.compile(r"^\d\d:\d\d:\d\d to \d\d:\d\d:\d\d not received$"))
        expect(page.locator("#book .gap")).to_have_text("")
    for page in pages:
        page.close()


def test_expired_token_is_said_and_another_one_goes_on(open_page: OpenPage) -> None:
    page = open_page()
    page.evaluate(KEEP_TOKEN, sign(sub="ann", exp=int(time.time()) + 5))
    page.reload()
    connection = page.get_by_test_id("connection")
    expect(connection).to_have_text("token expired or refused · give another")
    expect(page.get_by_test_id("banner")).to_have_text(
        re.compile("^not connected since .+, token expired or refused: what you see is from before$")
    )
    connection.click()
    page.keyboard.type(sign(sub="ann", exp=int(time.time()) + 600))
    page.keyboard.press("Enter")
    expect(connection).to_have_text("connected")
    expect(page.locator("#account")).to_have_text("ann")
    expect(page.get_by_test_id("banner")).to_be_empty()


def test_token_that_is_none_is_said_and_nothing_else_is_claimed(open_page: OpenPage) -> None:
    page = open_page()
    page.evaluate(KEEP_TOKEN, "garbage")
    page.reload()
    connection = page.get_by_test_id("connection")
    expect(connection).to_have_text("token expired or refused · give another")
    expect(page.locator("#account")).to_have_text("sign in")
    assert set(page.locator(".notice").all_inner_texts()) == {""}
    connection.click()
    page.get_by_role("button", name="No token").click()
    expect(connection).to_have_text("connected")
    expect(page.locator("#account")).to_have_text("paper")


def test_page_that_slept_catches_up_and_says_what_is_gone(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport=DESK)
    with lanecast_process(tmp_path, SHORT_HISTORY) as server:
        page.goto(server.address)
        wait_until(page, lambda: {"trades:all", "market:analytics.hour"} <= watched(server))
        server.publish("trades:all", trade(0))
        expect(page.get_by_test_id("tape-row").locator("visible=true")).to_have_count(1)
        with stopped(*renderers(browser)):
            while watched(server):
                time.sleep(0.1)
            for number in range(1, 31):
                server.publish("trades:all", trade(number))
            server.publish(
                "market:hot", {"markets": {"sim.A": {"price": "30.5", "volume": "1", "trades": 30}}}
            )
        expect(page.get_by_test_id("connection")).to_have_text("connected")
        expect(page.get_by_test_id("tape")).to_contain_text("30.5")
        expect(page.get_by_test_id("tape")).to_contain_text("20 not received")
        expect(page.locator("#tape .gap")).to_have_text(
            re.compile(r"^\d\d:\d\d:\d\d to \d\d:\d\d:\d\d not received$")
        )
        expect(page.get_by_test_id("hot-row")).to_contain_text("30.5")
        page.keyboard.press("6")
        expect(page.get_by_test_id("cut-row").locator(".reason")).to_have_text("no pong")
    page.close()


def test_clock_set_back_stops_no_probe(page: Page) -> None:
    probes: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda sent: probes.append(str(sent))))
    page.reload()
    wait_until(page, lambda: any('"me"' in sent for sent in probes))
    probes.clear()
    page.evaluate("() => { const now = Date.now; Date.now = () => now() - 3_600_000; }")
    wait_until(page, lambda: any('"me"' in sent for sent in probes))


def test_line_that_died_without_a_word_is_given_up(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(viewport=DESK)
    connection = page.get_by_test_id("connection")
    with lanecast_process(tmp_path, WITHOUT_SIMULATOR) as server:
        page.goto(f"{server.address}/#/status")
        expect(connection).to_have_text("connected")
        with stopped(server.pid):
            expect(connection).to_have_text(re.compile("^connecting"))
        expect(connection).to_have_text("connected")
        expect(page.get_by_test_id("cut-row").locator(".reason")).to_have_text("no answer")
    page.close()


def test_book_of_a_thousand_levels_a_side_shows_the_best_of_them(browser: Browser, process: Process) -> None:
    page = browser.new_page(viewport=DESK)
    page.goto(f"{process.address}/#/market/sim.DEEP")
    wait_until(page, lambda: "book:sim.DEEP" in watched(process))
    bids = {f"{100 - level / 100:.2f}": "1" for level in range(1, 1_001)}
    asks = {f"{100 + level / 100:.2f}": "1" for level in range(1, 1_001)}
    process.publish("book:sim.DEEP", {"status": "SYNCED", "since": 1, "time": 1, "bids": bids, "asks": asks})
    best = page.locator("#book .bids .price").first
    expect(best).to_have_text("99.99")
    process.publish("book:sim.DEEP", {"bids": dict.fromkeys(list(bids)[:900]), "asks": {"100.00": "2"}})
    expect(best).to_have_text("90.99")
    expect(page.locator("#book .asks .price").first).to_have_text("100.00")
    assert 0 < page.locator("#book .bids li").locator("visible=true").count() <= 50
    page.close()


def test_of_five_hundred_markets_a_page_keeps_no_more_than_it_shows_and_the_last_few(
    browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport=DESK)
    page.add_init_script(KEEP_CLIENT)
    with lanecast_process(tmp_path, WITHOUT_SIMULATOR) as server:
        page.goto(server.address)
        expect(page.get_by_test_id("connection")).to_have_text("connected")
        server.publish("market:sparkline", {"points": {f"sim.M{at:03}": ["1", "2"] for at in range(500)}})
        page.keyboard.press("/")
        expect(page.get_by_role("option")).to_have_count(50)
        page.keyboard.type("m499")
        expect(page.get_by_role("option")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(page.locator("#quote-title")).to_have_text("M499")
        sizes = [size_after(page, server, range(at, at + 12)) for at in (0, 12, 24)]
        assert {name for name in watched(server) if name.endswith(".M035")} == OF_A_MARKET
        assert len([name for name in watched(server) if ".M" in name]) == len(OF_A_MARKET)
        assert page.evaluate("Object.keys(kept.subscriptions()).length") <= 16 + 7
        assert sizes[2] <= sizes[1] * 1.1
    page.close()


OF_A_MARKET = {f"{kind}:sim.M035" for kind in ("ticker", "book", "trades")}


def size_after(page: Page, server: Process, markets: range) -> int:
    """How many nodes and listeners the page holds, swept, once it has shown these markets."""
    for at in markets:
        page.evaluate("(market) => { location.hash = `#/market/${market}`; }", f"sim.M{at:03}")
        expect(page.locator("#quote-title")).to_have_text(f"M{at:03}")
        wait_until(page, lambda at=at: f"book:sim.M{at:03}" in watched(server))  # type: ignore[misc]
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.collectGarbage")
    devtools.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    return int(metrics["Nodes"] + metrics["JSEventListeners"])
