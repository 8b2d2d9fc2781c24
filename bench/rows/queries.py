"""Claims and lists in a large store: a million open runs and ten million finished ones.

The store is filled by SQL (`measured/many_runs.py`), over so many days that there are as many
partitions as after a month.
"""

from __future__ import annotations

import shutil
import statistics
from typing import Any

from bench import database
from bench.figures import Findings, Goal
from bench.scale import Scale
from bench.stand import Stand
from tests.servers.postgres import postgres
from tests.servers.processes import NoServer

ROW = "Claims and lists over PostgreSQL, in a large store"
WORST = "the slowest of all, p99"
SEVERAL = "the slowest list of two filters, p99"
BYTES_PER_RUN = 2_200  # to know beforehand whether the disk has room
P99_MS = 20.0
DAYS = 30
LOAD_S = 1_800

# Filling writes no WAL then. Nothing that is measured afterwards depends on it.
SETTINGS = {"wal_level": "minimal", "max_wal_senders": "0"}


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Fills a store and asks it."""
    runs = scale.open_runs + scale.finished_runs
    needed = runs * BYTES_PER_RUN
    if shutil.disk_usage(stand.folder).free < needed:
        findings.miss(ROW, WORST, f"{needed / 1e9:.0f} GB of disk are needed")
        return
    try:
        with postgres(stand.folder, settings=SETTINGS) as server:
            url = server.database("large")
            home = stand.home("large")
            loaded = stand.measure(
                *("bench.measured.many_runs", "--home", home, "--store", url, "--runs", runs),
                *("--one-open-in", runs // scale.open_runs, "--days", DAYS),
                timeout_s=LOAD_S,
            )
            sizes = database.sizes(server, "large")
            server.ask("checkpoint")
            found = stand.measure(
                *("bench.measured.queries", "--home", home, "--store", url),
                *("--days", DAYS, "--times", scale.queries),
                timeout_s=LOAD_S,
            )
            on = (
                f"{scale.open_runs:,} open runs and {scale.finished_runs:,} finished ones over"
                f" {DAYS} days, a partition a day; two journal rows of an open run, one of a"
                f" finished one; {sum(map(sum, sizes.values())) / 1e9:.1f} GB, loaded in"
                f" {loaded['load_s']:.0f} s and vacuumed in {loaded['vacuum_s']:.0f} s;"
                f" {database.conditions(server)}, but for wal_level minimal"
            )
            stand.drop(home)
    except NoServer as missing:
        findings.miss(ROW, WORST, str(missing))
        return
    _add(findings, found, on)


def _add(findings: Findings, found: dict[str, Any], on: str) -> None:
    asked: dict[str, Any] = {f"claim of {n} runs": one for n, one in found["claims"].items()}
    asked |= {f"list: {name}": one for name, one in found["lists"].items()}
    several: dict[str, Any] = {f"list: {name}": one for name, one in found["several"].items()}
    p99 = {name: percentile(one["ms"], 99) for name, one in (*asked.items(), *several.items())}
    for words, names, conditions in (
        (WORST, asked, f"of the claims and the lists of one filter; {on}"),
        (SEVERAL, several, "the same store"),
    ):
        slowest = max(names, key=lambda name: p99[name])
        goal = Goal("at most", P99_MS)
        findings.add(*(ROW, words, "ms", [p99[slowest]]), f"{slowest}; {conditions}", goal)
    for name, one in (*asked.items(), *several.items()):
        p50, longest, times = statistics.median(one["ms"]), max(one["ms"]), len(one["ms"])
        findings.add(
            *(ROW, f"{name}, p99", "ms", [p99[name]]),
            f"p50 {p50:.2f} ms, longest {longest:.1f} ms, of {times}; the last gave {one['given']}",
        )
    for name, one in found["others"].items():
        findings.add(
            *(ROW, f"{name}, p50", "ms", [statistics.median(one["ms"])]),
            f"longest {max(one['ms']):.1f} ms, of {len(one['ms'])}; no claim and no list",
        )


def percentile(values: list[float], percent: int) -> float:
    """The value that so many in a hundred do not pass."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
