"""The demonstration venue as a pure function of a seed, a rate and a start.

Everything that will happen waits in one agenda by time, so what comes out does not depend on
how often or how late anybody asks: the same seed gives the same events.
"""

from bisect import bisect
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import accumulate
from math import exp, log
from random import Random

from monitor.events import Event, OrdersListed, Turnover
from monitor.feeds.simulator.bot import PaperBot
from monitor.feeds.simulator.catalogue import ACCOUNT, BOTS, MARKETS, VENUE
from monitor.feeds.simulator.market import SimulatedMarket

USUAL_RATE = 20.0
"""Trades a second at which bots rest as long as their makers meant."""
_TICK_MS = 100
"""Changed books are told at this pace; a venue's own is the same."""
_MOOD_MS = 10_000
_FIRST_ORDER_MS = 300
_BOT_APART_MS = 350
_PAST_STEP_MS = 15_000
_PAST_STEPS = 20
_PAST_TRADES = 1_200
_PAST_BUCKETS = ((60, 60), (3_600, 24))
"""(seconds, how many) of the turnovers told at the start: an hour by minutes, a day by hours."""

Action = Callable[[int], Iterator[Event]]


class Simulation:
    """60 markets and 6 bots; `history()` once, then `advance()` as time passes.

    rate: trades per second on average, over all markets. start_ms: milliseconds since 1970.
    """

    def __init__(self, seed: int, rate: float, start_ms: int) -> None:
        self._random = Random(seed)
        self._rate = rate
        self._now_ms = float(start_ms)
        self._serial = 0
        self._agenda: list[tuple[float, int, Action]] = []
        self._markets = [SimulatedMarket(spec, self._random) for spec in MARKETS]
        self._heat = [0.0] * len(MARKETS)
        self._shares: list[float] = []
        self._bots = self._hire(f"{start_ms:x}")
        self._weigh()

    @property
    def next_due_ms(self) -> float:
        """When the next thing happens."""
        return self._agenda[0][0]

    def history(self) -> Iterator[Event]:
        """What was before the start: listings, a day of turnovers, five minutes of trades, the books.

        Of orders nothing was: those of an earlier life ended with it.
        """
        now_ms = int(self._now_ms)
        yield OrdersListed(VENUE, ACCOUNT, frozenset())
        for market in self._markets:
            yield market.listing()
        yield from self._past_turnovers(now_ms)
        yield from self._past_trades(now_ms)
        for market in self._markets:
            market.open_book()
            yield market.snapshot(now_ms)
            yield market.ticker(now_ms)
        for number, bot in enumerate(self._bots.values()):
            yield from bot.create(now_ms)
            self._later(_FIRST_ORDER_MS + number * _BOT_APART_MS, bot.start)
        self._later(0, self._trade)
        self._later(_TICK_MS, self._tick)
        self._later(_MOOD_MS, self._change_mood)

    def advance(self, until_ms: int) -> Iterator[Event]:
        """All that happens up to `until_ms`, in order of time."""
        while self._agenda[0][0] <= until_ms:
            due_ms, _, action = heappop(self._agenda)
            self._now_ms = due_ms
            yield from action(int(due_ms))

    def skip_to(self, now_ms: int) -> None:
        """Let what is due before `now_ms` happen then, once: time that was slept through held nothing."""
        if self._agenda[0][0] < now_ms:
            self._agenda = [(max(due_ms, now_ms), serial, act) for due_ms, serial, act in self._agenda]
            heapify(self._agenda)

    def _hire(self, run_id: str) -> dict[str, PaperBot]:
        by_name = {market.spec.market: market for market in self._markets}
        pace = self._rate / USUAL_RATE
        return {
            spec.market: PaperBot(spec, by_name[spec.market], self._random, self._later, pace, run_id)
            for spec in BOTS
        }

    def _later(self, delay_ms: float, action: Action) -> None:
        self._serial += 1
        heappush(self._agenda, (self._now_ms + delay_ms, self._serial, action))

    def _pick(self) -> SimulatedMarket:
        return self._markets[bisect(self._shares, self._random.random() * self._shares[-1])]

    def _trade(self, now_ms: int) -> Iterator[Event]:
        self._later(self._random.expovariate(self._rate) * 1_000, self._trade)
        market = self._pick()
        trade = market.trade(now_ms)
        yield trade
        if bot := self._bots.get(market.spec.market):
            yield from bot.on_trade(trade)

    def _tick(self, now_ms: int) -> Iterator[Event]:
        self._later(_TICK_MS, self._tick)
        for _ in range(min(20, 2 + int(self._rate / 20))):
            self._random.choice(self._markets).churn()
        for market in self._markets:
            if market.is_changed:
                yield market.delta(now_ms)
                yield market.ticker(now_ms)

    def _change_mood(self, now_ms: int) -> Iterator[Event]:
        """Interest comes and goes, and now and then there is news of one market."""
        self._later(_MOOD_MS, self._change_mood)
        self._heat = [0.97 * heat + self._random.gauss(0, 0.15) for heat in self._heat]
        if self._random.random() < 0.25:
            self._heat[self._random.randrange(len(self._heat))] += log(8)
        self._weigh()
        yield from ()

    def _weigh(self) -> None:
        shares = (
            market.spec.share * exp(heat) for market, heat in zip(self._markets, self._heat, strict=True)
        )
        self._shares = list(accumulate(shares))

    def _past_trades(self, now_ms: int) -> Iterator[Event]:
        for step in range(_PAST_STEPS, 0, -1):
            for _ in range(_PAST_TRADES // _PAST_STEPS):
                yield self._pick().past_trade(now_ms - step * _PAST_STEP_MS)

    def _past_turnovers(self, now_ms: int) -> Iterator[Event]:
        for market in self._markets:
            for bucket_seconds, count in _PAST_BUCKETS:
                bucket_ms = bucket_seconds * 1_000
                start_ms = now_ms - now_ms % bucket_ms
                for age in range(count - 1, 0, -1):
                    yield self._turnover(market, start_ms - age * bucket_ms, bucket_seconds, bucket_seconds)
                yield self._turnover(market, start_ms, bucket_seconds, (now_ms - start_ms) / 1_000)

    def _turnover(
        self, market: SimulatedMarket, start_ms: int, bucket_seconds: int, traded_seconds: float
    ) -> Turnover:
        spec = market.spec
        expected = self._rate * traded_seconds * spec.share / self._shares[-1]
        trades = max(0, round(self._random.gauss(expected, 0.25 * expected + expected**0.5)))
        value = int(trades * spec.price * spec.typical_size * self._random.uniform(0.15, 0.3))
        buys = round(trades * self._random.uniform(0.4, 0.6))
        return Turnover(VENUE, spec.market, start_ms, bucket_seconds, trades, buys, value)
