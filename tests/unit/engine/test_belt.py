"""The belt: what comes in is decided on, and what follows is gathered for one commit."""

from __future__ import annotations

import json

import msgspec

from beltline.core.inputs import Answered, Cancel, Retry, encode_message
from beltline.core.limits import TINY
from beltline.engine.belt import RUN_AHEAD
from beltline.engine.ports import Posted
from beltline.engine.records import JournalRow, Message
from beltline.engine.work import Noticed
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk

PURE = {
    "process": "pure",
    "steps": [step("a", next_=["b"]), step("b", "note", next_=["c"]), step("c", "note")],
}
WAITING = {"process": "waiting", "steps": [step("w", "wait", next_=["a"]), step("a")]}
FORK = {
    "process": "fork",
    "start": ["a", "b"],
    "steps": [step("a", retry={"attempts": 1}), step("b")],
}

UNDONE = {"process": "undone", "steps": [step("a", undo="u", next_=["b"]), step("b"), step("u")]}


def test_a_run_goes_step_by_step_to_its_end() -> None:
    desk = Desk()
    key = desk.submit({"n": 1}).key
    assert desk.record(key).status == "moving"
    desk.answer("a", {"v": 1})
    desk.answer("b", {"v": 2})
    record = desk.record(key)
    assert (record.status, record.ready_at, record.owned) == ("completed", None, False)
    assert len(desk.node.runs) == 0
    assert desk.node.runs.documents_bytes() == 0


def test_pure_steps_run_ahead_without_a_commit_and_are_in_the_journal() -> None:
    desk = Desk(PURE)
    key = desk.submit().key
    commits = desk.node.committer.commits
    desk.answer("a", {"v": 1})
    assert desk.node.committer.commits == commits + 1
    assert [call.call.step.id for call in desk.inline] == ["b", "c"]
    assert desk.calls == []
    assert desk.events(key).count("step-completed") == 3


def test_running_ahead_has_an_end() -> None:
    loop = {"process": "loop", "steps": [step("a", "note", next_=["a"], max_visits=1_000)]}
    desk = Desk(loop)
    desk.submit()
    assert len(desk.inline) == RUN_AHEAD - 1
    assert desk.called == ["a"]  # it goes on through the transport, so that others have a turn


def test_an_answer_for_a_run_that_is_not_here_is_fenced() -> None:
    desk = Desk()
    desk.mailbox.post([Posted(bytes(16), Answered("a", 1, 1, {}, 2))])
    desk.settle()
    assert desk.node.belt.answers_fenced == 1


def test_a_duplicate_answer_is_fenced_and_writes_nothing() -> None:
    desk = Desk()
    key = desk.submit().key
    answer = Posted(key, Answered("a", 1, 1, {"v": 1}, 7))
    desk.mailbox.post([answer, answer])
    desk.settle()
    assert desk.node.belt.answers_fenced == 1
    assert desk.events(key).count("step-completed") == 1


def test_a_waiting_run_leaves_memory_and_comes_back_in_time() -> None:
    desk = Desk(WAITING)
    key = desk.submit().key
    record = desk.record(key)
    assert (record.status, record.owned) == ("waiting", False)
    assert len(desk.node.runs) == 0
    desk.wait(2_900)
    assert desk.called == []
    desk.wait(200)
    assert desk.called == ["a"]


def test_a_lost_answer_is_noticed_at_the_deadline() -> None:
    desk = Desk()
    key = desk.submit().key
    desk.calls.clear()
    desk.wait(4_000)
    assert desk.events(key)[-1] == "step-failed"
    desk.wait(1_100)
    assert [(call.call.visit, call.call.attempt) for call in desk.calls] == [(1, 2)]


def test_a_stopped_branch_does_not_hold_up_the_other() -> None:
    desk = Desk(FORK)
    key = desk.submit().key
    desk.fail("a")
    assert desk.stored(key).crashes == 0
    desk.answer("b", {"v": 1})
    assert desk.record(key).status == "stopped"
    desk.command(key, Retry())
    desk.wait(1_100)
    desk.answer("a", {"v": 1})
    assert desk.record(key).status == "completed"


def test_a_command_reaches_a_run_in_memory() -> None:
    desk = Desk()
    key = desk.submit().key
    desk.command(key, Cancel("a double"))
    desk.wait(1_100)
    assert desk.record(key).status == "cancelled"
    assert desk.disk.inbox == {}
    desk.answer("a", {"v": 1})
    assert desk.events(key)[-1] == "run-cancelled"


