"""What grows in a PostgreSQL store: with every run, and with the runs that are open alone.

A day's load is pressed into minutes. Requests, journals and what has ended grow with it, by so many
bytes a run; the tables that rows leave again must not, and autovacuum, as the store sets it for its
tables, has to see to that.
"""

from __future__ import annotations

from typing import Any

from bench import database
from bench.figures import Findings, Goal
from bench.scale import Scale
from bench.stand import Failed, Stand
from tests.servers.postgres import PostgresServer, postgres
from tests.servers.processes import NoServer

ROW = "What grows over PostgreSQL: a day's load in minutes"
GROW = ("request", "journal", "finished")
STAY = ("run", "inbox", "held", "identity", "node")
KIB = 1_024
STEADY = 1.25  # what grew with the runs that ended would be twice as large after twice as many

# A day has 1,440 of autovacuum's looks at one a minute; the minutes that it is pressed into have
# fewer than that even so.
SETTINGS = {"autovacuum_naptime": "2s"}


def measure(stand: Stand, findings: Findings, scale: Scale) -> None:
    """Carries a day's load, and tells the sizes."""
    try:
        with postgres(stand.folder, settings=SETTINGS) as server:
            url = server.database("day")
            home = stand.home("day")
            found = stand.measure(
                *("bench.measured.day", "--home", home, "--store", url),
                *("--rounds", scale.day_rounds, "--each", scale.day_runs // scale.day_rounds),
                timeout_s=900,
            )
            _check(server, found["rounds"][-1]["runs"])
            on = f"{database.conditions(server)}, but for autovacuum_naptime 2s"
            stand.drop(home)
    except NoServer as missing:
        findings.miss(ROW, "bytes per run", str(missing))
        return
    _add(findings, found, on)


def _check(server: PostgresServer, runs: int) -> None:
    """All runs must have ended. Raises `Failed`."""
    ended = int(server.ask("select count(*) from beltline.finished", "day"))
    left = int(server.ask("select count(*) from beltline.run", "day"))
    if (ended, left) != (runs, 0):
        raise Failed(f"{runs} runs were begun, {ended} have ended, and {left} are open")


def _add(findings: Findings, found: dict[str, Any], on: str) -> None:
    rounds: list[dict[str, Any]] = found["rounds"]
    first, last = rounds[0], rounds[-1]
    runs = last["runs"] - first["runs"]
    each = rounds[0]["runs"]
    load = (
        f"{last['runs']:,} runs in {found['seconds']:.0f} s, {each:,} a round, all ended after it;"
        " a tenth was held and released, a twentieth waited and was cancelled, the others came"
        f" under an identity; {on}"
    )
    grown = sum(_bytes(last, table) - _bytes(first, table) for table in GROW)
    findings.add(*(ROW, "disk per run", "bytes", [grown / runs]), f"rows, indexes, TOAST; {load}")
    for table in GROW:
        one = last["tables"][table]
        before = first["tables"][table]
        parts = ", ".join(
            f"{words} {(one[part] - before[part]) / runs:,.0f}"
            for words, part in (("rows", "rows_bytes"), ("indexes", "indexes_bytes"))
        )
        bytes_ = (_bytes(last, table) - _bytes(first, table)) / runs
        findings.add(*(ROW, f"of it in {table}", "bytes", [bytes_]), parts)
    findings.add(
        *(ROW, "WAL per run", "bytes", [(last["wal_bytes"] - first["wal_bytes"]) / runs]),
        "from its acceptance to its end, with the checkpoints that came meanwhile",
    )
    half = rounds[len(rounds) // 2 - 1]
    for table in STAY:
        now = [_bytes(one, table) / KIB for one in rounds]
        dead = max(one["tables"][table]["dead"] for one in rounds)
        findings.add(
            *(ROW, f"{table}, after each round", "KiB", now),
            f"first {now[0]:,.0f}, half way {_bytes(half, table) / KIB:,.0f}, last {now[-1]:,.0f};"
            f" {dead:,} dead rows at the most",
        )
    before_kib, after_kib = (
        max(sum(_bytes(one, table) for table in STAY) for one in part)
        for part in (rounds[: len(rounds) // 2], rounds[len(rounds) // 2 :])
    )
    findings.add(
        *(ROW, "these, second half by first", "times", [after_kib / before_kib]),
        "the greatest size of all five together after the rounds of each half; what grew with the"
        " runs that ended would give 2",
        Goal("at most", STEADY),
    )


def _bytes(one: dict[str, Any], table: str) -> int:
    """Rows and indexes of a table after a round."""
    sizes: dict[str, int] = one["tables"][table]
    return sizes["rows_bytes"] + sizes["indexes_bytes"]
