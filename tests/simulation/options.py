"""What one seed turns on: every chance of a fault is drawn from the seed, many of them as none.

Faults that are always on hide each other; so each seed gets its own mixture (a swarm), and the
options are printed before anything happens.
"""

from __future__ import annotations

from random import Random

import msgspec

from beltline.core.limits import TINY, Limits

SPAN_MS = 20_000  # how long the part with faults lasts, in virtual time


class Options(msgspec.Struct, frozen=True):
    """Chances are per occasion, from 0 to 1; `*_rate` are per step of the scheduler."""

    # The engine and its surroundings
    batch: int
    moving_runs: int
    tick: float
    stickiness: float
    laggard: str
    slow_store: float

    # What is asked of it
    requests: int
    spread_ms: int
    held: float
    identities: float
    repeats: float
    commands: int
    rude_commands: float

    # What goes wrong
    crash_rate: float
    crash_after_commit: float
    crashes: int
    clean_stops: int
    full: float
    broken: float
    jumps: int
    retries: float
    rejects: float
    exceptions: float
    lost: float
    late: float
    duplicates: float
    poison: float

    # What the connection bears, and how often it is away; 0: no limit
    rate_per_s: float
    burst: int
    concurrency: int
    together: int
    outages: int

    def limits(self) -> Limits:
        """The engine's limits: small ones, so that they are met."""
        return msgspec.structs.replace(TINY, batch=self.batch, moving_runs=self.moving_runs)


def draw(chance: Random) -> Options:
    """The options of a seed."""

    def often(most: float) -> float:
        return chance.uniform(0, most) if chance.random() < 0.5 else 0.0

    has_poison = chance.random() < 0.1
    return Options(
        batch=chance.choice((1, 2, 4, 8)),
        moving_runs=chance.choice((8, 16) if has_poison else (1, 2, 4, 8, 16)),
        tick=chance.choice((0.02, 0.2, 0.8)),
        stickiness=chance.choice((0.0, 0.0, 0.5, 0.9)),
        laggard=chance.choice(("", "", "", "belt", "committer", "loader", "timers")),
        slow_store=often(0.1),
        requests=chance.randint(6 if has_poison else 1, 12),
        spread_ms=chance.choice((0, 50) if has_poison else (0, 50, SPAN_MS)),
        held=often(0.5),
        identities=often(1.0),
        repeats=often(1.0),
        commands=chance.choice((0, 0, 3, 12)),
        rude_commands=chance.random(),
        crash_rate=0.003 if has_poison else often(0.02),
        crash_after_commit=often(0.1),
        crashes=chance.randint(5, 12) if has_poison else chance.randint(0, 5),
        clean_stops=chance.choice((0, 0, 0, 1, 2)),
        full=often(0.1),
        broken=often(0.01),
        jumps=chance.choice((0, 0, 1, 3)),
        retries=often(0.4),
        rejects=often(0.15),
        exceptions=often(0.3),
        lost=often(0.2),
        late=often(0.3),
        duplicates=often(0.3),
        poison=0.5 if has_poison else 0.0,
        rate_per_s=chance.choice((0.0, 0.0, 0.5, 2.0, 10.0)),
        burst=chance.choice((1, 2, 5)),
        concurrency=chance.choice((0, 0, 1, 3)),
        together=chance.choice((1, 1, 3)),
        outages=chance.choice((0, 0, 1, 3)),
    )


def without_faults(options: Options, requests: int) -> Options:
    """The same, with nothing that goes wrong by itself and few requests, all at once."""
    calm = dict.fromkeys(
        (
            "crash_rate",
            "crash_after_commit",
            "full",
            "broken",
            "slow_store",
            "lost",
            "late",
            "duplicates",
            "poison",
        ),
        0.0,
    )
    counts = {"crashes": 0, "clean_stops": 0, "jumps": 0, "spread_ms": 0, "requests": requests}
    counts |= {"outages": 0}
    return msgspec.structs.replace(options, **calm, **counts)


def with_few_crashes(options: Options) -> Options:
    """The same, with a process that mostly lives and a store that has room, so that time passes
    without a start in between.
    """
    return msgspec.structs.replace(
        options,
        crash_rate=options.crash_rate / 20,
        crashes=min(1, options.crashes),
        full=0.0,
        broken=0.0,
    )