def test_what_was_decided_in_the_commit_of_an_order_to_undo_is_not_called() -> None:
    desk = Desk(UNDONE)
    key = desk.submit().key
    order = Message(1, key, encode_message(Cancel("a mistake", undo=True)))
    answered = Posted(key, Answered("a", 1, 1, {"v": 1}, 7))
    desk.mailbox.post([answered, Noticed(order)])
    desk.wait(0)
    assert desk.events(key)[-2:] == ["undo-started", "step-started"]
    assert desk.called == ["a", "u"]


def test_a_command_that_does_not_fit_is_refused_in_the_journal_and_gone() -> None:
    desk = Desk()
    key = desk.submit().key
    desk.command(key, Retry())
    desk.wait(1_100)
    assert desk.events(key)[-1] == "command-refused"
    assert desk.disk.inbox == {}
    assert desk.called == ["a"]


def test_a_damaged_journal_stops_its_run_and_no_other() -> None:
    desk = Desk()
    damaged, sound = desk.submit({"n": 1}).key, desk.submit({"n": 2}).key
    desk.crash()
    row = desk.disk.journal[damaged][0]
    desk.disk.journal[damaged][0] = JournalRow(row.key, row.seq, row.entry[:-4])
    desk.start()
    desk.wait(2_000)
    assert desk.record(damaged).status == "stopped"
    assert desk.record(sound).owned
    assert desk.called == ["a"]
    assert len(desk.reports) == 1
    assert desk.reports[0][0] == "a run cannot be loaded"


def test_a_run_whose_version_is_gone_is_stopped_and_goes_on_when_it_is_back() -> None:
    desk = Desk()
    key = desk.submit().key
    desk.crash()
    desk.unusable.add(1)
    desk.start()
    desk.wait(2_000)
    assert desk.record(key).status == "stopped"
    assert "its module is gone" in desk.reports[0][2]
    desk.unusable.clear()
    desk.command(key, Retry())
    desk.wait(1_100)
    assert desk.called == ["a"]


def test_recovery_dispatches_again_under_the_same_visit() -> None:
    desk = Desk()
    key = desk.submit({"n": 3}).key
    [first] = desk.calls
    desk.crash()
    desk.start()
    desk.wait(1_100)
    [again] = desk.calls
    assert (again.call.visit, again.call.attempt) == (1, 2)
    assert again.call.input == first.call.input
    desk.mailbox.post([Posted(key, Answered("a", 1, 1, {"v": "late"}, 12))])
    desk.settle()
    assert desk.called == ["a"]
    desk.answer("a", {"v": 1})
    assert desk.called == ["b"]
    assert desk.stored(key).crashes == 0


def test_crashes_count_until_an_answer_and_the_fifth_sets_the_run_aside() -> None:
    desk = Desk()
    key = desk.submit().key
    for crashes in range(1, 5):
        desk.crash()
        desk.start()
        desk.wait(1_100)
        assert desk.called == ["a"]
        assert desk.stored(key).crashes == crashes
    desk.crash()
    desk.start()
    desk.wait(1_100)
    assert desk.calls == []
    record = desk.record(key)
    assert (record.status, record.crashes) == ("stopped", 0)
    assert "crash" in json.loads(desk.stored(key).entries[-1])[2][0][5]["kind"]


def test_a_run_that_never_started_is_set_aside_without_a_call() -> None:
    desk = Desk()
    key = desk.submit({"n": 1}, held=True).key
    desk.crash()
    desk.release()
    desk.disk.runs[key].crashes = 5
    desk.start()
    desk.wait(1_100)
    assert desk.calls == []
    assert desk.record(key).status == "stopped"
    assert desk.events(key)[:2] == ["run-started", "step-started"]


def test_memory_holds_no_more_runs_than_the_limit_and_all_get_their_turn() -> None:
    desk = Desk(limits=msgspec.structs.replace(TINY, moving_runs=2, batch=2))
    keys = [desk.submit({"n": number}).key for number in range(6)]
    ended = 0
    while ended < len(keys):
        assert len(desk.node.runs) <= 2
        for id in ("a", "b"):
            while id in desk.called:
                desk.answer(id, {"v": 1})
        desk.wait(1_100)
        ended = sum(desk.record(key).status == "completed" for key in keys)
    assert len(desk.node.runs) == 0


def test_memory_is_bounded_in_bytes_too() -> None:
    desk = Desk(limits=msgspec.structs.replace(TINY, moving_document_bytes=300))
    for _ in range(4):
        desk.submit({"text": "x" * 200})
    assert len(desk.node.runs) == 2
    assert desk.node.runs.room() == 0
