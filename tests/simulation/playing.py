"""Playing seeds: what one seed gives, and what is printed of a seed that shows something wrong."""

from __future__ import annotations

import msgspec

from tests.simulation.checkers import complaints
from tests.simulation.fleet import Fleet
from tests.simulation.options import Options
from tests.simulation.world import World


class Played(msgspec.Struct, frozen=True):
    """The outcome of one seed: what each checker has found, and a hash of all that happened.

    A program error of the engine counts as the finding of a checker named `crashed`.
    """

    seed: int
    found: dict[str, list[str]]
    trace: str
    steps: int

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: trace {self.trace}, {self.steps} steps"]
        for checker, texts in self.found.items():
            lines += [f"  {checker}: {text}" for text in texts[:5]]
        if self.found:
            lines.append(f"  again with: make sim SEED={self.seed}")
        return "\n".join(lines)


def play(seed: int, options: Options | None = None, *, crash_at: int | None = None) -> Played:
    """Plays one seed with one node, and lets every checker look at it; see `World`."""
    return _play(seed, World(seed, options, crash_at=crash_at))


def play_fleet(seed: int, *, crash_at: int | None = None) -> Played:
    """Plays one seed with several nodes; see `Fleet`."""
    return _play(seed, Fleet(seed, crash_at=crash_at))


def _play(seed: int, world: World) -> Played:
    try:
        record = world.run()
        found = complaints(record)
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is the finding
        found = {"crashed": [f"{type(error).__name__}: {error}"]}
    finally:
        world.close()
    return Played(seed, found, world.trace_hash(), world.steps)
