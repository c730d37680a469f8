"""What the journal adds to an order fill: the same load with it and without it, in turns.

The rounds alternate and each begins with the other one, so that what else the machine does falls on both.
"""

from statistics import median

from benchmarks.fill_latency import Figures, run_round

TARGET_MS = 3
ROUNDS = 3
WITHOUT = ("--set", "namespaces.orders.journal=false", "--set", "namespaces.bots.journal=false")
WITH = ("--set", "journal.synchronous=normal")
FULL = ("--set", "journal.synchronous=full")


def main() -> None:
    """Print each round's p50 and p99 without a journal, with it, and with it and every commit on the disk."""
    print("order fill, publish to the last of 100 clients, as the server has it; ms")
    print(f"{'':10}{'without':>16}{'normal':>16}{'full':>16}")
    rounds = []
    for number in range(ROUNDS):
        rounds.append(_run_all(is_reversed=number % 2 == 1))
        print(f"round {number + 1:<4}" + "".join(map(_cell, rounds[-1])), flush=True)
    grown_ms = median(normal.p99_ms - without.p99_ms for without, normal, _ in rounds)
    verdict = "reached" if grown_ms <= TARGET_MS else "missed"
    print(f"p99 grows by {grown_ms:.2f} ms in the median; target {TARGET_MS} ms: {verdict}")


def _run_all(*, is_reversed: bool) -> list[Figures]:
    variants = [WITHOUT, WITH, FULL]
    order = variants[::-1] if is_reversed else variants
    figures = [run_round(*variant)[0] for variant in order]
    return figures[::-1] if is_reversed else figures


def _cell(figures: Figures) -> str:
    return f"{figures.p50_ms:>8.2f}{figures.p99_ms:>8.2f}"


if __name__ == "__main__":
    main()
