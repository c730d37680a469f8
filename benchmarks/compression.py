"""From which size on a payload is better compressed in a thread: what the others wait, and it itself.

The others are a task that takes turn after turn, as a loop full of clients does; what they wait is
the longest gap between two of its turns. On the loop and in a thread alternate in one run, so that
the machine's moods fall on both; only their ratio is worth anything.
"""

import time
from collections.abc import Awaitable, Callable
from statistics import median

import orjson
import trio

from monitor.broadcast.frames import Deflate, Encoding
from monitor.broadcast.zstd import Zstd
from monitor.config import CADENCES, Preset
from monitor.dictionary import shipped_dictionary

SIZES_KIB = (16, 32, 64, 128, 256, 512, 1_024)
ROUNDS = 20
TURN_US = 50
"""What a turn of the others takes: a handful of sends."""
LEAD_TURNS = 20
"""Before and after, so that both ways meet a loop that is busy."""

Way = Callable[[Encoding, bytes], Awaitable[None]]


async def _on_the_loop(encoding: Encoding, payload: bytes) -> None:
    encoding.frame(payload)


async def _in_a_thread(encoding: Encoding, payload: bytes) -> None:
    await trio.to_thread.run_sync(encoding.frame, payload)


class Others:
    """A task that takes turns and remembers the longest wait between two."""

    def __init__(self) -> None:
        self.longest_ns = 0
        self.turns = 0

    async def run(self) -> None:
        last_ns = time.perf_counter_ns()
        while True:
            await trio.lowlevel.checkpoint()
            now_ns = time.perf_counter_ns()
            self.longest_ns = max(self.longest_ns, now_ns - last_ns)
            self.turns += 1
            while (last_ns := time.perf_counter_ns()) < now_ns + TURN_US * 1_000:
                pass

    async def take(self, turns: int) -> None:
        target = self.turns + turns
        while self.turns < target:
            await trio.lowlevel.checkpoint()


async def _measure(way: Way, encoding: Encoding, payload: bytes) -> tuple[int, int]:
    """Nanoseconds that the others waited at most, and until the frame was there."""
    others = Others()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others.run)
        await others.take(LEAD_TURNS)
        others.longest_ns = 0
        begun_ns = time.perf_counter_ns()
        await way(encoding, payload)
        made_ns = time.perf_counter_ns() - begun_ns
        await others.take(LEAD_TURNS)
        nursery.cancel_scope.cancel()
    return others.longest_ns, made_ns


def _payload(size_bytes: int) -> bytes:
    """Market state as JSON, as long as that."""
    levels = {f"{61_000 + at / 100:.2f}": f"{at * 7_919 % 9_973 / 1_000:g}" for at in range(size_bytes // 15)}
    return orjson.dumps(levels)[:size_bytes]


async def _compare(name: str, encoding: Encoding) -> None:
    for size_kib in SIZES_KIB:
        payload = _payload(size_kib * 1_024)
        on_the_loop: list[tuple[int, int]] = []
        in_a_thread: list[tuple[int, int]] = []
        for _ in range(ROUNDS):
            on_the_loop.append(await _measure(_on_the_loop, encoding, payload))
            in_a_thread.append(await _measure(_in_a_thread, encoding, payload))
        (here, made_here), (there, made_there) = _medians_ms(on_the_loop), _medians_ms(in_a_thread)
        print(
            f"{name:8} {size_kib:>6} {here:>12.1f} {there:>12.1f} {there / here:>8.2f}"
            f" {made_here:>14.1f} {made_there:>12.1f}"
        )


def _medians_ms(figures: list[tuple[int, int]]) -> tuple[float, float]:
    waited_ns, made_ns = zip(*figures, strict=True)
    return median(waited_ns) / 1e6, median(made_ns) / 1e6


async def _main() -> None:
    print(f"{'':15} {'others wait, ms':^34} {'its frame is there after, ms':^27}")
    ways = f"{'on the loop':>12} {'in a thread':>12}"
    print(f"{'':8} {'KiB':>6} {ways} {'ratio':>8} {'':1} {ways}")
    await _compare("deflate", Deflate(CADENCES[Preset.BALANCED].compression_level, 0))
    await _compare("zstd", Zstd(shipped_dictionary()))


if __name__ == "__main__":
    trio.run(_main)
