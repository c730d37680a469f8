"""What a connection costs that does nothing, and how long the server takes to start."""

import contextlib
import time
from statistics import median

from benchmarks.crowd import RawClient, allow_descriptors
from benchmarks.server import start_server

CONNECTIONS = 1_000
MEMORY_ROUNDS = 3
MEMORY_TARGET_KIB = 16
STARTS = 5
START_TARGET_SECONDS = 2
SETTLE_SECONDS = 2.0
CHANNEL = "dashboard:idle"


def main() -> None:
    """Print both figures with their medians against the targets."""
    allow_descriptors(CONNECTIONS + 200)
    _report_memory([_connection_kib() for _ in range(MEMORY_ROUNDS)])
    _report_start([_ready_seconds() for _ in range(STARTS)])


def _connection_kib() -> float:
    """Memory a connection, upgraded, connected and subscribed to one channel; no feed disturbs it."""
    with start_server("--set", "simulator.enabled=false") as server, contextlib.ExitStack() as stack:
        time.sleep(SETTLE_SECONDS)
        before_bytes = server.memory_bytes()
        for _ in range(CONNECTIONS):
            stack.enter_context(RawClient(server.port)).subscribe(CHANNEL)
        time.sleep(SETTLE_SECONDS)
        return (server.memory_bytes() - before_bytes) / CONNECTIONS / 1_024


def _ready_seconds() -> float:
    with start_server() as server:
        return server.ready_seconds


def _report_memory(rounds_kib: list[float]) -> None:
    kib = median(rounds_kib)
    verdict = "reached" if kib <= MEMORY_TARGET_KIB else "missed"
    print(f"memory an idle connection, {CONNECTIONS} of them: {_list(rounds_kib, 1)} KiB")
    print(f"  median {kib:.1f} KiB, target at most {MEMORY_TARGET_KIB} KiB: {verdict}")


def _report_start(rounds_seconds: list[float]) -> None:
    seconds = median(rounds_seconds)
    verdict = "reached" if seconds < START_TARGET_SECONDS else "missed"
    print(f"start to ready: {_list(rounds_seconds, 2)} s")
    print(f"  median {seconds:.2f} s, target under {START_TARGET_SECONDS} s: {verdict}")


def _list(figures: list[float], digits: int) -> str:
    return ", ".join(f"{figure:.{digits}f}" for figure in figures)


if __name__ == "__main__":
    main()
