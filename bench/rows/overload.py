"""Overload: ten times more than a process may carry, sent at a fixed rate whatever the answers are.

    calm ──> overload, the API asked meanwhile ──> calm again, until the backlog is gone

The source releases 200 a second, holds a bounded backlog, and has all that a source may check: a
signature, an identity, a schema. So each sender that is refused was verified and read before.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import database, journals
from bench.figures import Findings, Goal
from bench.rows.belt import database as sqlite_file
from bench.scale import Scale
from bench.stand import SECRET, Failed, Served, Stand
from tests.servers.postgres import postgres
from tests.servers.processes import NoServer

ROW = "Overload: 2,000 requests a second for a process of 200"
SHARED = "Overload over PostgreSQL: 2,000 requests a second for a process of 200"
SOURCE = "limited-leads"  # at most 200 a second, a backlog of 10,000
CALM_SOURCE = "checked-leads"
RUNS_PER_S = 200
OFFERED_PER_S = 2_000
CALM_PER_S = 100
ASKED_PER_S = 8
CALM_FIRST = 1_000_000_000  # between the numbers of the leads of two parts
QUESTIONS = (
    "/api/v1/runs",
    "/api/v1/runs?status=waiting",
    f"/api/v1/runs?source={SOURCE}",
    "/api/v1/buffers",
    f"/api/v1/buffers/{SOURCE}/requests",
    "/api/v1/sources",
    "/api/v1/dead-letters",
    "/metrics",
)
NORMAL_S = 60
MEMORY_MIB = 512
REFUSED_MS = 50
ASKED_MS = 300
TIMES_AS_BEFORE = 2.0


@dataclass(frozen=True)
class Overloaded:
    """What the parts told, and how long the backlog took to go after the last was sent."""

    before: dict[str, Any]
    during: dict[str, Any]
    asked: dict[str, Any]
    after: dict[str, Any]
    drained_s: float
    memory_mib: float
    cores: float


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Over SQLite, and over PostgreSQL where it is installed."""
    home = stand.home("overload")
    kept = stand.folder / "accepted"
    found = carry(stand, home, None, kept, scale)
    accepted = number_accepted(found)
    runs = all_there(kept, journals.requests(sqlite_file(home)), found)
    carried = journals.verify(sqlite_file(home), runs).runs
    stand.drop(home)
    _report(findings, ROW, found, accepted, carried, f"SQLite; {scale.overload_s} s")
    _measure_shared(stand, findings, scale)


def _measure_shared(stand: Stand, findings: Findings, scale: Scale) -> None:
    kept = stand.folder / "accepted"
    try:
        with postgres(stand.folder) as server:
            url = server.database("overload")
            home = stand.home("overload")
            stand.beltline(home, "publish", store=url)
            found = carry(stand, home, url, kept, scale)
            runs = all_there(kept, journals.requests_postgres(url), found)
            carried = journals.verify_postgres(url, runs).runs
            on = database.conditions(server)
            stand.drop(home)
    except NoServer as missing:
        findings.miss(SHARED, "accepted and carried out", str(missing))
        return
    seconds = scale.overload_shared_s
    _report(findings, SHARED, found, number_accepted(found), carried, f"{on}; {seconds} s")


def carry(stand: Stand, home: Path, store: str | None, kept: Path, scale: Scale) -> Overloaded:
    """Goes through all three parts; ids of accepted requests are written to `kept`."""
    token = stand.beltline(home, "token", "create", "--role", "viewer", store=store)
    seconds = scale.overload_s if store is None else scale.overload_shared_s
    with stand.serving(home, store=store) as hub, ThreadPoolExecutor() as threads:
        calm = f"{hub.address}/in/{CALM_SOURCE}"
        before = send(stand, calm, CALM_PER_S, scale.calm_s, CALM_FIRST)
        cpu_s, began = hub.cpu_s(), time.perf_counter()
        asking = threads.submit(ask, stand, hub, token, seconds)
        during = send(stand, f"{hub.address}/in/{SOURCE}", OFFERED_PER_S, seconds, 0, kept)
        ended = time.perf_counter()
        cores = (hub.cpu_s() - cpu_s) / (ended - began)
        calm_again = threads.submit(send, stand, calm, CALM_PER_S, scale.calm_s, 2 * CALM_FIRST)
        drained_s = _drained_after(hub, token, ended)
        after, asked = calm_again.result(), asking.result()
        memory_mib = hub.memory_mib()
        _until_idle(hub, token)
    return Overloaded(before, during, asked, after, drained_s, memory_mib, cores)


def send(
    stand: Stand, url: str, rate: float, seconds: float, first: int, kept: Path | None = None
) -> dict[str, Any]:
    """Sends signed leads at a fixed rate."""
    keep = () if kept is None else ("--accepted", kept)
    return stand.measure(
        *("bench.measured.sender", "--url", url, "--rate", rate, "--seconds", seconds),
        *("--first", first, "--secret", SECRET, *keep),
        timeout_s=seconds + 120,
    )


def ask(stand: Stand, hub: Served, token: str, seconds: float) -> dict[str, Any]:
    """Asks the API at a fixed rate."""
    paths = [part for path in QUESTIONS for part in ("--path", path)]
    return stand.measure(
        *("bench.measured.sender", "--url", hub.address, "--token", token),
        *("--rate", ASKED_PER_S, "--seconds", seconds, "--connections", 8, *paths),
        timeout_s=seconds + 120,
    )


