"""Bugs that are planted in the engine's own code: each is found, by its own checker alone."""

from __future__ import annotations

import pytest

from tests.simulation.checkers import CHECKERS
from tests.simulation.matrix import finders
from tests.simulation.mutants import MUTANTS
from tests.simulation.planting import Mutant


@pytest.mark.timeout(300)  # some show in one of many hundred seeds
@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found_by_its_checker_alone(mutant: Mutant) -> None:
    found = finders(mutant)
    assert found.is_found, str(found)


def test_every_checker_is_the_only_one_to_find_some_planted_bug() -> None:
    # That each is found, and by that checker alone, is what the test above shows.
    assert {mutant.found_by for mutant in MUTANTS} == set(CHECKERS)
