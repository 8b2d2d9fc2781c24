"""`make prove`: plays rounds and prints a line for each.

    python -m tests.fleet --rounds 200 --minutes 120     as many of them as the time allows
    python -m tests.fleet --seed 17                      that one, with its faults

Exit code 1 if anything was wrong in any round.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.fleet.rounds import Round, faults_of, stage


def main() -> int:
    """Reads the arguments and plays."""
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=1_000.0, help="begin none after so long")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first round")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--keep", action="store_true", help="keep what good rounds left, too")
    parser.add_argument("--proxies", action="store_true", help="instead of network namespaces")
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.rounds)
    if chosen.seed is not None:
        seeds = range(chosen.seed, chosen.seed + 1)
        for fault in faults_of(chosen.seed):
            print(f"  {fault}")
    folder = Path(tempfile.mkdtemp(prefix="beltline-fleet-"))
    folder.chmod(0o755)
    until = time.monotonic() + chosen.minutes * 60
    played = failed = 0
    slowest = 0.0
    with stage(folder, proxied=chosen.proxies) as ready:
        print(f"links: {ready.links.kind}; homes and logs: {folder}", flush=True)
        for seed in seeds:
            if time.monotonic() > until:
                break
            game = Round(ready, seed, faults_of(seed))
            result = asyncio.run(game.play())
            played += 1
            failed += bool(result.wrong)
            slowest = max(slowest, result.rest_s)
            print(result.line(), flush=True)
            for text in result.wrong:
                print(f"    {text}", flush=True)
            if not (result.wrong or chosen.keep):
                shutil.rmtree(game.home)
    print(f"{played} rounds, {failed} wrong; the slowest had ended after {slowest:.1f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
