"""Five rounds of faults over four nodes; `make prove` plays two hundred."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.fleet.plan import Fault
from tests.fleet.rounds import Round, Stage, faults_of, publish, stage
from tests.servers.processes import NoServer


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server, and links that can be cut."""
    folder = tmp_path_factory.mktemp("fleet")
    try:
        running = stage(folder)
        opened = running.__enter__()
    except NoServer as missing:
        pytest.skip(str(missing))
    try:
        yield opened
    finally:
        running.__exit__(None, None, None)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(5))
async def test_whatever_befalls_nodes_links_and_database_nothing_is_lost(
    ready: Stage, seed: int
) -> None:
    faults = faults_of(seed)
    played = await Round(ready, seed, faults).play()
    print(f"{ready.links.kind}; {played.line()}")  # noqa: T201 - shown when it fails
    assert played.wrong == [], f"{[str(fault) for fault in faults]}; `make prove SEED={seed}`"
    assert played.acknowledged == 10_000
    assert len(faults) >= 8


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_without_a_fault_no_step_is_called_twice(ready: Stage) -> None:
    played = await Round(ready, 1_000, [], orders=2_000).play()
    assert played.wrong == []
    assert played.verdict.repeats == 0
    assert played.verdict.calls == 2_000 * 5


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_the_judge_sees_repeats_that_no_fault_explains(ready: Stage) -> None:
    kill = Fault(1.0, 0.5, "kill", 0)
    game = Round(ready, 1_001, [kill], orders=1_500)
    game.forgets = True
    played = await game.play()
    assert played.verdict.repeats > 0
    assert played.verdict.unexplained


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_node_that_leaves_hands_over_within_five_seconds(ready: Stage) -> None:
    game = Round(ready, 1_002, [], orders=400, nodes=2)
    await asyncio.to_thread(publish, game.home, game.database)
    async with game._up():
        await game._send()
        began = time.monotonic()
        node = game.nodes[0]
        node._is_kept = False
        node.leave()
        assert node._keeper is not None
        await node._keeper
        assert time.monotonic() - began < 5.0
        await game._rest()
    assert len(game.book.acknowledged) == 400


def test_the_faults_of_a_seed_are_always_the_same() -> None:
    assert faults_of(7) == faults_of(7)
    assert faults_of(7) != faults_of(8)
