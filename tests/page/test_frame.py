"""When the page draws: in one flush a frame, and not at all while nobody looks."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import OpenPage
from tests.page.tab import HIDE_TAB, fill, newest_row, tape_of, wait_until, watched
from tests.process import Process

# Each flush by the number of its frame (two that are late may be given the same time), and what is changed in
# the document outside of all of them. uPlot goes on after its data were set, in a microtask; what observes is
# told before a second one.
WATCH_FRAMES = """async () => {
  const seen = window.seen = { flushes: [], changes: 0, changedOutside: [] };
  const request = window.requestAnimationFrame.bind(window);
  let isInFrame = false;
  let frame = 0;
  const number = () => {
    frame += 1;
    request(number);
  };
  request(number);
  window.requestAnimationFrame = (draw) => request((now) => {
    seen.flushes.push(frame);
    isInFrame = true;
    draw(now);
    queueMicrotask(() => queueMicrotask(() => { isInFrame = false; }));
  });
  // What was asked for before is drawn by then.
  await new Promise(request);
  new MutationObserver((changes) => {
    seen.changes += changes.length;
    if (!isInFrame) seen.changedOutside.push(...changes.map(({ target }) => target.nodeName));
  }).observe(document, { attributes: true, characterData: true, childList: true, subtree: true });
}"""

BEAT = """async (beatMs) => {
  const { Frame } = await import("/static/js/frame.js");
  const frame = new Frame();
  const drawn = [];
  let wanted = 0;
  const panel = { beatMs, isShown: true, draw: (nowMs) => { drawn.push([nowMs, wanted]); } };
  while (wanted < 30) {
    wanted += 1;
    frame.mark(panel);
    await new Promise(requestAnimationFrame);
  }
  while (drawn.at(-1)[1] < wanted) await new Promise(requestAnimationFrame);
  return drawn.map(([nowMs]) => Math.floor(nowMs / beatMs));
}"""

# Panels that each take longer than a frame has for all of them: when each was drawn.
SPEND = """async () => {
  const { Frame } = await import("/static/js/frame.js");
  const frame = new Frame();
  const drawn = [];
  const panelOf = (name) => ({ beatMs: 1, isShown: true, draw: () => {
    const startMs = performance.now();
    while (performance.now() < startMs + 10);
    drawn.push([name, startMs, performance.now()]);
  } });
  const [first, second, urgent] = ["first", "second", "urgent"].map(panelOf);
  frame.mark(first);
  frame.mark(second);
  frame.mark(urgent, true);
  while (drawn.length < 3) await new Promise(requestAnimationFrame);
  return drawn;
}"""

# A panel that is drawn twice; while it is drawn first, the machine sleeps for an hour.
SLEEP = """async () => {
  const { Frame } = await import("/static/js/frame.js");
  const now = performance.now.bind(performance);
  const frame = new Frame();
  let drawn = 0;
  const panel = { beatMs: 1, isShown: true, draw: () => {
    if (!drawn++) performance.now = () => now() + 3_600_000;
  } };
  const endMs = now() + 10_000;
  for (const count of [1, 2]) {
    frame.mark(panel);
    while (drawn < count && now() < endMs) await new Promise(requestAnimationFrame);
  }
  performance.now = now;
  return drawn;
}"""

REMOVE_FIRST = """async () => {
  const { Rows } = await import("/static/js/rows.js");
  const body = document.createElement("tbody");
  const rows = new Rows(body, () => ({ element: document.createElement("tr") }), () => {});
  rows.draw([1, 2, 3, 4], String);
  const observer = new MutationObserver(() => {});
  observer.observe(body, { childList: true });
  rows.draw([2, 3, 4], String);
  return observer.takeRecords().map((change) => [change.addedNodes.length, change.removedNodes.length]);
}"""


def seen(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("window.seen")
    return found


@pytest.mark.parametrize("view", ["overview", "market/sim.BTCUSDT"])
def test_whatever_comes_is_drawn_in_one_flush_a_frame(open_page: OpenPage, view: str) -> None:
    page = open_page(f"/#/{view}")
    expect(tape_of(page).get_by_test_id("tape-row").locator("visible=true").first).to_be_visible()
    page.evaluate(WATCH_FRAMES)
    first = newest_row(page)
    wait_until(page, lambda: newest_row(page) >= first + 8)
    frames = seen(page)
    assert len(set(frames["flushes"])) == len(frames["flushes"]) > 1
    assert frames["changes"] > len(frames["flushes"])
    assert frames["changedOutside"] == []


def test_hidden_page_changes_nothing_while_others_are_told(page: Page, served: Process) -> None:
    wait_until(page, lambda: watched(served) >= {"trades:all"})
    page.evaluate(WATCH_FRAMES)
    page.evaluate(HIDE_TAB, True)
    wait_until(page, lambda: watched(served) == set())
    before = seen(page)["changes"]
    top = top_offset(served)
    wait_until(page, lambda: top_offset(served) >= top + 20)
    assert seen(page)["changes"] == before
    page.evaluate(HIDE_TAB, False)
    wait_until(page, lambda: seen(page)["changes"] > before)


def top_offset(server: Process) -> int:
    return int(server.api("history", channel="trades:all", limit=0)["offset"])


@pytest.mark.parametrize("beat_ms", [1, 200])
def test_panel_is_drawn_once_a_beat_and_the_last_change_too(laboratory: Page, beat_ms: int) -> None:
    beats = laboratory.evaluate(BEAT, beat_ms)
    assert len(set(beats)) == len(beats)


def test_what_a_frame_has_no_time_for_waits_longer_than_that_took_but_for_the_urgent(
    laboratory: Page,
) -> None:
    first, urgent, second = laboratory.evaluate(SPEND)
    assert [first[0], urgent[0], second[0]] == ["first", "urgent", "second"]
    assert second[1] - urgent[2] > urgent[2] - first[1]


def test_page_that_slept_while_it_drew_rests_no_longer_for_it(laboratory: Page) -> None:
    assert laboratory.evaluate(SLEEP) == 2


def test_row_that_goes_moves_no_other(laboratory: Page) -> None:
    assert laboratory.evaluate(REMOVE_FIRST) == [[0, 1]]


def test_long_list_holds_what_is_in_reach_and_the_rest_as_one_scrolls(
    open_page: OpenPage, served: Process
) -> None:
    page = open_page("/#/fills", height=700)
    for number in range(60):
        served.publish("orders:paper", fill(f"long-{number}"))
    expect(page.locator("[data-fill-id=long-59]")).to_be_attached()
    rows = page.locator("#fills").get_by_test_id("fill-row")
    assert rows.count() < 50
    wait_until(page, lambda: scrolled_to_end(page) and page.locator("[data-fill-id=long-0]").count() == 1)


def scrolled_to_end(page: Page) -> bool:
    page.locator("#fills .scroll").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
    return True
