"""What stands above the page: to operators the alerts, to everybody what is wrong with what they see."""

import re
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

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
BOOK = {"status": "SYNCED", "since": 1, "time": 1, "bids": {"1": "1"}, "asks": {"2": "1"}}
CLOCK = r"\d\d:\d\d:\d\d"


def test_operator_sees_alerts_until_they_are_acknowledged_and_no_other_viewer_does(
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
        expect(ann.get_by_test_id("banner")).to_be_empty()
        assert server.api("channels")["channels"]["ops:alerts"]["num_clients"] == 1
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
    torn = re.compile(rf"^book of TORN: GAP since {CLOCK}, not to be trusted$")
    expect(page.get_by_test_id("banner")).to_have_text(torn)
    process.publish("book:sim.TORN", {"status": "SYNCED"})
    expect(page.get_by_test_id("banner")).to_be_empty()
    page.close()
