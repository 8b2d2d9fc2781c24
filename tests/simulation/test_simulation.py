"""The simulation, in a size that fits `make test`: seeds, planted bugs, and its own determinism."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.simulation.options import draw, without_faults
from tests.simulation.playing import play, play_fleet

FOLDER = Path(__file__).parent
KEPT = [
    int(line.split()[0])
    for line in (FOLDER / "seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 150, 30))
def test_nothing_is_wrong_in_these_seeds(first: int) -> None:
    wrong = [str(played) for seed in range(first, first + 30) if (played := play(seed)).found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 120, 30))
def test_nothing_is_wrong_with_several_nodes_either(first: int) -> None:
    seeds = range(first, first + 30)
    wrong = [str(played) for seed in seeds if (played := play_fleet(seed)).found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("seed", KEPT)
def test_a_seed_that_once_failed_shows_nothing(seed: int) -> None:
    played = play(seed)
    assert not played.found, str(played)


@pytest.mark.slow
@pytest.mark.timeout(240)  # up to 400 plays each
@pytest.mark.parametrize("seed", [3, 4, 6, 7])
def test_a_crash_at_any_await_loses_nothing(seed: int) -> None:
    options = without_faults(draw(Random(seed)), requests=2)
    calm = play(seed, options)
    assert not calm.found, str(calm)
    wrong = [
        f"crash at step {step}: {played}"
        for step in range(1, min(calm.steps, 400))
        if (played := play(seed, options, crash_at=step)).found
    ]
    assert not wrong, "\n".join(wrong[:5])


def test_the_same_seed_gives_the_same_trace() -> None:
    assert [play_fleet(s).trace for s in range(5)] == [play_fleet(s).trace for s in range(5)]
    assert [play(seed).trace for seed in range(5)] == [play(seed).trace for seed in range(5)]
    assert len({play(seed).trace for seed in range(5)}) == 5


def test_the_trace_does_not_depend_on_the_order_of_sets() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "11"],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            cwd=FOLDER.parent.parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1
