"""What stands above the page: to operators the alerts, to everybody what is wrong with what they see."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from monitor.serve.tokens import make_token
from tests.process import Process, lanecast_process
from tests.serve.running import KEYS, sign

NO_VENUE = """
port = 0
drain_seconds = 0
[feeds.binance]
symbols = ["BTCUSDT"]
url = "ws://127.0.0.1:1"
rest_url = "http://127.0.0.1:1"
"""
ACKNOWLEDGE = """async (token) => {
  const operator = new Centrifuge(`ws://${location.host}/connection/websocket`, { token });
  operator.connect();
  const subscription = operator.newSubscription("ops:alerts");
  const told = new Promise((tell) => subscription.on("subscribed", ({ data }) => tell(data)));
  subscription.subscribe();
  const active = (await told).alerts.filter(({ cleared }) => !cleared);
  for (const { id } of active) await operator.rpc("ops.alerts.ack", { id });
  operator.disconnect();
}"""
DRAW_BANNER = """async ([link, times]) => {
  const { BannerPanel } = await import("/static/js/panels/banner.js");
  const page = { link, screen: { observe() {} }, frame: { mark() {} } };
  const banner = new BannerPanel(document.createElement("p"), page);
  return times.map((nowMs) => (banner.draw(nowMs), banner.element.textContent));
}"""
WELL = {
    "state": "connected",
    "cuts": [],
    "ladder": None,
    "delivery": {"ms": 1.0, "errorMs": 1.0},
    "deliveries": ["1"],
    "watched": [],
    "isOperator": False,
}
GIVE_LESS = """async (token) => {
  const operator = new Centrifuge(`ws://${location.host}/connection/websocket`, { token });
  operator.connect();
  await operator.ready();
  const { data } = await operator.rpc("ops.connections", { filter: "page" });
  for (const { id } of data.rows) await operator.rpc("ops.ladder", { client: id, step: 4 });
  operator.disconnect();
}"""
BOOK = {"status": "SYNCED", "since": 1, "time": 1, "bids": {"1": "1"}, "asks": {"2": "1"}}
CLOCK = r"\d\d:\d\d:\d\d"


def test_operator_sees_alerts_until_they_are_acknowledged_and_other_viewers_what_is_not_heard(
    browser: Browser, tmp_path: Path
) -> None:
    token = make_token(KEYS.operator, "op")
    operator, ann = browser.new_page(), browser.new_page()
    with lanecast_process(tmp_path, NO_VENUE) as server:
        operator.goto(f"{server.address}/#token={token}")
        ann.goto(f"{server.address}/#token={sign(sub='ann')}")
        alert = re.compile(rf"^critical since {CLOCK}: binance: not connected, ")
        expect(operator.get_by_test_id("banner")).to_have_text(alert, timeout=20_000)
        assert Axe().run(operator).response["violations"] == []
        expect(ann.get_by_test_id("connection")).to_have_text("connected")
        lost = re.compile(rf"^binance: not connected since {CLOCK}$")
        for place in ("#banner", "#tape .notice", "#hot .notice"):
            expect(ann.locator(place)).to_have_text(lost)
        operator.evaluate(ACKNOWLEDGE, token)
        expect(operator.get_by_test_id("banner")).to_be_empty()
    lost = re.compile(rf"^not connected since {CLOCK}, .+: what you see is from before$")
    expect(ann.get_by_test_id("banner")).to_have_text(lost)
    operator.close()
    ann.close()


def test_book_that_is_not_to_be_trusted_is_said_until_it_is_whole_again(
    browser: Browser, process: Process
) -> None:
    page = browser.new_page()
    page.goto(f"{process.address}/#/market/sim.TORN")
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    process.publish("book:sim.TORN", BOOK)
    expect(page.get_by_test_id("book-badge")).to_contain_text("SYNCED")
    process.publish("book:sim.TORN", {"status": "GAP"})
    torn = re.compile(rf"^book of sim\.TORN: GAP since {CLOCK}, not to be trusted$")
    expect(page.get_by_test_id("banner")).to_have_text(torn)
    process.publish("book:sim.TORN", {"status": "SYNCED"})
    expect(page.get_by_test_id("banner")).to_be_empty()
    page.close()


def test_client_that_is_given_less_is_told_so_in_words(browser: Browser, process: Process) -> None:
    page = browser.new_page()
    page.goto(f"{process.address}/#/status")
    expect(page.get_by_test_id("connection")).to_have_text("connected")
    page.evaluate(GIVE_LESS, make_token(KEYS.operator, "op"))
    expect(page.get_by_test_id("banner")).to_have_text(
        "this page reads too slowly and is given less: once a second"
    )
    expect(page.locator("[data-status-part=ladder]")).to_have_text("step 4: once a second")
    page.close()


def test_trouble_that_is_over_before_it_can_be_read_is_not_shown(laboratory: Page) -> None:
    lost = {"state": "connecting", "cuts": [{"sinceMs": 0, "untilMs": None, "reason": "no pong"}]}
    before, after = laboratory.evaluate(DRAW_BANNER, [{**WELL, **lost}, [0, 2_000]])
    assert before == ""
    assert re.fullmatch(rf"not connected since {CLOCK}, no pong: what you see is from before", after)


@pytest.mark.parametrize(
    ("deliveries", "said"),
    [
        (["1500", "1500", "1500"], "what you see comes late: 1.5 s ± 20 ms after its publication"),
        (["20", "1500", "1500"], ""),
        (["1500", "1500"], ""),
        (["20", "20", "20"], ""),
    ],
)
def test_late_deliveries_are_said_and_a_single_late_one_is_not(
    laboratory: Page, deliveries: list[str], said: str
) -> None:
    link = {**WELL, "delivery": {"ms": 1_500, "errorMs": 20}, "deliveries": deliveries}
    assert laboratory.evaluate(DRAW_BANNER, [link, [0, 2_000]]) == ["", said]


def test_lateness_from_before_a_cut_is_no_trouble_of_the_line_that_followed(laboratory: Page) -> None:
    link = {**WELL, "delivery": None, "deliveries": ["1500", "1500", "1500"]}
    assert laboratory.evaluate(DRAW_BANNER, [link, [0, 2_000]]) == ["", ""]


def test_many_troubles_are_counted_beyond_four(laboratory: Page) -> None:
    books = [
        {"name": f"book:sim.M{at}", "isLive": True, "state": {"status": "STALE", "since": 0}}
        for at in range(7)
    ]
    _, shown = laboratory.evaluate(DRAW_BANNER, [{**WELL, "watched": books}, [0, 2_000]])
    first, *_, last = shown.split("\n")
    assert re.fullmatch(rf"book of sim\.M0: STALE since {CLOCK}, not to be trusted", first)
    assert (shown.count("\n"), last) == (4, "3 more")
