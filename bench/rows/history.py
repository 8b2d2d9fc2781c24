"""History: whether a step costs the same when the store is full of finished runs.

The same backlog is carried over an empty store and over a full one, in turns, each time in a fresh
process, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import shutil
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench import lead
from bench.figures import Findings, Goal
from bench.scale import Scale
from bench.stand import Failed, Stand

ROW = "History: cost of a step over finished runs"
BYTES_PER_RUN = 3_500  # to know beforehand whether the disk has room
WORDS = "20 % more"


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """The same backlog over both stores."""
    free = shutil.disk_usage(stand.folder).free
    needed = scale.finished * BYTES_PER_RUN
    if free < 2 * needed:
        findings.miss(ROW, "wall time, ratio", f"{2 * needed / 1e9:.0f} GB of disk are needed")
        return
    full = stand.home("history-full")
    loaded = stand.measure(
        *("bench.measured.load", "--home", full, "--kind", "finished"),
        *("--count", scale.finished),
        timeout_s=600,
    )
    wall: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    rows = scale.history_backlog * lead.STEPS
    for turn in range(scale.history_rounds):
        empty = stand.home("history-empty")
        # Which comes first changes with each turn.
        homes = [("empty", empty), ("full", full)]
        for name, home in homes if turn % 2 else reversed(homes):
            run = _carry(stand, home, scale.history_backlog)
            wall[name].append(run["seconds"] / rows * 1e6)
            cpu[name].append(run["cpu_s"] / rows * 1e6)
        stand.drop(empty)
    stand.drop(full)
    on = f"{scale.history_backlog:,} runs each time, in turns"
    for name, number in (("empty", 0), ("full", scale.finished)):
        findings.add(
            *(ROW, f"wall time per step over {number:,}", "µs", wall[name]),
            f"{on}" + (f"; loaded in {loaded['seconds']:.0f} s" if number else ""),
        )
        findings.add(*(ROW, f"CPU per step over {number:,}", "µs", cpu[name]), "all threads")
    for words, taken in (("wall time", wall), ("CPU", cpu)):
        findings.add(
            ROW,
            f"{words}, full by empty",
            "",
            [statistics.median(taken["full"]) / statistics.median(taken["empty"])],
            "ratio of the medians above",
            Goal("at most", 1.2, WORDS),
        )


def _carry(stand: Stand, home: Path, backlog: int) -> dict[str, Any]:
    stand.measure(
        *("bench.measured.load", "--home", home, "--kind", "backlog", "--count", backlog),
    )
    run = stand.measure("bench.measured.belt", "--home", home)
    if any(run["left"].values()):
        raise Failed(f"not every run was completed: {run['left']}")
    return run
