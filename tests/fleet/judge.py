"""Holds a round's journals and ledgers against its book. Nothing of the hub is imported here.

A call beyond the first of a visit must have a fault that explains it: one that befell the node of
the call before, or the database, or the node of the later call, between the two calls or so shortly
before that its effect lasted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import msgspec

STEPS = ("take", "reserve", "bill", "book", "send")


class Spell(NamedTuple):
    """When a fault lasted (monotonic seconds), and whom it befell (None: all)."""

    begin: float
    end: float
    node: int | None


class Call(NamedTuple):
    """One line of a ledger."""

    node: int
    at: float
    key: str
    attempt: int


class Verdict(msgspec.Struct):
    """What is wrong, in words; nothing where the lists are empty."""

    lost: list[str] = []
    unfinished: list[str] = []
    recorded_twice: list[str] = []
    wrong_keys: list[str] = []
    unexplained: list[str] = []
    calls: int = 0
    repeats: int = 0

    def wrong(self) -> list[str]:
        """All of it."""
        found = []
        for name in ("lost", "unfinished", "recorded_twice", "wrong_keys", "unexplained"):
            found += [f"{name}: {text}" for text in getattr(self, name)[:5]]
        return found


async def judge(
    database: str, home: Path, acknowledged: dict[str, str], spells: list[Spell], slack_s: float
) -> Verdict:
    """Looks at everything; `slack_s` is how long the effect of a fault may last."""
    verdict = Verdict()
    db = await asyncpg.connect(database)
    try:
        ended = {
            str(row["key"]): row["status"]
            for row in await db.fetch("SELECT key, status FROM beltline.finished")
        }
        rows = await db.fetch("SELECT run, entry FROM beltline.journal ORDER BY run, seq")
    finally:
        await db.close()
    steps: dict[str, Counter[str]] = defaultdict(Counter)
    for run, entry in rows:
        for event in json.loads(entry)[2]:
            if event[0] == "step-completed":
                steps[str(run)][event[1]] += 1
    for number, run in acknowledged.items():
        if run not in steps and run not in ended:
            verdict.lost.append(f"order {number}, run {run}")
        elif ended.get(run) != "completed" or set(steps[run]) != set(STEPS):
            verdict.unfinished.append(f"run {run}: {ended.get(run)} {dict(steps[run])}")
    for run, counts in steps.items():
        if any(count > 1 for count in counts.values()):
            verdict.recorded_twice.append(f"run {run}: {dict(counts)}")
    if len(ended) != len(acknowledged):
        verdict.lost.append(f"{len(acknowledged)} orders, and {len(ended)} runs that ended")
    _judge_calls(verdict, home, spells, slack_s)
    return verdict


def _judge_calls(verdict: Verdict, home: Path, spells: list[Spell], slack_s: float) -> None:
    visits: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    for ledger in home.glob("ledger-*.txt"):
        node = int(ledger.stem.split("-")[1])
        for line in ledger.read_text(encoding="utf-8").splitlines():
            run, step, visit, attempt, key, at = line.split()
            visits[run, step, visit].append(Call(node, int(at) / 1e9, key, int(attempt)))
    owners: dict[str, Any] = {}
    for place, calls in visits.items():
        verdict.calls += len(calls)
        verdict.repeats += len(calls) - 1
        keys = {call.key for call in calls}
        if len(keys) > 1 or owners.setdefault(calls[0].key, place) != place:
            verdict.wrong_keys.append(f"{place}: {keys}")
        if len({call.attempt for call in calls}) < len(calls):
            verdict.wrong_keys.append(f"{place}: one attempt was called twice: {calls}")
        calls.sort(key=lambda call: call.at)
        for before, after in pairwise(calls):
            if not any(_explains(spell, before, after, slack_s) for spell in spells):
                verdict.unexplained.append(f"{place}: {before}, {after}")


def _explains(spell: Spell, before: Call, after: Call, slack_s: float) -> bool:
    befell = spell.node is None or spell.node in (before.node, after.node)
    return befell and spell.begin <= after.at and spell.end + slack_s >= before.at
