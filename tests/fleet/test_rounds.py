"""Five rounds of faults over four nodes; `make prove` plays two hundred."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet.rounds import Round, Stage, faults_of, stage
from tests.servers.wanted import wanted


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server, and links that can be cut."""
    folder = tmp_path_factory.mktemp("fleet")
    with wanted(stage(folder)) as opened:
        yield opened


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
    assert {fault.kind for fault in faults} == {"kill", "pause", "leave", "cut", "restart"}


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_without_a_fault_no_step_is_called_twice(ready: Stage) -> None:
    played = await Round(ready, 1_000, [], orders=2_000).play()
    assert played.wrong == []
    assert played.verdict.repeats == 0
    assert played.verdict.calls == 2_000 * 5


def test_the_faults_of_a_seed_are_always_the_same() -> None:
    assert faults_of(7) == faults_of(7)
    assert faults_of(7) != faults_of(8)
