"""How the page does at 200 trades/s in Chromium: frames, long tasks, main thread, heap; also throttled.

Chromium is headless and draws in software, on the cores that the server and all else use too. So the main
thread is counted by its own processor time; frames and long tasks count what others take as well.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.server import start_server
from tests.browser import open_browser

TRADES_PER_SECOND = 200
VIEWS = ("overview", "market/sim.BTCUSDT")
SETTLE_SECONDS = 5
SLICE_SECONDS = 30
THROTTLE = 4

WATCH = """() => {
  const seen = window.seen = { frames: 0, long: 0 };
  const count = () => { seen.frames += 1; requestAnimationFrame(count); };
  requestAnimationFrame(count);
  new PerformanceObserver((list) => { seen.long += list.getEntries().length; })
    .observe({ type: "longtask" });
}"""


@dataclass(frozen=True, slots=True)
class Reading:
    """The page's counters at one moment."""

    seconds: float
    frames: int
    long_tasks: int
    busy_seconds: float
    heap_bytes: float


def main() -> None:
    """Print each slice's figures, view by view, and the same with a processor a fourth as fast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.5, help="for each of the measurements")
    slices = max(1, round(parser.parse_args().minutes * 60 / SLICE_SECONDS))
    print(
        f"{TRADES_PER_SECOND} trades/s; wanted: 55 fps (45 throttled), 2 long tasks in 30 s, main thread 35 %"
    )
    with start_server("--set", f"simulator.rate={TRADES_PER_SECOND}") as server, open_browser() as browser:
        for view in VIEWS:
            for throttle in (1, THROTTLE):
                _measure(browser, f"{server.url}/#/{view}", throttle, slices)


def _measure(browser: Browser, url: str, throttle: int, slices: int) -> None:
    print(f"{url.partition('#')[2]}, processor 1/{throttle}")
    with _opened(browser, url, throttle) as (page, session):
        before = _read(page, session)
        for _ in range(slices):
            page.wait_for_timeout(SLICE_SECONDS * 1_000)
            now = _read(page, session)
            print(f"  {_compare(before, now)}", flush=True)
            before = now


@contextmanager
def _opened(browser: Browser, url: str, throttle: int) -> Iterator[tuple[Page, CDPSession]]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url)
    page.wait_for_timeout(SETTLE_SECONDS * 1_000)
    session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    page.evaluate(WATCH)
    yield page, session
    page.close()


def _read(page: Page, session: CDPSession) -> Reading:
    """What counts is live memory: garbage is collected first."""
    session.send("HeapProfiler.collectGarbage")
    figures = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
    seen: dict[str, Any] = page.evaluate("window.seen")
    return Reading(
        time.monotonic(), seen["frames"], seen["long"], figures["TaskDuration"], figures["JSHeapUsedSize"]
    )


def _compare(before: Reading, now: Reading) -> str:
    seconds = now.seconds - before.seconds
    return (
        f"{(now.frames - before.frames) / seconds:5.1f} fps, {now.long_tasks - before.long_tasks} long tasks,"
        f" main thread {(now.busy_seconds - before.busy_seconds) / seconds:.0%},"
        f" heap {now.heap_bytes / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
