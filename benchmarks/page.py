"""How the page does at 200 trades/s in Chromium: frames, long tasks, main thread, heap; also throttled.

Chromium is headless and draws in software, on the cores that the server and all else use too. So an empty
page is measured before and after: it gets the same over its connection and writes one number a frame. What it
does not reach, the machine does not give. Frames are those of the main thread (`requestAnimationFrame`), by
second; the main thread is counted by its own processor time, which others' work makes dearer too.
"""

import argparse
import json
import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.server import start_server
from tests.browser import open_browser

TRADES_PER_SECOND = 200
MARKET = "sim.BTCUSDT"
SHARED = (f"book:{MARKET}", "market:analytics.hour", "botstate:paper", "orders:paper", "open_orders:paper")
VIEWS = {
    "overview": ("trades:all", "market:hot", *SHARED),
    f"market/{MARKET}": (f"trades:{MARKET}", f"ticker:{MARKET}", "market:sparkline", *SHARED),
}
"""What each view is subscribed to, and so the empty page beside it."""
SETTLE_SECONDS = 5
CONTROL_SECONDS = 10
WINDOW_SECONDS = 30
THROTTLE = 4

LISTEN = """(channels) => {
  window.number = document.body.appendChild(document.createTextNode(""));
  const socket = new WebSocket(`ws://${location.host}/connection/websocket`);
  const say = (...commands) => socket.send(commands.map((command) => JSON.stringify(command)).join("\\n"));
  socket.onopen = () => say({ id: 1, connect: {} });
  socket.onmessage = ({ data }) => {
    if (data === "{}") say({});
    else if (data.startsWith('{"id":1,'))
      say(...channels.map((channel, at) => ({ id: 2 + at, subscribe: { channel } })));
  };
}"""

WATCH = """() => {
  const seen = window.seen = { frames: [], long: [] };
  const start = performance.now();
  const count = (now) => {
    if (seen !== window.seen) return;
    const second = Math.max(0, Math.floor((now - start) / 1_000));
    seen.frames[second] = (seen.frames[second] ?? 0) + 1;
    if (window.number) window.number.data = seen.frames[second];
    requestAnimationFrame(count);
  };
  requestAnimationFrame(count);
  window.observer?.disconnect();
  window.observer = new PerformanceObserver((list) => {
    for (const task of list.getEntries()) seen.long.push((task.startTime - start) / 1_000);
  });
  window.observer.observe({ type: "longtask" });
}"""


@dataclass(slots=True)
class Figures:
    """What was seen of one page."""

    seconds: int = 0
    fps: list[int] = field(default_factory=list)
    """By whole second."""
    long_at: list[float] = field(default_factory=list)
    """Seconds from the start, of each task of more than 50 ms."""
    busy_seconds: float = 0.0
    heap_mb: list[float] = field(default_factory=list)
    """Live memory at the end of each part."""

    def frames_text(self) -> str:
        """Frames a second: the median second, and the worst."""
        return f"{median(self.fps):.0f}, worst {min(self.fps)}"

    def row(self, name: str, throttle: int, control: str) -> str:
        heap = " ".join(f"{megabytes:.1f}" for megabytes in self.heap_mb)
        cells = (
            name,
            f"1/{throttle}",
            self.frames_text(),
            control,
            str(most_within(self.long_at, WINDOW_SECONDS)),
            f"{self.busy_seconds / self.seconds:.0%}",
            heap,
            f"{os.getloadavg()[0]:.1f}",
        )
        return f"| {' | '.join(cells)} |"


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most of ascending `times` that lie within any stretch of `seconds`."""
    return max((bisect_left(times, start + seconds) - at for at, start in enumerate(times)), default=0)


def main() -> None:
    """Print each view's figures, and the same with a processor a fourth as fast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=0.5, help="for each of the measurements")
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=list(VIEWS))
    arguments = parser.parse_args()
    third = max(1, round(arguments.minutes * 20))
    print(f"{TRADES_PER_SECOND} trades/s; wanted: 55 fps (45 at 1/{THROTTLE}), 2 long tasks, 35 % busy")
    print("| view | processor | fps | empty page | long tasks in 30 s | main thread | heap MB | load |")
    print("|---|---|---|---|---|---|---|---|")
    with start_server("--set", f"simulator.rate={TRADES_PER_SECOND}") as server, open_browser() as browser:
        for view in arguments.views:
            for throttle in (1, THROTTLE):
                print(_measure(browser, server.url, view, throttle, third), flush=True)


def _measure(browser: Browser, url: str, view: str, throttle: int, third: int) -> str:
    controls = Figures()
    _measure_empty(browser, url, view, throttle, controls)
    figures = Figures()
    with _opened(browser, f"{url}/#/{view}", throttle) as (page, session):
        for _ in range(3):
            _watch(page, session, third, figures)
            session.send("HeapProfiler.collectGarbage")
            figures.heap_mb.append(_metric(session, "JSHeapUsedSize") / 1e6)
    _measure_empty(browser, url, view, throttle, controls)
    return figures.row(view, throttle, controls.frames_text())


def _measure_empty(browser: Browser, url: str, view: str, throttle: int, figures: Figures) -> None:
    with _opened(browser, f"{url}/static/vendor/manifest.json", throttle) as (page, session):
        page.evaluate(LISTEN, VIEWS[view])
        _watch(page, session, CONTROL_SECONDS, figures)


@contextmanager
def _opened(browser: Browser, url: str, throttle: int) -> Iterator[tuple[Page, CDPSession]]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url)
    page.wait_for_timeout(SETTLE_SECONDS * 1_000)
    session.send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    yield page, session
    page.close()


def _watch(page: Page, session: CDPSession, seconds: int, figures: Figures) -> None:
    """Add what is seen in `seconds`."""
    busy = _metric(session, "TaskDuration")
    page.evaluate(WATCH)
    page.wait_for_timeout(seconds * 1_000)
    seen = json.loads(page.evaluate("JSON.stringify(window.seen)"))
    figures.busy_seconds += _metric(session, "TaskDuration") - busy
    figures.fps += [count or 0 for count in seen["frames"][:seconds]]
    figures.long_at += [figures.seconds + at for at in seen["long"]]
    figures.seconds += seconds


def _metric(session: CDPSession, name: str) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == name))


if __name__ == "__main__":
    main()
