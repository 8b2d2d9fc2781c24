"""A large backlog: how much memory it costs, and how soon the hub is ready on top of it."""

from __future__ import annotations

import time

from bench.figures import Findings, Goal
from bench.scale import Scale
from bench.stand import Stand

ROW = "Backlog: many stored requests"
WATCHED_S = 5
MEMORY_MIB = 300
READY_S = 10


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Held by a buffer, and ready to be carried."""
    for kind, source, words in (
        ("held", "held-leads", "held in a source's buffer"),
        ("backlog", "leads", "ready, being carried meanwhile"),
    ):
        home = stand.home(f"stored-{kind}")
        stand.measure(
            *("bench.measured.load", "--home", home, "--kind", kind),
            *("--source", source, "--count", scale.stored),
        )
        with stand.serving(home) as hub:
            ready_s = hub.ready_s
            time.sleep(WATCHED_S)
            memory = hub.memory_mib()
        stand.drop(home)
        findings.add(
            *(ROW, f"ready after a start, {kind}", "s", [ready_s]),
            f"{scale.stored:,} requests {words}; from the start of `beltline serve` to 200 of"
            " /readyz",
            Goal("at most", READY_S),
        )
        findings.add(
            *(ROW, f"memory at its highest, {kind}", "MiB", [memory]),
            f"VmHWM of `beltline serve` {WATCHED_S} s after it was ready",
            Goal("at most", MEMORY_MIB),
        )
