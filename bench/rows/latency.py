"""Latency: one request at a time, from handing it in until its run is completed and durable."""

from __future__ import annotations

import statistics

from bench.figures import Findings, Goal
from bench.journals import verify
from bench.rows.belt import MEMORY_MIB, database
from bench.scale import Scale
from bench.stand import Stand

ROW = "Latency: one request at a time, five steps"
SLACK_MS = 2.0


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """The latency beside the cost of a commit."""
    home = stand.home("latency")
    found = stand.measure("bench.measured.latency", "--home", home, "--count", scale.latencies)
    verify(database(home), found["requests"])
    stand.drop(home)
    commit_ms = statistics.median(found["one_commit_ms"])
    commits = statistics.median(found["commits_on_the_way"])
    # The first of them is the acceptance: those on the way from there are one less.
    bound_ms = commits * commit_ms + SLACK_MS
    handed_in, accepted = found["from_handing_in_ms"], found["from_acceptance_ms"]
    one_by_one = f"{len(handed_in):,} requests, the next one when the last was completed"
    findings.add(
        *(ROW, "one SQLite FULL commit", "ms", [commit_ms]),
        f"median of {len(found['one_commit_ms']):,} single-row commits on the same disk, taken"
        " between the requests",
    )
    findings.add(
        *(ROW, "commits, acceptance included", "", [commits]),
        "transactions of the store between handing in and completion, median",
    )
    findings.add(
        *(ROW, "handed in to completed, p50", "ms", [statistics.median(handed_in)]),
        f"{one_by_one}; the bound is (commits on the way + 1) x one commit + 2 ms",
        Goal("at most", bound_ms, f"{bound_ms:.2f} ms"),
    )
    findings.add(
        *(ROW, "handed in to completed, p99", "ms", [_percentile(handed_in, 99)]), one_by_one
    )
    findings.add(*(ROW, "accepted to completed, p50", "ms", [statistics.median(accepted)]), "")
    findings.add(*(ROW, "accepted to completed, p99", "ms", [_percentile(accepted, 99)]), "")
    findings.add(
        *(ROW, "memory at its highest", "MiB", [found["rss_mib"]]),
        "VmHWM of the process",
        Goal("at most", MEMORY_MIB),
    )


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
