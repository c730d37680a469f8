"""How many messages a second become market state, without sockets: `python -m benchmarks.ingest`.

The recorded Binance session goes through decoding, book sync and market state as fast as it can,
in one thread. What a stage costs is the difference between a run with it and one without. The
cost of single messages is taken in runs of their own, so that the clock is not in the rate.
"""

import argparse
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from monitor.events import BookDelta, BookSnapshot, BookStatus, Event
from monitor.feeds.binance import VENUE, BinanceDialect, read_levels
from monitor.feeds.book_sync import BookSync, Update
from monitor.health.feeds import FeedHealth
from monitor.market.state import MarketState
from monitor.storage.tape import read_rest, read_tape

CAPTURE = Path(__file__).parents[2] / "shared/captures/binance/spot_btcusdt_20240808.jsonl.gz"
SYMBOL = "BTCUSDT"
TARGET_PER_SECOND = 25_000
TARGET_MESSAGE_MS = 1.0

Sink = Callable[[Event], object]


@dataclass(frozen=True, slots=True)
class Session:
    """The messages in order, and the REST snapshot that came after the first `before` of them."""

    messages: list[str]
    snapshot: dict[str, list[list[str]]]
    update_id: int
    before: int


def read_session(path: Path) -> Session:
    lines = [line for line in read_tape(path) if line.is_inbound]
    rest = next(read_rest(path))
    body = orjson.loads(rest.raw)
    before = sum((line.seconds or 0) <= (rest.seconds or 0) for line in lines)
    return Session([line.raw for line in lines], body, body["lastUpdateId"], before)


class Pipeline:
    """A fresh dialect and state, fed message by message."""

    def __init__(self, session: Session, sink: Sink | None = None) -> None:
        self.state = MarketState(lambda channel: 100)
        self._now_ms = time.time_ns() // 1_000_000
        self._session = session
        self._sink = sink or self._apply
        self._dialect = BinanceDialect([SYMBOL], FeedHealth("binance", VENUE))
        self._deliver(self._dialect.connect())

    def run(self) -> None:
        """The whole session at once."""
        receive, deliver, before = self._dialect.receive, self._deliver, self._session.before
        for message in self._session.messages[:before]:
            deliver(receive(message, 0))
        self.restore()
        for message in self._session.messages[before:]:
            deliver(receive(message, 0))

    def costs_ns(self) -> list[int]:
        """The whole session again, each message with its time."""
        costs = []
        for number, message in enumerate(self._session.messages):
            if number == self._session.before:
                self.restore()
            started = time.thread_time_ns()
            self._deliver(self._dialect.receive(message, 0))
            costs.append(time.thread_time_ns() - started)
        return costs

    def restore(self) -> None:
        bids, asks = (read_levels(self._session.snapshot[side]) for side in ("bids", "asks"))
        self._deliver(self._dialect.restore(SYMBOL, self._session.update_id, bids, asks))

    def _apply(self, event: Event) -> None:
        self.state.apply(event, self._now_ms)

    def _deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            self._sink(event)


def read_updates(session: Session) -> list[Update]:
    """The session's depth messages, decoded."""
    updates = []
    for message in session.messages:
        data = orjson.loads(message)["data"]
        if data.get("e") == "depthUpdate":
            bids, asks = read_levels(data["b"]), read_levels(data["a"])
            updates.append(Update(data["U"], data["u"], BookDelta(VENUE, SYMBOL, bids, asks, data["E"])))
    return updates


def sync(session: Session, updates: list[Update]) -> None:
    book = BookSync(VENUE, SYMBOL)
    book.restore(session.update_id, BookSnapshot(VENUE, SYMBOL, [], [], 0))
    for update in updates:
        book.apply(update)
    assert book.status is BookStatus.SYNCED


def timed(work: Callable[[], object]) -> float:
    """Seconds of CPU, the collector run before."""
    gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def print_stages(session: Session, repeats: int) -> None:
    updates = read_updates(session)
    full = [timed(Pipeline(session).run) for _ in range(repeats)]
    received = [timed(Pipeline(session, lambda event: None).run) for _ in range(repeats)]
    synced = [timed(lambda: sync(session, updates)) for _ in range(repeats)]
    total, receiving, syncing = median(full), median(received), median(synced)
    stages = {"decode": receiving - syncing, "sync": syncing, "state": total - receiving}
    count = len(session.messages)
    print(f"{count:,} messages, {repeats} repeats, seconds of CPU")
    print(f"{'stage':<8}{'s':>8}{'µs/message':>12}{'share':>8}")
    for stage, seconds in (stages | {"total": total}).items():
        print(f"{stage:<8}{seconds:>8.3f}{seconds / count * 1e6:>12.2f}{seconds / total:>8.0%}")
    low, middle, high = (count / seconds for seconds in (max(full), total, min(full)))
    print(f"{middle:,.0f} messages/s (median; {low:,.0f} to {high:,.0f}), target {TARGET_PER_SECOND:,}")


def print_costs(session: Session, repeats: int) -> None:
    """p99 and worst of one message, CPU; the least of its repeats is what it costs undisturbed."""
    runs = [Pipeline(session).costs_ns() for _ in range(repeats)]
    seen = sorted(cost for run in runs for cost in run)
    undisturbed = sorted(map(min, zip(*runs, strict=True)))
    print(f"\n{'one message, ms':<20}{'p50':>8}{'p99':>8}{'worst':>8}   target worst {TARGET_MESSAGE_MS:g}")
    for name, costs in (("as seen", seen), ("undisturbed", undisturbed)):
        figures = (costs[len(costs) // 2], costs[len(costs) * 99 // 100], costs[-1])
        print(f"{name:<20}" + "".join(f"{figure / 1e6:>8.3f}" for figure in figures))


def print_looks(session: Session, repeats: int) -> None:
    """What a watched book costs, at most ten times a second, and a new snapshot."""
    pipeline = Pipeline(session)
    pipeline.run()
    view = pipeline.state.view(f"book:{VENUE}.{SYMBOL}")
    assert view is not None
    bids = read_levels(session.snapshot["bids"])[:10]
    costs = []
    for number in range(100 * repeats):
        changed = [(price, size + number) for price, size in bids]
        pipeline.state.apply(BookDelta(VENUE, SYMBOL, changed, [], number), 0)
        started = time.thread_time_ns()
        view.changes()
        costs.append(time.thread_time_ns() - started)
    count = sum(len(session.snapshot[side]) for side in ("bids", "asks"))
    print(f"\nchanges of a watched book: {median(costs) / 1e3:.0f} µs; ", end="")
    print(f"snapshot of {count:,} levels: {timed(pipeline.restore) * 1e3:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--capture", type=Path, default=CAPTURE)
    options = parser.parse_args()
    session = read_session(options.capture)
    print_stages(session, options.repeats)
    print_costs(session, options.repeats)
    print_looks(session, options.repeats)


if __name__ == "__main__":
    main()
