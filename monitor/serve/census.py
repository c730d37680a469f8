"""What takes a walk over everybody to know: each channel's rate, and its ledger summed over its clients.

Nobody keeps these as things happen, since that would cost every fan-out. A walk goes in slices, and
only while an operator looks; however many clients there are, it takes a hundredth of the time at most.
"""

from collections.abc import Callable, Generator, Iterable

from monitor.broadcast.channel import Channel
from monitor.broadcast.ledger import Ledger
from monitor.health.rates import NS_PER_SECOND
from monitor.serve.session import Session

READ_NS = NS_PER_SECOND
"""At least so much lies between two readings of the channels' counters."""
FORGOTTEN_NS = 60 * NS_PER_SECOND
"""Between two readings that lie further apart, how fast it was is no rate of now."""
REST_FACTOR = 100
"""After a walk, so many times as long as it took, the sums stay as they are."""


class Census:
    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self.rates: dict[str, float] = {}
        """Publications a second, by channel; of those that were there when last read, and still are."""
        self.ledgers: dict[str, Ledger] = {}
        """Over the clients that are connected, by channel."""
        self._clock_ns = clock_ns
        self._read_ns = 0
        self._counts: dict[str, int] = {}
        self._sum_due_ns = 0

    def read_rates(self, channels: Iterable[Channel]) -> None:
        """Look at the channels' counters, unless that was done just now."""
        now_ns = self._clock_ns()
        passed_ns = now_ns - self._read_ns
        if passed_ns < READ_NS:
            return
        before, self._read_ns = self._counts if passed_ns < FORGOTTEN_NS else {}, now_ns
        self._counts = {channel.name: channel.published for channel in channels}
        seconds = passed_ns / NS_PER_SECOND
        self.rates = {
            name: (count - before[name]) / seconds
            for name, count in self._counts.items()
            if count >= before.get(name, count + 1)
        }

    def sum_ledgers(self, sessions: Iterable[Session]) -> Generator[None, None, None]:
        """Add up the clients' ledgers, unless the last sums are to do for longer."""
        if self._clock_ns() < self._sum_due_ns:
            return
        self._sum_due_ns = self._clock_ns() + READ_NS
        sums: dict[str, Ledger] = {}
        spent_ns = 0
        for session in sessions:
            begun_ns = self._clock_ns()
            session.client.settle()
            for channel, ledger in session.client.ledgers.items():
                sums.setdefault(channel, Ledger()).add(ledger)
            spent_ns += self._clock_ns() - begun_ns
            yield
        self.ledgers = sums
        self._sum_due_ns = self._clock_ns() + REST_FACTOR * spent_ns
