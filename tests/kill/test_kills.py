"""`kill -9` on a real hub: nothing acknowledged is lost, and no result is recorded twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.kill.home import write_home
from tests.kill.hub import POINTS
from tests.kill.rounds import Kill, Result, Rounds

SEED = 20_261_123


def some_kills(count: int) -> list[Kill]:
    """Kills at every named point in turn, at different passes, and every other one at random."""
    chance = random.Random(SEED)
    kills = []
    for number in range(count):
        if number % 2:
            kills.append(Kill(after_s=chance.uniform(0.05, 0.8)))
        else:
            name = list(POINTS)[number // 2 % len(POINTS)]
            early = name in ("after-joining", "after-claim", "before-loading")
            kills.append(Kill(point=f"{name}:{1 if early else chance.randint(1, 60)}"))
    return kills


def check(result: Result) -> None:
    print(result.summary())  # noqa: T201 - the figures are the point of the run
    assert result.lost == []
    assert result.recorded_twice == []
    assert result.not_completed == []
    assert result.wrong_keys == []
    assert result.contradictions == []
    assert result.acknowledged > result.kills
    assert result.hit_moving_runs * 2 >= result.kills, "too few kills hit runs in flight"


@pytest.mark.timeout(300)
@pytest.mark.slow
async def test_every_point_once(tmp_path: Path) -> None:
    write_home(tmp_path)
    check(await Rounds(tmp_path, SEED).run(some_kills(2 * len(POINTS))))


@pytest.mark.kill
async def test_two_hundred_kills(tmp_path: Path) -> None:
    write_home(tmp_path)
    check(await Rounds(tmp_path, SEED).run(some_kills(200)))
