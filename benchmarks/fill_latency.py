"""How long an order fill takes from publish to the last of 100 clients' sockets, under load.

The server runs its simulator at 200 trades/s, a console is attached, and the clients follow market
channels too. Two figures: the server's own (publish to the last socket written) and one from
outside (request of the HTTP API sent to the last client's bytes read), whose clock is not the server's.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median

from benchmarks.crowd import RawClient
from benchmarks.fills import (
    CLIENTS,
    TRADES_PER_SECOND,
    Figures,
    Sockets,
    figures_of,
    open_clients,
    open_publisher,
)
from benchmarks.server import Server, start_server
from benchmarks.terminal import open_console
from monitor.serve.tokens import make_token

TARGET_MS = 10
ROUNDS = 3
FILLS = 320
FILLS_PER_SECOND = 40
"""So the fills take 8 s, within the last 10 s that the server's own figures are of."""
WARM_UP_SECONDS = 4.0
"""The console's start takes about three seconds of a core."""


def main() -> None:
    """Print both figures of each round and their medians against the target."""
    print(f"order fill to the last of {CLIENTS} clients; {TRADES_PER_SECOND} trades/s, console attached")
    rounds = [run_round() for _ in range(ROUNDS)]
    _print_table("server's own: publish to last socket", [own for own, _ in rounds])
    _print_table("from outside: HTTP request to last read", [outside for _, outside in rounds])


def run_round() -> tuple[Figures, Figures]:
    """The server's own figures and those from outside."""
    with (
        start_server("--rate", str(TRADES_PER_SECOND)) as server,
        open_console(server.url, server.operator_key),
    ):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as crowd:
            latencies_ms = crowd.submit(time_fills, server.port, server.api_key).result()
        return _own_figures(server), figures_of(latencies_ms)


def _own_figures(server: Server) -> Figures:
    with RawClient(server.port, make_token(server.operator_key, "benchmark")) as operator:
        operator.subscribe("ops:health")
        while "push" not in (document := operator.receive()):
            pass
    windows = {kind["kind"]: kind["last_10s"] for kind in document["push"]["pub"]["data"]["kinds"]}
    window = windows["order_fill"]
    return Figures(window["count"], window["p50_ms"], window["p99_ms"], window["worst_ms"])


def _print_table(title: str, rounds: list[Figures]) -> None:
    print(f"\n{title}\n{'':8}{'fills':>8}{'p50 ms':>9}{'p99 ms':>9}{'worst ms':>10}")
    for number, figures in enumerate(rounds, start=1):
        timed = f"{figures.p50_ms:>9.2f}{figures.p99_ms:>9.2f}{figures.worst_ms:>10.2f}"
        print(f"round {number:<2}{figures.count:>8}{timed}")
    p50_ms = median(figures.p50_ms for figures in rounds)
    p99_ms = median(figures.p99_ms for figures in rounds)
    verdict = "reached" if p99_ms < TARGET_MS else "missed"
    print(f"{'median':8}{'':8}{p50_ms:>9.2f}{p99_ms:>9.2f}   target p99 < {TARGET_MS} ms: {verdict}")


def time_fills(port: int, api_key: str) -> list[float]:
    """Publish fills to a crowd of clients; runs in a process of its own. Returns milliseconds."""
    sockets = Sockets()
    with open_clients(sockets, port):
        due = time.perf_counter() + WARM_UP_SECONDS
        sockets.read_until(due)
        with open_publisher(sockets, port, api_key) as publisher:
            latencies_ms = []
            for number in range(FILLS):
                sockets.read_until(due)
                latencies_ms.append(publisher.time_one(number))
                due += 1 / FILLS_PER_SECOND
            return latencies_ms


if __name__ == "__main__":
    main()
