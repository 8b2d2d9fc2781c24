"""Nobody is there on the connection, for a while, again and again."""

from __future__ import annotations

from random import Random

from tests.simulation.options import SPAN_MS, Options
from tests.simulation.outside import Outside
from tests.simulation.scheduler import START_MS, Scheduler

LASTS_MS = (300, 4_000, 15_000)


def plan_outages(scheduler: Scheduler, outside: Outside, options: Options, chance: Random) -> None:
    """Plans as many outages as the seed has; none begins in the calm part."""

    def be_away(is_away: bool) -> None:
        outside.is_away = is_away and not outside.is_calm

    for _ in range(options.outages):
        begins = START_MS + chance.randint(0, SPAN_MS)
        scheduler.at(begins, lambda: be_away(True))
        scheduler.at(begins + chance.choice(LASTS_MS), lambda: be_away(False))
