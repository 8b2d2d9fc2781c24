"""Holds a round's journals and ledgers against its book. Nothing of the hub is imported here.

A call beyond the first of a visit must have a fault that explains it: one that befell the node of
the call before, or all of them, between the two calls or so shortly before that its effect lasted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import msgspec

from tests.fleet.evidence import Call, Evidence, Spell, Visit, gather

STEPS = ("take", "reserve", "bill", "book", "send")
ONCE = ("run-started", "step-completed", "run-completed")


class Verdict(msgspec.Struct):
    """What is wrong, in words, by its kind; nothing where the lists are empty. `lapses` are no
    mistake of the hub: memberships that ended though no fault befell their node, since the machine
    was too busy to let it live.
    """

    lost: list[str] = []
    strangers: list[str] = []
    unfinished: list[str] = []
    recorded_twice: list[str] = []
    gaps: list[str] = []
    undecided: list[str] = []
    wrong_keys: list[str] = []
    unexplained: list[str] = []
    left_over: list[str] = []
    lapses: list[str] = []
    calls: int = 0
    repeats: int = 0

    def wrong(self) -> list[str]:
        """All of it, and not too much of each kind."""
        found = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, list) and name != "lapses":
                found += [f"{name}: {text}" for text in value[:5]]
        return found


async def judge(
    database: str, home: Path, acknowledged: dict[str, str], spells: list[Spell], slack_s: float
) -> Verdict:
    """Looks at everything; `slack_s` is how long the effect of a fault may last."""
    evidence = await gather(database, home)
    return compare(evidence, acknowledged, spells, slack_s)


def compare(
    evidence: Evidence, acknowledged: dict[str, str], spells: list[Spell], slack_s: float
) -> Verdict:
    """The same on what was gathered."""
    known = set(acknowledged.values())
    runs = set(evidence.ended) | set(evidence.open_runs)
    lapses = [one for one in evidence.silent if not _is_due_to(one, spells, slack_s)]
    verdict = Verdict(
        lost=[
            f"order {number}, run {run}"
            for number, run in acknowledged.items()
            if run not in evidence.requests
        ],
        strangers=[f"run {run}, which no sender was told of" for run in sorted(runs - known)],
        unfinished=[text for run in sorted(known) if (text := _unfinished(run, evidence))],
        recorded_twice=[
            f"run {run}: {name} {what}, {count} times"
            for run, journal in evidence.journals.items()
            for (name, what), count in journal.counts.items()
            if count > 1 and name in ONCE
        ],
        gaps=[f"run {run}" for run, journal in evidence.journals.items() if not journal.is_whole],
        left_over=[f"{count} in {what}" for what, count in evidence.left_over.items() if count],
        lapses=[f"node {one.node}, {one.begin:.3f} to {one.end:.3f}" for one in lapses],
    )
    orders = Counter(acknowledged.values())
    verdict.strangers += [f"{run} for {count} orders" for run, count in orders.items() if count > 1]
    _compare_calls(verdict, evidence, [*spells, *lapses], slack_s)
    return verdict


def _unfinished(run: str, evidence: Evidence) -> str:
    """What a run lacks to have been carried to its end, once; "" where it lacks nothing."""
    status = evidence.ended.get(run) or f"open: {evidence.open_runs.get(run, 'no run')}"
    journal = evidence.journals.get(run)
    counts = journal.counts if journal else {}
    done = sorted(what for name, what in counts if name == "step-completed")
    if status == "completed" and done == sorted(f"{step} 1" for step in STEPS):
        return ""
    return f"run {run}: {status}, done {done}"


def _compare_calls(
    verdict: Verdict, evidence: Evidence, spells: list[Spell], slack_s: float
) -> None:
    decided = {attempt for journal in evidence.journals.values() for attempt in journal.attempts}
    visits: dict[Visit, list[Call]] = defaultdict(list)
    owners: dict[str, Visit] = {}
    # As they were decided on: a node that is paused between its decision and its call may make it
    # after others have made the next one.
    for call in sorted(evidence.calls, key=lambda call: (call.attempt, call.at)):
        visits[call.where].append(call)
        if (call.where, call.attempt) not in decided:
            verdict.undecided.append(f"{call}")
        if owners.setdefault(call.key, call.where) != call.where:
            verdict.wrong_keys.append(f"{call.where} and {owners[call.key]} have the same key")
    for place, calls in visits.items():
        verdict.calls += len(calls)
        verdict.repeats += len(calls) - 1
        if len({call.key for call in calls}) > 1:
            verdict.wrong_keys.append(f"{place}: {[call.key for call in calls]}")
        if len({call.attempt for call in calls}) < len(calls):
            verdict.wrong_keys.append(f"{place}: one attempt was called twice: {calls}")
        for before, after in pairwise(calls):
            begin, end = sorted((before.at, after.at))
            if not _is_due_to(Spell(begin, end, before.node), spells, slack_s):
                verdict.unexplained.append(f"{before}, then {after}")


def _is_due_to(what: Spell, spells: Iterable[Spell], slack_s: float) -> bool:
    """Whether something was wrong with its node at that time, or `slack_s` before."""
    return any(
        spell.node in (None, what.node)
        and spell.begin <= what.end
        and spell.end + slack_s >= what.begin
        for spell in spells
    )
