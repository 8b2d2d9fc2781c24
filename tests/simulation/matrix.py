"""Which checker finds which planted bug."""

from __future__ import annotations

import msgspec

from tests.simulation.planting import Mutant, planted
from tests.simulation.playing import play, play_fleet

SEEDS_MOST = 1_500  # a bug that needs more seeds than this counts as missed


class Finders(msgspec.Struct):
    """What `seeds` seeds showed of a planted bug: the seeds in which each checker complained, and
    those in which the expected one did so alone.
    """

    seeds: int = 0
    by_checker: dict[str, int] = {}
    alone: int = 0

    @property
    def is_found(self) -> bool:
        """Whether the expected checker was the only one to find it in some seed."""
        return self.alone > 0

    def __str__(self) -> str:
        counts = ", ".join(f"{name} in {count}" for name, count in self.by_checker.items())
        return f"{self.seeds} seeds; {counts or 'nobody complained'}"


def finders(mutant: Mutant) -> Finders:
    """Plays seeds with the bug planted until the expected checker alone has found it."""
    found = Finders()
    with planted(mutant):
        for seed in range(SEEDS_MOST):
            played = play_fleet(seed) if mutant.is_of_several else play(seed)
            found.seeds += 1
            for checker in played.found:
                found.by_checker[checker] = found.by_checker.get(checker, 0) + 1
            if list(played.found) == [mutant.found_by]:
                found.alone += 1
                break
    return found
