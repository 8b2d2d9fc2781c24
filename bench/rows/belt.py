"""The belt: a backlog in the store is carried to its end, each result committed before the next
step is dispatched; and the same with pure steps, which need no commit in between.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from bench import lead
from bench.figures import Findings, Goal
from bench.journals import Verified, verify
from bench.scale import Scale
from bench.stand import Stand

BELT = "Belt: backlog carried to its end, SQLite FULL, one process"
PURE = "Pure run-ahead: the same way in the hub's own pure modules"
MEMORY_MIB = 150


def database(home: Path) -> Path:
    """The store's file of a home."""
    return home / "data" / "beltline.db"


def carry(
    stand: Stand, source: str, backlog: int, runs: int
) -> tuple[list[dict[str, Any]], list[Verified]]:
    """Carries the same backlog `runs` times, in fresh processes; verifies the file each time."""
    loaded = stand.home(f"loaded-{source}")
    stand.measure(
        *("bench.measured.load", "--home", loaded, "--kind", "backlog"),
        *("--source", source, "--count", backlog),
    )
    found: list[dict[str, Any]] = []
    verified: list[Verified] = []
    for _ in range(runs):
        home = stand.folder / f"belt-{source}"
        shutil.copytree(loaded, home)
        found.append(stand.measure("bench.measured.belt", "--home", home))
        verified.append(verify(database(home), backlog))
        stand.drop(home)
    stand.drop(loaded)
    return found, verified


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """The durable belt."""
    backlog = scale.backlog
    found, verified = carry(stand, "leads", backlog, scale.belt_runs)
    steps = verified[0].steps
    every = f"{backlog:,} leads, {lead.STEPS} steps each; load and process start not counted"
    findings.add(
        *(BELT, "durable steps a second", "steps/s"),
        [steps / run["seconds"] for run in found],
        f"{every}; from the start of the hub's coroutines until all is durable",
        Goal("at least", 40_000),
    )
    findings.add(
        *(BELT, "CPU per step", "µs", [run["cpu_s"] / steps * 1e6 for run in found]),
        "all threads of the process",
    )
    findings.add(
        *(BELT, "CPU used", "cores", [run["cpu_s"] / run["seconds"] for run in found]),
        "less than the machine has: it waited for commits, for the interpreter lock, or for"
        " others on the machine",
    )
    findings.add(
        BELT,
        "commits on each run's way",
        "",
        [checked.rows / checked.runs for checked in verified],
        "journal rows of a run: each was durable before what it decided was dispatched",
    )
    findings.add(
        *(BELT, "commits per run", "", [run["commits"] / backlog for run in found]),
        "group commit: transactions of the store in all, by the number of runs",
    )
    findings.add(
        *(BELT, "journals verified complete", "runs", [float(c.runs) for c in verified]),
        "the file reopened: seq without gaps, each step completed once by its way, run-completed",
        Goal("at least", backlog),
    )
    findings.add(
        *(BELT, "disk per run", "bytes", [c.file_bytes / c.runs for c in verified]),
        f"database file after a checkpoint, with the {lead.LEAD_BYTES}-byte lead and all indexes",
        Goal("at most", 3_072, "3 KiB"),
    )
    _memory(findings, BELT, found)


def measure_pure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Pure steps."""
    found, verified = carry(stand, "pure-leads", scale.backlog, scale.pure_runs)
    steps = verified[0].steps
    findings.add(
        *(PURE, "steps a second", "steps/s", [steps / run["seconds"] for run in found]),
        f"{scale.backlog:,} leads, {lead.STEPS} steps of `set` and `map`, one of them with a"
        " JSONata expression; no commit in between; journals verified complete",
    )
    findings.add(
        *(PURE, "CPU per step", "µs", [run["cpu_s"] / steps * 1e6 for run in found]),
        "all threads of the process",
    )
    _memory(findings, PURE, found)


def _memory(findings: Findings, row: str, found: list[dict[str, Any]]) -> None:
    findings.add(
        *(row, "memory at its highest", "MiB", [run["rss_mib"] for run in found]),
        "VmHWM of the process",
        Goal("at most", MEMORY_MIB),
    )