def _drained_after(hub: Served, token: str, ended: float) -> float:
    """Seconds from `ended` until the source holds nothing."""
    while (passed := time.perf_counter() - ended) < 4 * NORMAL_S:
        buffers = question(hub, token, "/api/v1/buffers")["buffers"]
        if not next(one["held"] for one in buffers if one["source"] == SOURCE):
            return time.perf_counter() - ended
        time.sleep(0.2)
    raise Failed(f"the backlog is not gone {passed:.0f} s after the overload")


def _until_idle(hub: Served, token: str) -> None:
    """Waits for the runs that were let go last."""
    until = time.perf_counter() + NORMAL_S
    while time.perf_counter() < until:
        open_runs = [
            question(hub, token, f"/api/v1/runs?source={SOURCE}&limit=1&status={status}")["runs"]
            for status in ("moving", "parked", "waiting", "stopped")
        ]
        if not any(open_runs):
            return
        time.sleep(0.2)
    raise Failed("runs are open long after the backlog was gone")


def question(hub: Served, token: str, path: str) -> Any:
    """One answer of the API. Raises `Failed`."""
    connection = http.client.HTTPConnection(hub.address.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 200:
            raise Failed(f"GET {path}: {answer.status} {told[:300]!r}")
        return json.loads(told)
    finally:
        connection.close()


def number_accepted(found: Overloaded) -> int:
    """How many were answered 202 during the overload."""
    return int(found.during["answers"].get("202", {"number": 0})["number"])


def all_there(kept: Path, stored: set[bytes], found: Overloaded) -> int:
    """How many runs must be there: those that were accepted, each of them looked up. Raises
    `Failed`.
    """
    accepted = [uuid.UUID(line).bytes for line in kept.read_text(encoding="utf-8").split()]
    missing = [key for key in accepted if key not in stored]
    if missing or len(accepted) != number_accepted(found):
        raise Failed(f"{len(missing)} of {len(accepted)} requests that were answered 202 are gone")
    if "0" in found.during["answers"]:
        raise Failed(f"senders got no answer: {found.during['answers']['0']}")
    calm = sum(part["answers"]["202"]["number"] for part in (found.before, found.after))
    return len(stored) - int(calm)


def number_refused(found: Overloaded) -> tuple[int, float]:
    """How many were refused, and the 99th of a hundred of their latencies."""
    kinds = {
        kind: answer for kind, answer in found.during["answers"].items() if kind in ("429", "503")
    }
    if set(found.during["answers"]) - set(kinds) - {"202"}:
        raise Failed(f"senders got other answers: {found.during['answers']}")
    number = sum(answer["number"] for answer in kinds.values())
    return number, max((answer["p99_ms"] for answer in kinds.values()), default=0.0)


def worst(answers: dict[str, Any], key: str) -> float:
    """The largest of all kinds of answers."""
    return max(float(answer[key]) for answer in answers.values())


def _report(
    findings: Findings, row: str, found: Overloaded, accepted: int, carried: int, on: str
) -> None:
    during, behind = found.during, found.during["behind"]
    refused, refused_ms = number_refused(found)
    wrong = [kind for kind in found.asked["answers"] if not kind.startswith("200 ")]
    if wrong:
        raise Failed(f"the API answered {wrong}")
    sender = (
        f"latency from the moment when each was due; the sender itself was late by"
        f" {behind['p99_ms']:.1f} ms (p99), and on the same machine"
    )
    findings.add(
        *(row, "accepted and carried out", "of all accepted", [carried / max(1, accepted)]),
        f"{on} of {OFFERED_PER_S:,} a second, signed, with identity and schema: {accepted:,}"
        f" accepted, each found, journals verified complete; {refused:,} refused",
        Goal("at least", 1),
    )
    findings.add(
        *(row, "refused within, p99", "ms", [refused_ms]),
        f"429 of those whose backlog is full; {sender}",
        Goal("at most", REFUSED_MS),
    )
    findings.add(
        *(row, "accepted within, p99", "ms", [during["answers"]["202"]["p99_ms"]]), "202; the same"
    )
    findings.add(
        *(row, "the API answers within, p95", "ms", [worst(found.asked["answers"], "p95_ms")]),
        f"the slowest of {len(QUESTIONS)} questions (lists of runs, buffers, sources, what waits,"
        f" dead letters, metrics), {ASKED_PER_S} a second meanwhile",
        Goal("at most", ASKED_MS),
    )
    findings.add(
        *(row, "memory at its highest", "MiB", [found.memory_mib]),
        "VmHWM of `beltline serve`",
        Goal("at most", MEMORY_MIB),
    )
    findings.add(*(row, "CPU used", "cores", [found.cores]), "by the hub alone, meanwhile")
    findings.add(
        *(row, "backlog gone after", "s", [found.drained_s]),
        f"from the last request that was due; 10,000 at {RUNS_PER_S} a second take 50 s",
        Goal("at most", NORMAL_S),
    )
    calm, again = (part["answers"]["202"]["p99_ms"] for part in (found.before, found.after))
    findings.add(
        *(row, "intake p99 after, by before", "times", [again / calm]),
        f"{CALM_PER_S} a second to another source, for a while before ({calm:.1f} ms), and from"
        f" the end of the overload on ({again:.1f} ms)",
        Goal("at most", TIMES_AS_BEFORE),
    )
