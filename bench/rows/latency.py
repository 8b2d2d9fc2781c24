"""Latency: one request at a time, from handing it in until its run is completed and durable.

The same over SQLite and over PostgreSQL, each beside what one commit costs there.
"""

from __future__ import annotations

import statistics
from typing import Any

from bench import database
from bench.figures import Findings, Goal
from bench.journals import verify, verify_postgres
from bench.rows import belt
from bench.scale import Scale
from bench.stand import Stand
from tests.servers.postgres import postgres
from tests.servers.processes import NoServer

ROW = "Latency: one request at a time, five steps"
SHARED = "Latency over PostgreSQL: one request at a time, five steps"
SLACK_MS = 2.0
SHARED_SLACK_MS = 3.0


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """The latency beside the cost of a commit."""
    home = stand.home("latency")
    found = stand.measure("bench.measured.latency", "--home", home, "--count", scale.latencies)
    verify(belt.database(home), found["requests"])
    stand.drop(home)
    on = "single-row commits on the same disk, taken between the requests"
    _add(findings, ROW, found, "one SQLite FULL commit", on, SLACK_MS)


def measure_shared(stand: Stand, findings: Findings, scale: Scale) -> None:
    """The same over PostgreSQL."""
    try:
        with postgres(stand.folder) as server:
            url = server.database("latency")
            home = stand.home("shared-latency")
            found = stand.measure(
                *("bench.measured.latency", "--home", home, "--store", url),
                *("--count", scale.latencies),
            )
            verify_postgres(url, found["requests"])
            woken = stand.measure(
                *("bench.measured.wakeups", "--home", home, "--store", server.database("wakeups")),
                *("--count", scale.wakeups),
            )
            stand.drop(home)
            on = (
                "single-row inserts of 400 bytes, prepared, each a transaction of its own over"
                " loopback, taken between the requests;"
                f" {database.conditions(server)}"
            )
    except NoServer as missing:
        findings.miss(SHARED, "handed in to completed, p50", str(missing))
        return
    _add(findings, SHARED, found, "one PostgreSQL commit", on, SHARED_SLACK_MS)
    taken = woken["from_release_ms"]
    findings.add(
        *(SHARED, "released elsewhere to completed, p50", "ms", [statistics.median(taken)]),
        f"{len(taken):,} requests, one at a time, held in a buffer and released over the connection"
        f" of another program: the database wakes the node; p99 {_percentile(taken, 99):.2f} ms",
    )


def _add(
    findings: Findings,
    row: str,
    found: dict[str, Any],
    commit: str,
    on: str,
    slack_ms: float,
) -> None:
    commit_ms = statistics.median(found["one_commit_ms"])
    commits = statistics.median(found["commits_on_the_way"])
    # The first of them is the acceptance: those on the way from there are one less.
    bound_ms = commits * commit_ms + slack_ms
    handed_in, accepted = found["from_handing_in_ms"], found["from_acceptance_ms"]
    one_by_one = f"{len(handed_in):,} requests, the next one when the last was completed"
    findings.add(
        *(row, commit, "ms", [commit_ms]), f"median of {len(found['one_commit_ms']):,} {on}"
    )
    findings.add(
        *(row, "commits, acceptance included", "", [commits]),
        "transactions of the store between handing in and completion, median",
    )
    findings.add(
        *(row, "handed in to completed, p50", "ms", [statistics.median(handed_in)]),
        f"{one_by_one}; the bound is (commits on the way + 1) x one commit + {slack_ms:g} ms",
        Goal("at most", bound_ms, f"{bound_ms:.2f} ms"),
    )
    findings.add(
        *(row, "handed in to completed, p99", "ms", [_percentile(handed_in, 99)]), one_by_one
    )
    findings.add(*(row, "accepted to completed, p50", "ms", [statistics.median(accepted)]), "")
    findings.add(*(row, "accepted to completed, p99", "ms", [_percentile(accepted, 99)]), "")
    findings.add(
        *(row, "memory at its highest", "MiB", [found["rss_mib"]]),
        "VmHWM of the process",
        Goal("at most", belt.MEMORY_MIB),
    )


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
