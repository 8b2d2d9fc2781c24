"""What a round left behind, as it can be read without the hub: the database's rows and the ledgers.

Times are seconds of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec

OPEN_RUNS = """
SELECT key, status || ', owner ' || coalesce(owner::text, 'none') || ', crashes ' || crashes
FROM beltline.run
"""
# The memberships that were silent for longer than their lease: whose they were, and how many
# seconds before now their last sign of life and their end were.
SILENT = """
SELECT name,
       extract(epoch FROM clock_timestamp() - lease_until)::float8 + lease_ms / 1000.0::float8,
       extract(epoch FROM clock_timestamp() - ended_at)::float8
FROM beltline.node WHERE ended_at > lease_until ORDER BY id
"""


class Visit(NamedTuple):
    """One activation of a step in a run."""

    run: str
    step: str
    visit: int


class Call(NamedTuple):
    """One line of a ledger."""

    where: Visit
    attempt: int
    key: str
    node: int
    at: float


class Spell(NamedTuple):
    """When something was wrong, and with whom (None: all)."""

    begin: float
    end: float
    node: int | None


class Journal(NamedTuple):
    """What a run's journal says: how often each event happened to each visit, and which attempts
    were decided on. `is_whole` tells that its rows follow each other without a gap or an overlap.
    """

    counts: Counter[tuple[str, str]]
    attempts: set[tuple[Visit, int]]
    is_whole: bool


class Evidence(msgspec.Struct):
    """All there is. Runs are keyed by their ids; `silent` are memberships that others ended."""

    ended: dict[str, str]
    open_runs: dict[str, str]
    requests: set[str]
    journals: dict[str, Journal]
    calls: list[Call]
    silent: list[Spell] = []
    left_over: dict[str, int] = {}


async def gather(database: str, home: Path) -> Evidence:
    """Reads the database and the ledgers of a round that has come to rest."""
    db = await asyncpg.connect(database)
    try:
        rows: dict[str, list[tuple[int, bytes]]] = {}
        for run, seq, entry in await db.fetch(
            "SELECT run, seq, entry FROM beltline.journal ORDER BY run, seq"
        ):
            rows.setdefault(str(run), []).append((seq, entry))
        silent = await db.fetch(SILENT)
        now = time.monotonic()
        return Evidence(
            ended=await _texts(db, "SELECT key, status FROM beltline.finished"),
            open_runs=await _texts(db, OPEN_RUNS),
            requests={str(key) for (key,) in await db.fetch("SELECT key FROM beltline.request")},
            journals={run: read_journal(run, found) for run, found in rows.items()},
            calls=read_ledgers(home),
            silent=[
                Spell(now - since, now - until, int(name.split()[1]))
                for name, since, until in silent
            ],
            left_over={
                what: await db.fetchval(f"SELECT count(*) FROM beltline.{what}")
                for what in ("inbox", "held")
            },
        )
    finally:
        await db.close()


async def _texts(db: Any, statement: str) -> dict[str, str]:
    return {str(key): text for key, text in await db.fetch(statement)}


def read_journal(run: str, rows: Iterable[tuple[int, bytes]]) -> Journal:
    """Reads (seq, entry) in order, as core/events.py promises them to readers."""
    counts: Counter[tuple[str, str]] = Counter()
    attempts = set()
    expected: int | None = None
    is_whole = True
    for seq, entry in rows:
        events: list[list[Any]] = json.loads(entry)[2]
        is_whole = is_whole and expected in (None, seq)
        expected = seq + len(events)
        for name, *fields in events:
            counts[name, f"{fields[0]} {fields[1]}" if name.startswith("step-") else ""] += 1
            if name == "step-started":
                attempts.add((Visit(run, fields[0], fields[1]), fields[2]))
    return Journal(counts, attempts, is_whole)


def read_ledgers(home: Path) -> list[Call]:
    """All calls that the nodes' handlers noted."""
    calls = []
    for ledger in home.glob("ledger-*.txt"):
        node = int(ledger.stem.split("-")[1])
        for line in ledger.read_text(encoding="utf-8").splitlines():
            run, step, visit, attempt, key, at = line.split()
            where = Visit(run, step, int(visit))
            calls.append(Call(where, int(attempt), key, node, int(at) / 1e9))
    return calls
