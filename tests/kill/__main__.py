"""`python -m tests.kill`: a thousand requests in a second to a source with a rate, and a hub that
is killed while they drain; prints what the receiving side saw.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from tests.kill.drain import Rate, drained, shortest_s


def _print_histogram(times: list[float], every_s: float) -> None:
    for window, number in sorted(Counter(int(at / every_s) for at in times).items()):
        print(f"{window * every_s:7.1f} s  {number:4}  {'#' * number}")


def main() -> None:
    """Prints what the receiving side saw."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000)
    parser.add_argument("--at-most", type=int, default=10)
    parser.add_argument("--every", type=float, default=2.0, help="seconds")
    parser.add_argument("--kills", type=int, default=3)
    asked = parser.parse_args()
    rate = Rate(asked.at_most, asked.every)
    with tempfile.TemporaryDirectory(prefix="beltline-drain-") as folder:
        seen = asyncio.run(drained(Path(folder), rate, asked.orders, asked.kills, print))
    _print_histogram(seen.times, rate.every_s)
    print(f"{len(seen.times)} requests in {seen.times[-1]:.1f} s; {seen.again} called again")
    shortest = shortest_s(seen.times, rate.at_most)
    print(f"the shortest time with {rate.at_most + 1} requests: {shortest:.3f} s")
    print(f"the runs at the end: {dict(seen.statuses)}")


if __name__ == "__main__":
    main()
