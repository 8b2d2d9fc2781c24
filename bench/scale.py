"""How much is measured: the whole, or `--quick` to see that all of it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Bounds of the measurements: numbers of requests, of repetitions, and seconds."""

    backlog: int = 20_000
    belt_runs: int = 5
    pure_runs: int = 3
    latencies: int = 1_000
    intake_s: int = 8
    intake_runs: int = 3
    stored: int = 1_000_000
    finished: int = 1_000_000
    history_backlog: int = 10_000
    history_rounds: int = 5
    workflows: int = 400
    shared_runs: int = 5
    open_runs: int = 1_000_000
    finished_runs: int = 10_000_000
    queries: int = 200
    day_runs: int = 200_000
    day_rounds: int = 20
    wakeups: int = 500
    overload_s: int = 600
    calm_s: int = 20
    held_questions: int = 200
    overload_shared_s: int = 60
    worker_backlog: int = 5_000
    worker_runs: int = 3
    virtual_leads: int = 1_000
    leads: int = 300


FULL = Scale()
QUICK = Scale(
    belt_runs=2,
    pure_runs=1,
    latencies=200,
    intake_s=3,
    intake_runs=1,
    stored=50_000,
    finished=50_000,
    history_backlog=4_000,
    history_rounds=2,
    workflows=60,
    shared_runs=1,
    open_runs=20_000,
    finished_runs=200_000,
    queries=50,
    day_runs=20_000,
    day_rounds=10,
    wakeups=100,
    overload_s=15,
    held_questions=50,
    overload_shared_s=10,
    worker_backlog=1_000,
    worker_runs=1,
    leads=100,
)
