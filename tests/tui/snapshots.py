"""Every screen of the console as text, from fixed reports at a fixed time.

`python -m tests.tui.snapshots` writes the files anew; what changed in them is read before it is committed.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.tui.reports import (
    NOON_MS,
    alert,
    channel,
    close,
    connection,
    feed,
    fill,
    health,
    kind,
    lane,
    ledger,
)
from tests.tui.screen import Screen, run
from tui.app import VIEWS
from tui.model import Model

FILES = Path(__file__).parent / "snapshots"
SIZES = ((80, 24), (160, 50))
NOW = NOON_MS / 1_000 + 90
SCREENS: Mapping[str, tuple[str, ...]] = {
    **{view.NAME: (str(number),) for number, view in enumerate(VIEWS, 1)},
    "ledger by client": ("7", "t"),
    "connection": ("2", "enter"),
    "help": ("1", "question_mark"),
}
"""With the keys that lead to each from the one before."""


def render_screens(size: tuple[int, int]) -> dict[str, str]:
    """All screens in a terminal of this size, by name."""
    texts: dict[str, str] = {}

    async def look(screen: Screen) -> None:
        screen.app.now = lambda: NOW  # type: ignore[method-assign]
        report(screen.model)
        for name, keys in SCREENS.items():
            await screen.press(*keys)
            await screen.draw()
            texts[name] = screen.text()

    with _utc():
        run(look, size)
    return texts


def file_of(name: str, size: tuple[int, int]) -> Path:
    return FILES / f"{name.replace(' ', '_')}_{size[0]}x{size[1]}.txt"


def report(model: Model) -> None:
    """A server with something of everything: what is well, what is not, and what is not known."""
    lanes = [lane(lane=name) for name in ("immediate", "high", "normal")]
    lanes.append(lane(lane="low", depth=140, bytes=9_400, peak=210, history=[*range(60)], rate=12.5))
    kinds = [
        kind(),
        kind(kind="trade", lane="normal", threshold_ms=100.0, p99_ms=130.0, state="over", late=9),
        kind(kind="analytics", lane="low", threshold_ms=None, count=0, rate=0.0, p50_ms=None, p99_ms=None),
    ]
    model.set_health(health(time=round(NOW * 1_000), lanes=lanes, kinds=kinds), NOW)
    model.set_alerts([alert(), alert(id=2, name="ladder", severity="warning", cleared=NOON_MS + 40_000)])
    model.set_feeds([feed(), feed(name="kalshi", venue="kalshi", state="stale", age_ms=9_000, gaps=2)])
    names = ("paper", "ann")
    model.set_accounts({"total": 2, "rows": [{"account": name, "active": NOON_MS} for name in names]})
    model.show_account("paper")
    model.set_fills("paper", [fill(), fill(fill="f2", side="sell", price="61840.01", time=NOON_MS + 1_000)])
    rows = [
        connection(),
        connection(id="c2", user="", state="behind", lanes=[0, 1, 20, 300], outbox_bytes=9_000),
    ]
    model.set_connections({"total": 1_204, "rows": rows})
    page: Any = {"client": "c1", "row": rows[0], "ledgers": {"trades:all": ledger()}, "closes": [close()]}
    model.open_connection("c1")
    model.set_connection(page)
    channels = [
        channel(),
        channel(channel="ops:health", lane="high", delivery="latest", offset=None, rate=None),
    ]
    model.set_channels({"total": 2, "rows": channels})
    books: Any = [
        {"market": market, "status": status, "since": NOON_MS, "time": NOON_MS, "bids": 50, "asks": 49}
        for market, status in (("sim.ETHUSDT", "GAP"), ("sim.BTCUSDT", "SYNCED"))
    ]
    model.set_books({"total": 2, "rows": books})
    bot = {"name": "Patient", "market": "sim.BTCUSDT", "status": "active", "cycle": 7, "phase": "take_profit"}
    bot |= {"safety_orders": 2, "safety_orders_max": 6, "average_price": "61837.63", "profit": "-1.25"}
    model.set_map("botstate", "paper", {"bot-1": bot, "bot-2": {"status": "error"}})
    order = {"market": "sim.BTCUSDT", "side": "buy", "price": "61000", "size": "0.5", "time": NOON_MS}
    model.set_map("open_orders", "paper", {"sim.BTCUSDT/o1": {**order, "order": "o1"}})
    lines: Any = [
        {"id": number, "time": NOON_MS, "level": level, "logger": "lanecast.feeds", "message": message}
        for number, (level, message) in enumerate((("info", "binance: live"), ("error", "kalshi: stale")), 1)
    ]
    model.add_logs({"lines": lines})


@contextmanager
def _utc() -> Iterator[None]:
    """Times of day are local ones."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


if __name__ == "__main__":
    for size in SIZES:
        for name, text in render_screens(size).items():
            file_of(name, size).write_text(text)
