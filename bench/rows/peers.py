"""The peers: the same work in other engines, on the same machine in the same run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench import lead
from bench.figures import Figure, Findings, Goal
from bench.rows import shared_belt
from bench.rows.belt import BELT
from bench.scale import Scale
from bench.stand import ROOT, Failed, Stand
from bench.wrk import NoWrk, program
from tests.servers.postgres import postgres
from tests.servers.processes import NoServer

ROW = "Peers: the same work"
RATIO = 80
ON_POSTGRES = "DBOS on PostgreSQL"
POSTGRES_RATIO = 50
ENVIRONMENT = ROOT / "bench" / ".venv"
REQUIREMENTS = ROOT / "bench" / "peers" / "requirements.txt"
PEER_S = 180

# (way, workflows at once): what its documentation offers; the fastest counts.
SQLITE = (("threads", 1), ("threads", 8), ("queue", 8), ("async", 8))
POSTGRES = (("threads", 8), ("threads", 32), ("queue", 8), ("async", 32))


def environment() -> Path:
    """The Python of the peers' own environment, which is made when it is missing or old. Raises
    `Failed`.
    """
    python = ENVIRONMENT / "bin" / "python"
    made_from = ENVIRONMENT / "requirements.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if made_from.is_file() and made_from.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    for command in (
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        [
            *(str(python), "-m", "pip", "install", *quiet),
            *("--require-hashes", "--no-deps", "--requirement", str(REQUIREMENTS)),
        ],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"the peers could not be installed: {done.stderr.strip()[-500:]}")
    made_from.write_text(wanted, encoding="utf-8")
    return python


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """DBOS Transact on both databases, and Restate where it is installed."""
    try:
        python = environment()
    except Failed as failed:
        findings.miss(ROW, "DBOS Transact", str(failed))
    else:
        for database in ("default", "wal"):
            words = "as it comes" if database == "default" else "write-ahead log"
            _best(findings, f"DBOS on SQLite, {words}", _sqlite(stand, python, database, scale))
        try:
            _best(findings, ON_POSTGRES, _postgres(stand, python, scale))
        except NoServer as missing:
            findings.miss(ROW, ON_POSTGRES, str(missing))
        _restate(stand, python, findings, scale)


def _sqlite(stand: Stand, python: Path, database: str, scale: Scale) -> list[dict[str, Any]]:
    found = []
    for way, at_once in SQLITE:
        folder = stand.folder / "dbos"
        folder.mkdir()
        arguments = ("bench.peers.dbos_sqlite", "--folder", folder, "--database", database)
        found.append(_one_way(stand, python, way, at_once, arguments, scale))
        shutil.rmtree(folder)
    return found


def _postgres(stand: Stand, python: Path, scale: Scale) -> list[dict[str, Any]]:
    found = []
    for way, at_once in POSTGRES:
        with postgres(stand.folder) as server:
            url = server.database("dbos").replace("postgresql:", "postgresql+psycopg:")
            arguments = ("bench.peers.dbos_postgres", "--url", url)
            found.append(_one_way(stand, python, way, at_once, arguments, scale))
    return found


def _one_way(
    stand: Stand,
    python: Path,
    way: str,
    at_once: int,
    arguments: tuple[object, ...],
    scale: Scale,
) -> dict[str, Any]:
    """One way of running it; where it fails, which a locked database can bring about, it is told
    with no steps, so that the others still count.
    """
    module, *rest = arguments
    rest += ["--way", way, "--at-once", at_once, "--workflows", scale.workflows]
    try:
        return stand.measure(str(module), *rest, python=python, timeout_s=PEER_S)
    except Failed as failed:
        return {"way": way, "at_once": at_once, "steps_per_s": 0.0, "failed": str(failed)}


def _restate(stand: Stand, python: Path, findings: Findings, scale: Scale) -> None:
    """Restate, where its server is installed: it comes from npm, not from the package index."""
    name = "Restate"
    server = os.environ.get("RESTATE_SERVER") or shutil.which("restate-server")
    if server is None:
        reason = "`restate-server` is not installed, and RESTATE_SERVER does not name it"
        findings.miss(ROW, name, f"{reason}; bench/README.md says more")
        return
    try:
        wrk = program()
    except NoWrk as missing:
        findings.miss(ROW, name, str(missing))
        return
    folder = stand.folder / "restate"
    folder.mkdir()
    found = stand.measure(
        *("bench.peers.restate_service", "--server", server, "--wrk", wrk),
        *("--folder", folder, "--seconds", scale.intake_s),
        python=python,
        timeout_s=PEER_S,
    )
    shutil.rmtree(folder)
    findings.add(
        *(ROW, name, "steps/s", [found["steps_per_s"]]),
        f"Restate {found['version']}, its Python SDK under hypercorn, default settings,"
        f" {found['at_once']} requests at once by wrk for {scale.intake_s} s,"
        f" {found['completed']:,} invocations verified in its tables",
    )


def _best(findings: Findings, name: str, found: list[dict[str, Any]]) -> None:
    """The fastest of the ways, with all of them in the conditions."""
    best = max(found, key=lambda run: float(run["steps_per_s"]))
    if "failed" in best:
        findings.miss(ROW, name, f"every way failed; the last one: {found[-1]['failed']}")
        return
    ways = ", ".join(
        f"{run['way']} x{run['at_once']} "
        + ("failed" if "failed" in run else f"{run['steps_per_s']:.0f}")
        for run in found
    )
    if "server_version" in best:
        durable = f"PostgreSQL {best['server_version'].split()[0]}, fsync {best['fsync']}"
    else:
        durable = f"journal {best['journal_mode']}, synchronous {best['synchronous']} (2 is FULL)"
    findings.add(
        *(ROW, name, "steps/s", [best["steps_per_s"]]),
        f"DBOS Transact {best['dbos']}, {best['workflows']} workflows of {lead.STEPS} steps,"
        f" verified in its tables; {durable}; the fastest of {ways}",
    )


def compare(findings: Findings) -> None:
    """The belt against the fastest peer of the same run, and over the same database."""
    _compare_fastest(findings)
    _compare_on_postgres(findings)


def _compare_on_postgres(findings: Findings) -> None:
    name = "belt by DBOS, both on PostgreSQL"
    belt = findings.median(shared_belt.ROW, shared_belt.STEPS)
    peer = findings.median(ROW, ON_POSTGRES)
    if belt is None or peer is None:
        findings.miss(ROW, name, "needs the rows `shared-belt` and `peers` of one run")
        return
    findings.add(
        *(ROW, name, "times", [belt / peer]),
        "median of the belt's durable steps a second with one node by DBOS's fastest way; servers"
        " of the same version with the same settings on the same machine",
        Goal("at least", POSTGRES_RATIO),
    )


def _compare_fastest(findings: Findings) -> None:
    belt = findings.median(BELT, "durable steps a second")
    peers = {
        figure.name: figure.median
        for figure in findings.figures
        if isinstance(figure, Figure) and figure.row == ROW and figure.name.startswith("DBOS")
    }
    name = "belt by the fastest DBOS"
    if belt is None or not peers:
        findings.miss(ROW, name, "needs the rows `belt` and `peers` of one run")
        return
    fastest = max(peers, key=lambda peer: peers[peer])
    findings.add(
        *(ROW, name, "times", [belt / peers[fastest]]),
        f"median of the belt's durable steps a second by {fastest}",
        Goal("at least", RATIO),
    )
