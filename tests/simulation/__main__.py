"""`make sim`: plays seeds and tells what the checkers found.

    python -m tests.simulation --seeds 2000           seeds 0 to 1999, one line for each that fails
    python -m tests.simulation --seed 7               that one, with its options and its trace
    python -m tests.simulation --mutants              the planted bugs, and who finds them

Exit code 1 if anything was found.
"""

from __future__ import annotations

import argparse
import sys
import time

import msgspec

from tests.simulation.matrix import finders
from tests.simulation.mutants import MUTANTS
from tests.simulation.playing import play, play_fleet
from tests.simulation.world import World

TWICE_EVERY = 50  # of many seeds, every so many are played twice and must give the same trace


def main() -> int:
    """Reads the arguments and plays."""
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--mutants", action="store_true", help="the planted bugs instead")
    chosen = parser.parse_args()
    if chosen.mutants:
        return play_mutants()
    if chosen.seed is not None:
        return play_one(chosen.seed)
    return play_many(range(chosen.first, chosen.first + chosen.seeds))


def play_one(seed: int) -> int:
    """One seed, twice."""
    for name, value in msgspec.structs.asdict(World(seed).options).items():
        print(f"  {name} = {value}")
    wrong = False
    for player in (play, play_fleet):
        first, second = player(seed), player(seed)
        print(first)
        if first.trace != second.trace:
            print(f"  the second time its trace was {second.trace}: something is not seeded")
        wrong = wrong or bool(first.found) or first.trace != second.trace
    return int(wrong)


def play_many(seeds: range) -> int:
    """Many seeds; those that show something wrong are printed."""
    began = time.monotonic()
    failed = steps = 0
    for number, seed in enumerate(seeds):
        for player in (play, play_fleet):
            played = player(seed)
            steps += played.steps
            is_same = number % TWICE_EVERY != 0 or player(seed).trace == played.trace
            if played.found or not is_same:
                failed += 1
                print(played, "(several nodes)" if player is play_fleet else "")
            if not is_same:
                print(f"  the second time the trace of seed {seed} was another")
    took = time.monotonic() - began
    print(f"{len(seeds)} seeds, {steps} steps, {took:.1f} s: {failed} failed")
    return int(failed > 0)


def play_mutants() -> int:
    """Every planted bug, until its checker alone has found it."""
    missed = 0
    for mutant in MUTANTS:
        found = finders(mutant)
        missed += not found.is_found
        print(f"{'found ' if found.is_found else 'MISSED'} {mutant.name}: {found}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
