"""Coalescing: leads that need three CRM calls each, through a portal of 2 requests a second."""

from __future__ import annotations

from bench.figures import Findings, Goal
from bench.measured.coalescing import CALLS, one_at_a_time_s
from bench.scale import Scale
from bench.stand import Stand

VIRTUAL = "Coalescing: a portal of 2 requests a second, burst 50, on a virtual clock"
REAL = "Coalescing: the same in real time, with the local portal"
TIMES = 20


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Both clocks."""
    for row, leads in ((VIRTUAL, scale.virtual_leads), (REAL, scale.leads)):
        arguments: list[object] = ["--leads", leads]
        if row == REAL:
            home = stand.folder / "coalescing"
            home.mkdir()
            arguments += ["--folder", home]
        found = stand.measure("bench.measured.coalescing", *arguments)
        alone_s = one_at_a_time_s(leads)
        about = f"{leads:,} leads, {CALLS} calls each; the limit begins empty"
        findings.add(row, "all leads done after", "s", [found["seconds"]], about)
        findings.add(
            *(row, "times sooner than one call at a time", "x", [alone_s / found["seconds"]]),
            f"by its arithmetic that takes {alone_s:,.0f} s: a full burst, then the rate",
            Goal("at least", TIMES),
        )
        findings.add(
            *(row, "limit errors of the portal", "", [found["limit_errors"]]),
            f"of {found['requests']:,} requests, by the portal's own account",
            Goal("at most", 0),
        )
