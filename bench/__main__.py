"""`python -m bench [--quick] [--only ROW,…]`: measures, prints the table, keeps the results."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, report
from bench.figures import Findings
from bench.rows import (
    backlog,
    belt,
    bloat,
    coalescing,
    held_backlog,
    history,
    intake,
    intake_peers,
    latency,
    overload,
    peers,
    queries,
    shared_belt,
    workers,
)
from bench.scale import FULL, QUICK, Scale
from bench.stand import ROOT, Failed, Stand

RESULTS = ROOT / "bench" / "results"

Row = Callable[[Stand, Findings, Scale], None]
ROWS: dict[str, Row] = {
    "peers": peers.measure,
    "belt": belt.measure,
    "pure": belt.measure_pure,
    "latency": latency.measure,
    "intake": intake.measure,
    "intake-peers": intake_peers.measure,
    "intake-checked": intake.measure_checked,
    "backlog": backlog.measure,
    "held-backlog": held_backlog.measure,
    "overload": overload.measure,
    "history": history.measure,
    "shared-belt": shared_belt.measure,
    "shared-latency": latency.measure_shared,
    "queries": queries.measure,
    "bloat": bloat.measure,
    "workers": workers.measure,
    "coalescing": coalescing.measure,
}


def main() -> int:
    """Measures. Exit 0 when every row could be taken, whatever the figures are; else 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything: under 3 minutes")
    parser.add_argument("--only", default="", help=f"some of: {','.join(ROWS)}")
    options = parser.parse_args()
    wanted = [name for name in options.only.split(",") if name] or list(ROWS)
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        parser.error(f"no row is named {unknown[0]!r}; there are: {', '.join(ROWS)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    # On the disk of the sources: what is in memory, as /tmp often is, syncs nothing.
    folder = Path(tempfile.mkdtemp(prefix=".work-", dir=RESULTS))
    try:
        return measure(folder, wanted, quick=options.quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, wanted: list[str], *, quick: bool) -> int:
    """Measures the wanted rows in `folder`; prints and keeps what they found."""
    scale = QUICK if quick else FULL
    described = machine.describe(folder)
    print(report.header(described), flush=True)
    stand, findings, failures = Stand(folder), Findings(), 0
    findings.raw = stand.raw
    began = time.perf_counter()
    for name, row in ROWS.items():
        if name not in wanted:
            continue
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        try:
            row(stand, findings, scale)
        except Failed as failed:
            findings.miss(name, "the row", f"failed: {failed}")
            failures += 1
    peers.compare(findings)
    print(report.table(findings))
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%dT%H-%M-%S}Z.json"
    chosen = {"quick": quick, "rows": wanted, "scale": asdict(scale)}
    report.write_json(path, described, chosen, findings)
    print(f"\n{report.summary(findings)}, {time.perf_counter() - began:.0f} s")
    if quick:
        print("--quick measures less of everything: figures for a look, not to be quoted")
    print(f"kept in {path.relative_to(ROOT)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
