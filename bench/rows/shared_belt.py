"""The belt over PostgreSQL: the backlog of row `belt` in a database that nodes share.

One node and the server share the machine; then two nodes and the server do. One and two take turns,
each time in fresh processes over a fresh copy of the loaded database, so that what else the machine
does meets both alike.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from bench import database, lead
from bench.figures import Findings, Goal
from bench.journals import Verified, verify_postgres
from bench.rows.belt import MEMORY_MIB
from bench.scale import Scale
from bench.stand import Stand
from tests.servers.postgres import PostgresServer, postgres
from tests.servers.processes import NoServer

ROW = "Belt over PostgreSQL: backlog carried to its end, fsync on"
TWO = "Belt over PostgreSQL: two nodes and the server on this machine"
STEPS = "durable steps a second"
STEPS_PER_S = 25_000
LOADED = "loaded"


@dataclass(frozen=True)
class Carried:
    """One backlog, carried: what each node told, what the server used, what the database holds."""

    nodes: list[dict[str, Any]]
    server_cpu_s: float
    wal_bytes: int
    verified: Verified

    @property
    def seconds(self) -> float:
        """From the moment when the nodes were let go until the last one was done."""
        ended_at = max(node["began_at"] + node["seconds"] for node in self.nodes)
        return float(ended_at - min(node["began_at"] for node in self.nodes))

    @property
    def hub_cpu_s(self) -> float:
        """CPU seconds of all nodes."""
        return float(sum(node["cpu_s"] for node in self.nodes))

    @property
    def steps_per_s(self) -> float:
        """Durable steps a second of wall time."""
        return self.verified.steps / self.seconds


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """One node and two, in turns."""
    try:
        with postgres(stand.folder) as server:
            url = server.database(LOADED)
            home = stand.home("shared-belt")
            stand.measure(
                *("bench.measured.load", "--home", home, "--store", url),
                *("--kind", "backlog", "--source", "leads", "--count", scale.backlog),
            )
            server.ask("vacuum analyze", LOADED)  # as a database that has stood for a minute is
            one: list[Carried] = []
            two: list[Carried] = []
            for _ in range(scale.shared_runs):
                for nodes, carried in ((1, one), (2, two)):
                    carried.append(carry(stand, server, nodes, scale.backlog))
            on = database.conditions(server)
            stand.drop(home)
    except NoServer as missing:
        findings.miss(ROW, STEPS, str(missing))
        findings.miss(TWO, STEPS, str(missing))
        return
    _one_node(findings, one, scale, on)
    _two_nodes(findings, one, two)


def carry(stand: Stand, server: PostgresServer, nodes: int, backlog: int) -> Carried:
    """Carries the loaded backlog by so many nodes."""
    url = database.copy(server, LOADED, "belt")
    home = stand.folder / "shared-belt"
    before: list[float] = []

    def begin() -> None:
        before.extend((server.cpu_s(), database.wal_bytes(server)))

    calls = [("--home", home, "--store", url)] * nodes
    found = stand.measure_together("bench.measured.belt", calls, begin)
    cpu_s = server.cpu_s() - before[0]
    wal = database.wal_bytes(server) - int(before[1])
    carried = Carried(found, cpu_s, wal, verify_postgres(url, backlog))
    server.drop("belt")
    return carried


def _one_node(findings: Findings, found: list[Carried], scale: Scale, on: str) -> None:
    steps, runs = found[0].verified.steps, found[0].verified.runs
    findings.add(
        *(ROW, STEPS, "steps/s", [run.steps_per_s for run in found]),
        f"{scale.backlog:,} leads, {lead.STEPS} steps each, one node and the server on the same"
        f" cores; from the start of the hub's coroutines until all is durable; {on}",
        Goal("at least", STEPS_PER_S),
    )
    findings.add(
        *(ROW, "steps a second of one core", "steps/s"),
        [steps / (run.hub_cpu_s + run.server_cpu_s) for run in found],
        "by the CPU seconds of the hub's process and of all of PostgreSQL's together",
    )
    findings.add(
        *(ROW, "CPU per step, the hub", "µs", [run.hub_cpu_s / steps * 1e6 for run in found]),
        "all threads of the process",
    )
    findings.add(
        *(ROW, "CPU per step, PostgreSQL", "µs"),
        [run.server_cpu_s / steps * 1e6 for run in found],
        "all processes of the server: backends, checkpointer, WAL writer, autovacuum",
    )
    findings.add(
        *(ROW, "PostgreSQL's share of the CPU", "%"),
        [run.server_cpu_s / (run.hub_cpu_s + run.server_cpu_s) * 100 for run in found],
        "of the CPU seconds of both",
    )
    findings.add(
        *(ROW, "CPU used", "cores"),
        [(run.hub_cpu_s + run.server_cpu_s) / run.seconds for run in found],
        "by both; less than the machine has: one waited for the other, or for the disk",
    )
    findings.add(
        *(ROW, "commits on each run's way", ""),
        [run.verified.rows / runs for run in found],
        "journal rows of a run: each was durable before what it decided was dispatched",
    )
    findings.add(
        *(ROW, "commits per run", "", [run.nodes[0]["commits"] / runs for run in found]),
        "group commit: commits of the belt in all, by the number of runs",
    )
    findings.add(
        *(ROW, "journals verified complete", "runs", [float(r.verified.runs) for r in found]),
        "read from the database: seq without gaps, each step completed once by its way,"
        " run-completed",
        Goal("at least", scale.backlog),
    )
    findings.add(
        *(ROW, "disk per run", "bytes", [run.verified.file_bytes / runs for run in found]),
        f"all tables of the runs with their indexes, with the {lead.LEAD_BYTES}-byte lead",
    )
    findings.add(
        *(ROW, "WAL per run", "bytes", [run.wal_bytes / runs for run in found]),
        "written while the runs were carried, their acceptance not counted; a checkpoint came"
        " before, so pages that are changed for the first time are in it whole",
    )
    findings.add(
        *(ROW, "memory at its highest", "MiB", [run.nodes[0]["rss_mib"] for run in found]),
        "VmHWM of the hub's process",
        Goal("at most", MEMORY_MIB),
    )


def _two_nodes(findings: Findings, one: list[Carried], two: list[Carried]) -> None:
    steps = two[0].verified.steps
    by_one, by_two = (statistics.median(run.steps_per_s for run in runs) for runs in (one, two))
    findings.add(
        *(TWO, STEPS, "steps/s", [run.steps_per_s for run in two]),
        "the same backlog; from the moment when both are let go until the last one is done; in"
        " turns with one node",
    )
    findings.add(
        *(TWO, "two nodes by one", "times"),
        [by_two / by_one],
        "ratio of the medians",
        Goal("at least", 1.0),
    )
    findings.add(
        *(TWO, "the smaller part of the runs", "%"),
        [min(node["runs"] for node in run.nodes) / run.verified.runs * 100 for run in two],
        "runs that the node with fewer of them claimed",
    )
    findings.add(
        *(TWO, "steps a second of one core", "steps/s"),
        [steps / (run.hub_cpu_s + run.server_cpu_s) for run in two],
        "by the CPU seconds of both hubs and of PostgreSQL together",
    )
    findings.add(
        *(TWO, "PostgreSQL's share of the CPU", "%"),
        [run.server_cpu_s / (run.hub_cpu_s + run.server_cpu_s) * 100 for run in two],
        "of the CPU seconds of all",
    )
