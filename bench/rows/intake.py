"""Intake over HTTP: `POST /in/{source}` to a durable 202, alone and with everything running."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import apsw

from bench import lead
from bench.figures import Findings, Goal
from bench.journals import verify
from bench.rows.belt import MEMORY_MIB, database
from bench.scale import Scale
from bench.stand import SECRET, Failed, Served, Stand
from bench.wrk import CONNECTIONS, NoWrk, post_leads, program, sign_leads

ROW = f"Intake: POST /in to 202, durable, wrk with {CONNECTIONS} connections"
CHECKED = f"{ROW}; HMAC, identity and schema"
JOINT = f"Everything at once: wrk with {CONNECTIONS} connections, runs carried meanwhile"
APART = 1_000_000_000  # between the lead numbers of two calls of wrk: even, as it decides the way
PATIENCE_S = 120
PER_S = 8_000
CHECKED_PER_S = 6_000
HALF_MS = 50
SIGNED_PER_S = 20_000  # more than anybody takes in


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """The intake with release paused, then with runs carried at the same time."""
    try:
        program()
    except NoWrk as missing:
        findings.miss(ROW, "requests a second", str(missing))
        findings.miss(JOINT, "requests a second", str(missing))
        return
    _paused(stand, findings, scale, ROW, "held-leads")
    _joint(stand, findings, scale)


def measure_checked(stand: Stand, findings: Findings, scale: Scale) -> None:
    """The intake with all that a source may check."""
    try:
        program()
    except NoWrk as missing:
        findings.miss(CHECKED, "requests a second", str(missing))
        return
    _paused(stand, findings, scale, CHECKED, "checked-leads")


def _paused(stand: Stand, findings: Findings, scale: Scale, row: str, source: str) -> None:
    home = stand.home("intake")
    is_signed = source == "checked-leads"
    with stand.serving(home) as hub:
        url = f"{hub.address}/in/{source}"
        warm_up, *found = _posts(url, scale, hub, stand.folder if is_signed else None)
        rate = statistics.median(run["requests"] / run["seconds"] for run in found) / 2
        half = stand.measure(
            *("bench.measured.sender", "--url", url, "--rate", rate, "--connections", 256),
            *("--seconds", scale.intake_s, "--first", APART * (scale.intake_runs + 1)),
            *(("--secret", SECRET) if is_signed else ()),
        )
        memory = hub.memory_mib()
    if set(half["answers"]) != {"202"}:
        raise Failed(f"not every request was accepted: {half['answers']}")
    accepted = half["sent"] + warm_up["requests"] + sum(run["requests"] for run in found)
    held = _count(home, "SELECT count(*) FROM held")
    # Answers that were on their way when wrk stopped are in the store, and not in its count.
    if not accepted <= held <= accepted + CONNECTIONS * (1 + len(found)):
        raise Failed(f"{accepted} requests were answered 202, and {held} are in the store")
    stand.drop(home)
    checked = " signed with HMAC, with an identity and a schema;" if is_signed else ""
    on = f"{scale.intake_s} s each, {lead.LEAD_BYTES}-byte bodies, all distinct;{checked}"
    findings.add(
        *(row, "requests a second", "", [run["requests"] / run["seconds"] for run in found]),
        f"{on} release paused; wrk runs on the same machine; every 202 was found in the store"
        " afterwards",
        Goal("at least", CHECKED_PER_S if is_signed else PER_S),
    )
    for name, key in (("p50", "p50_ms"), ("p99", "p99_ms"), ("longest", "max_ms")):
        findings.add(*(row, name, "ms", [run[key] for run in found]), "")
    findings.add(
        *(row, "p99 at half of that rate", "ms", [half["answers"]["202"]["p99_ms"]]),
        f"{rate:,.0f} a second, sent at a fixed rate: from the moment when each was due; the sender"
        f" was late by {half['behind']['p99_ms']:.1f} ms (p99), and runs on the same machine",
        Goal("at most", HALF_MS),
    )
    findings.add(*(row, "CPU used", "cores", [run["cores"] for run in found]), "by the hub alone")
    _memory(findings, row, memory)


def _posts(url: str, scale: Scale, hub: Served, signed_in: Path | None) -> list[dict[str, Any]]:
    """What wrk found, with the CPU that the hub used; the first call is there to warm up. The
    signatures are worked out before, into a file in `signed_in`.
    """
    found: list[dict[str, Any]] = []
    for number in range(scale.intake_runs + 1):
        seconds = scale.intake_s if number else 1
        signatures = None if signed_in is None else signed_in / "signatures"
        if signatures is not None:
            sign_leads(signatures, APART * number, SIGNED_PER_S * seconds)
        before = hub.cpu_s()
        run = post_leads(url, seconds, APART * number, signatures)
        found.append({**run, "cores": (hub.cpu_s() - before) / run["seconds"]})
    return found


def _joint(stand: Stand, findings: Findings, scale: Scale) -> None:
    home = stand.home("joint")
    with stand.serving(home) as hub:
        before = hub.cpu_s()
        began = time.perf_counter()
        found = post_leads(f"{hub.address}/in/leads", scale.intake_s, 0)
        runs = _until_completed(home, found["requests"])
        seconds = time.perf_counter() - began
        cores = (hub.cpu_s() - before) / seconds
        memory = hub.memory_mib()
    checked = verify(database(home), runs)
    stand.drop(home)
    on = f"{scale.intake_s} s of wrk on the same machine, released at once"
    findings.add(
        *(JOINT, "requests a second", "", [found["requests"] / found["seconds"]]),
        f"{on}; answered 202 while runs were carried",
    )
    findings.add(*(JOINT, "p50", "ms", [found["p50_ms"]]), "of the 202")
    findings.add(*(JOINT, "p99", "ms", [found["p99_ms"]]), "of the 202")
    findings.add(
        *(JOINT, "steps a second to the end", "steps/s", [checked.steps / seconds]),
        f"{checked.runs:,} runs, from the first request to the last completion ({seconds:.1f} s);"
        " journals verified complete",
    )
    findings.add(*(JOINT, "CPU used", "cores", [cores]), "by the hub alone")
    _memory(findings, JOINT, memory)


def _until_completed(home: Path, at_least: int) -> int:
    """Waits until every run in the store is completed; gives their number."""
    until = time.perf_counter() + PATIENCE_S
    while True:
        open_runs = _count(home, "SELECT count(*) FROM run WHERE status <> 'completed'")
        if not open_runs:
            runs = _count(home, "SELECT count(*) FROM run")
            if runs < at_least:
                raise Failed(f"{at_least} requests were answered 202, and {runs} runs are there")
            return runs
        if time.perf_counter() > until:
            break
        time.sleep(0.2)
    raise Failed(f"{open_runs} runs are not completed after {PATIENCE_S} s")


def _count(home: Path, query: str) -> int:
    """One number out of the store's file, read beside the hub."""
    db = apsw.Connection(str(database(home)), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        db.set_busy_timeout(5_000)
        number: int = db.execute(query).get
        return number
    finally:
        db.close()


def _memory(findings: Findings, row: str, memory_mib: float) -> None:
    findings.add(
        *(row, "memory at its highest", "MiB", [memory_mib]),
        "VmHWM of `beltline serve`",
        Goal("at most", MEMORY_MIB),
    )
