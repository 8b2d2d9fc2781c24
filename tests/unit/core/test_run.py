"""What people are told of a run in each of its states, and the fold of its journal."""

from __future__ import annotations

import msgspec
import pytest

from beltline.core.events import Entry, Journal, RunCancelled, RunStarted, UnknownFormat
from beltline.core.explanation import journal_lines, moment, path_of, standing
from beltline.core.inputs import Cancel, Skip
from beltline.core.run import Run, new_run
from tests.unit.core.belt_of_one import ID, KEY, NOON, Hand, process, step

ONCE = {"attempts": 1}


def waiting_hand() -> Hand:
    """A run with a branch in each phase: `a` under way, `w` waiting, `d` dead, `r` in backoff."""
    hand = Hand(
        process(
            step("a", next_=["j"]),
            step("w", "wait", with_={"for": "1h"}, next_=["j"]),
            step("d", retry=ONCE),
            step("r"),
            step("g", next_=["j"]),
            step("j", prev=["a", "w", "g"]),
            start=["a", "w", "d", "r", "g"],
        )
    )
    hand.start()
    return hand


def test_a_run_that_has_not_started_waits_for_its_turn() -> None:
    run = new_run(ID, KEY, process(step("a")), None, {}, 4)
    assert standing(run).status == "moving"
    assert "turn" in standing(run).because
    assert run.next_at is None
    assert run.document_bytes == 4


def test_every_token_of_a_run_says_why_it_does_not_move() -> None:
    hand = waiting_hand()
    hand.fail("d")
    hand.fail("r")
    hand.answer("g")
    told = standing(hand.run)
    retry_at = hand.run.open["r", 1].at
    assert told.status == "stopped"
    assert told.because.split("; ") == [
        "d (visit 1) is a dead letter: exception: no luck",
        "a (visit 1) is under way, attempt 1",
        f"w (visit 1) waits until {moment(NOON + 3_600_000)}",
        f"r (visit 1) is tried again at {moment(retry_at)}: no luck",
        "1 gathered at j, which waits for the other ways to it",
    ]
    assert told.wake_at == retry_at


def test_of_several_states_the_first_that_holds_is_told() -> None:
    hand = waiting_hand()
    told: list[str] = [hand.run.status]
    hand.fail("d")
    told.append(hand.run.status)
    hand.take(Skip("d", None))
    told.append(hand.run.status)
    for id in ("a", "r", "g"):
        hand.answer(id)
    told.append(hand.run.status)
    assert hand.run.next_at == NOON + 3_600_000
    assert not hand.run.is_moving
    hand.take(Cancel())
    told.append(hand.run.status)
    assert told == ["moving", "stopped", "moving", "waiting", "cancelled"]
    assert standing(hand.run).because == "it is cancelled"
    assert hand.run.next_at is None


def test_a_stopped_run_without_other_branches_is_looked_at_by_nobody() -> None:
    hand = Hand(process(step("a", retry=ONCE)))
    hand.start()
    hand.fail("a")
    assert standing(hand.run).wake_at is None
    assert [visit.step for visit in hand.run.dead] == ["a"]


def test_a_moment_is_told_in_utc_with_milliseconds() -> None:
    assert moment(1_700_000_000_123) == "2023-11-14T22:13:20.123+00:00"


def test_the_journal_is_told_line_by_line() -> None:
    hand = Hand(process(step("a", next_=["b"], retry=ONCE), step("b")))
    hand.start()
    hand.answer("a", {"n": None})
    lines = journal_lines(hand.entries)
    assert [line["seq"] for line in lines] == [0, 1, 2, 3]
    assert [line["event"] for line in lines] == [
        "run-started",
        "step-started",
        "step-completed",
        "step-started",
    ]
    assert lines[2]["result"] == {"n": None}
    assert lines[2]["to"] == ["b"]
    assert "reason" not in lines[1]
    assert msgspec.json.encode(lines)


def test_the_path_is_the_steps_in_order_of_completion() -> None:
    hand = Hand(process(step("a", next_=["b", "c"]), step("b"), step("c", retry=ONCE)))
    hand.start()
    hand.answer("a")
    hand.fail("c")
    hand.take(Skip("c"))
    hand.answer("b")
    assert path_of(hand.entries) == ["a", "c", "b"]


def test_a_journal_row_can_be_read_without_this_program() -> None:
    row = Journal.encode(NOON, [RunStarted("p", 1, ("a",)), RunCancelled("x")])
    assert msgspec.json.decode(row) == [
        1,
        NOON,
        [["run-started", "p", 1, ["a"]], ["run-cancelled", "x"]],
    ]
    assert Journal.decode(row) == Entry(1, NOON, [RunStarted("p", 1, ("a",)), RunCancelled("x")])


def test_a_row_of_a_newer_version_is_refused_as_such() -> None:
    with pytest.raises(UnknownFormat, match="unknown format"):
        Journal.decode(b"[2,0,[]]")


def test_a_damaged_row_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        Journal.decode(b'[1,0,[["run-started"')


def test_two_runs_share_no_state() -> None:
    made = process(step("a"))
    first: Run = new_run(ID, KEY, made, None, {}, 0)
    second: Run = new_run(ID, KEY, made, None, {}, 0)
    first.visits["a"] = 1
    first.gathered["a"] = 1
    assert (second.visits, second.gathered) == ({}, {})
