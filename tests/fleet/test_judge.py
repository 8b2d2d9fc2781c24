"""The judge finds each thing that can be wrong: it is shown a good round with one planted fault."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from tests.fleet.evidence import Call, Evidence, Spell, Visit, read_journal
from tests.fleet.judge import STEPS, Verdict, compare

RUN, OTHER = "run-1", "run-2"
SLACK_S = 2.0


def rows(run: str, *, twice: str = "") -> list[tuple[int, bytes]]:
    """The journal of a run that was carried to its end, a decision for each step."""
    found, seq = [], 0
    for step in STEPS:
        events: list[list[object]] = [["step-started", step, 1, 1, "ledger@1", "event", ""]]
        events += [["step-completed", step, 1, 1, {}, 2, []]] * (2 if step == twice else 1)
        found.append((seq, json.dumps([1, 0, events]).encode()))
        seq += len(events)
    return found


def good() -> Evidence:
    """A round of two runs in which nothing went wrong; calls come one a second."""
    places = [(run, step) for run in (RUN, OTHER) for step in STEPS]
    return Evidence(
        ended={RUN: "completed", OTHER: "completed"},
        open_runs={},
        requests={RUN, OTHER},
        journals={run: read_journal(run, rows(run)) for run in (RUN, OTHER)},
        calls=[
            Call(Visit(run, step, 1), 1, f"key of {run} {step}", 0, 10.0 + number)
            for number, (run, step) in enumerate(places)
        ],
        left_over={"inbox": 0, "held": 0},
    )


def judged(evidence: Evidence, spells: list[Spell] | None = None) -> Verdict:
    return compare(evidence, {"1": RUN, "2": OTHER}, spells or [], SLACK_S)


def repeated(evidence: Evidence, *, at: float, attempt: int = 2, key: str = "") -> None:
    """The first call of the round came once more, at node 1, as the journal says."""
    first = evidence.calls[0]
    again = first._replace(at=at, attempt=attempt, node=1, key=key or first.key)
    evidence.calls.append(again)
    evidence.journals[RUN].attempts.add((first.where, attempt))


def lose(evidence: Evidence) -> None:
    evidence.requests.remove(RUN)


def start_a_stranger(evidence: Evidence) -> None:
    evidence.ended["run-3"] = "completed"


def leave_open(evidence: Evidence) -> None:
    evidence.open_runs[RUN] = evidence.ended.pop(RUN)


def leave_out_a_step(evidence: Evidence) -> None:
    del evidence.journals[RUN].counts["step-completed", "send 1"]


def record_twice(evidence: Evidence) -> None:
    evidence.journals[RUN] = read_journal(RUN, rows(RUN, twice="bill"))


def tear_a_hole(evidence: Evidence) -> None:
    evidence.journals[RUN] = read_journal(RUN, [rows(RUN)[0], (3, rows(RUN)[1][1])])
    evidence.journals[RUN].counts.update(read_journal(RUN, rows(RUN)[2:]).counts)
    evidence.journals[RUN].attempts.update(read_journal(RUN, rows(RUN)).attempts)


def call_without_a_decision(evidence: Evidence) -> None:
    repeated(evidence, at=11.0)
    evidence.journals[RUN].attempts.remove((evidence.calls[0].where, 2))


def change_the_key(evidence: Evidence) -> None:
    repeated(evidence, at=11.0, key="another")


def share_a_key(evidence: Evidence) -> None:
    evidence.calls[1] = evidence.calls[1]._replace(key=evidence.calls[0].key)


def call_an_attempt_twice(evidence: Evidence) -> None:
    repeated(evidence, at=11.0, attempt=1)


def leave_a_message(evidence: Evidence) -> None:
    evidence.left_over["inbox"] = 1


def test_a_good_round_is_good() -> None:
    verdict = judged(good())
    assert verdict.wrong() == []
    assert (verdict.calls, verdict.repeats) == (2 * len(STEPS), 0)


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (lose, "lost"),
        (start_a_stranger, "strangers"),
        (leave_open, "unfinished"),
        (leave_out_a_step, "unfinished"),
        (record_twice, "recorded_twice"),
        (tear_a_hole, "gaps"),
        (call_without_a_decision, "undecided"),
        (change_the_key, "wrong_keys"),
        (share_a_key, "wrong_keys"),
        (call_an_attempt_twice, "wrong_keys"),
        (leave_a_message, "left_over"),
    ],
)
def test_what_is_planted_is_found_and_nothing_else(
    plant: Callable[[Evidence], None], kind: str
) -> None:
    evidence = good()
    plant(evidence)
    # A fault explains the repeats here: what is wrong is something else.
    verdict = judged(evidence, [Spell(10.5, 10.6, None)])
    found = {name for name, value in msgspec.structs.asdict(verdict).items() if value}
    assert found - {"calls", "repeats"} == {kind}


def test_two_orders_in_one_run_are_found() -> None:
    verdict = compare(good(), {"1": RUN, "2": OTHER, "3": RUN}, [], SLACK_S)
    assert len(verdict.strangers) == 1


@pytest.mark.parametrize(
    ("spell", "explains"),
    [
        (Spell(10.5, 11.0, 0), True),  # between the two calls, at the node of the first
        (Spell(10.5, 11.0, None), True),  # or everywhere
        (Spell(8.0, 8.5, 0), True),  # shortly before
        (Spell(6.0, 7.9, 0), False),  # its traces are gone
        (Spell(12.1, 13.0, 0), False),  # it began later
        (Spell(10.5, 11.0, 1), False),  # it befell the node that called again
    ],
)
def test_a_repeat_needs_a_fault_of_the_node_that_called_before(
    spell: Spell, explains: bool
) -> None:
    evidence = good()
    repeated(evidence, at=12.0)
    verdict = judged(evidence, [spell])
    assert verdict.repeats == 1
    assert (verdict.unexplained == []) == explains


def test_the_call_of_a_node_that_woke_up_late_is_explained_by_its_pause() -> None:
    evidence = good()
    repeated(evidence, at=9.9)  # attempt 2, before attempt 1 of node 0
    assert judged(evidence, [Spell(7.0, 9.95, 0)]).unexplained == []
    assert judged(evidence, [Spell(7.0, 9.95, 1)]).unexplained != []


def test_a_lapse_explains_repeats_and_is_told() -> None:
    evidence = good()
    repeated(evidence, at=14.0)
    evidence.silent = [Spell(10.0, 13.0, 0)]
    verdict = judged(evidence)
    assert verdict.wrong() == []
    assert len(verdict.lapses) == 1
    verdict = judged(evidence, [Spell(11.0, 12.0, 0)])
    assert verdict.lapses == []
