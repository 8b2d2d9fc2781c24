"""Answers that come later: the run leaves memory, and its inbox brings it back."""

from __future__ import annotations

from beltline.core.events import Error
from beltline.core.inputs import Answer, Answered, AttemptFailed, Deferred, encode_message
from beltline.engine.breaker import FAILURES
from beltline.engine.limit_store import Rule
from beltline.engine.ports import Posted
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk
from tests.unit.engine.test_dispatcher import CRM, ONE, Same

FORK = {"process": "fork", "start": ["a", "b"], "steps": [step("a"), step("b")]}
TIMEOUT_MS = 4_000  # of the steps of the desk


def defer(desk: Desk, key: bytes, name: str, attempt: int = 1) -> None:
    """The handler of a step takes its work over."""
    desk.calls = [call for call in desk.calls if call.call.step.id != name]
    desk.mailbox.post([Posted(key, Deferred(name, 1, attempt))])
    desk.settle()


def call_back(desk: Desk, key: bytes, answer: Answer) -> None:
    """A later answer is stored, and the loader is woken."""
    desk.run(desk.store.post(key, encode_message(answer), desk.clock.now()))
    desk.node.loader.expect(desk.clock.now())
    desk.node.loader.ring()
    desk.settle()


def test_a_deferred_run_leaves_memory_until_its_answer_comes() -> None:
    desk = Desk()
    key = desk.submit({"n": 1}).key
    defer(desk, key, "a")
    record = desk.record(key)
    assert (record.status, record.owned) == ("waiting", False)
    assert record.ready_at == desk.clock.now() + TIMEOUT_MS
    assert (len(desk.node.runs), desk.called) == (0, [])
    call_back(desk, key, Answered("a", 1, 1, {"v": 1}, 7))
    assert desk.called == ["b"]
    assert desk.events(key)[-3:] == ["step-deferred", "step-completed", "step-started"]
    assert desk.stored(key).messages == []


def test_it_is_not_called_again_after_a_crash() -> None:
    desk = Desk()
    key = desk.submit().key
    defer(desk, key, "a")
    desk.crash()
    desk.start()
    assert desk.called == []
    call_back(desk, key, Answered("a", 1, 1, {"v": 1}, 7))
    assert desk.called == ["b"]


def test_without_an_answer_it_is_a_timeout_and_is_tried_again() -> None:
    desk = Desk()
    key = desk.submit().key
    defer(desk, key, "a")
    desk.wait(TIMEOUT_MS)
    assert desk.events(key)[-1] == "step-failed"
    call_back(desk, key, Answered("a", 1, 1, {"v": 1}, 7))
    assert desk.events(key)[-1] == "step-failed"  # too late: fenced
    desk.wait(1_000)
    assert [(call.call.step.id, call.call.attempt) for call in desk.calls] == [("a", 2)]


def test_an_answer_may_come_before_its_deferral() -> None:
    desk = Desk()
    key = desk.submit().key
    call_back(desk, key, Answered("a", 1, 1, {"v": 1}, 7))
    defer(desk, key, "a")
    assert desk.called == ["b"]
    assert "step-deferred" not in desk.events(key)


def test_an_answer_that_was_stored_before_a_crash_is_not_lost_and_not_asked_for_again() -> None:
    desk = Desk(FORK)
    key = desk.submit().key
    desk.crash()
    answer = encode_message(Answered("a", 1, 1, {"v": 1}, 7))
    desk.disk.post(key, answer, desk.clock.now())
    desk.wait(60_000)  # past the deadline: what was told to be taken counts all the same
    desk.start()
    desk.wait(1_000)
    assert [(call.call.step.id, call.call.attempt) for call in desk.calls] == [("b", 2)]
    assert desk.events(key).count("step-completed") == 1


def test_an_answer_from_the_inbox_clears_the_suspicion_of_a_crash() -> None:
    desk = Desk(FORK)
    first, second = desk.submit().key, desk.submit().key
    desk.crash()
    desk.disk.post(first, encode_message(Answered("a", 1, 1, {"v": 1}, 7)), desk.clock.now())
    desk.disk.post(second, encode_message(Answered("a", 1, 9, {"v": 1}, 7)), desk.clock.now())
    desk.start()
    assert sorted(desk.called) == ["a", "b", "b"]
    assert (desk.record(first).crashes, desk.record(second).crashes) == (0, 1)


def test_a_later_answer_that_comes_first_ends_the_call() -> None:
    desk = Desk(ONE, rules=Same(Rule(CRM, concurrency=1)))
    key, other = desk.submit().key, desk.submit().key
    assert [call.key for call in desk.calls] == [key]
    call_back(desk, key, Answered("a", 1, 1, {"v": 1}, 7))
    desk.wait(1_500)
    assert [call.key for call in desk.calls] == [key, other]
    desk.mailbox.post([Posted(key, Deferred("a", 1, 1))])
    desk.submit()
    desk.wait(1_500)
    assert len(desk.calls) == 2  # its place was given back once


def test_whoever_answers_later_was_reached() -> None:
    desk = Desk(rules=Same(has_breaker=True))
    keys = [desk.submit().key for _ in range(FAILURES)]
    for key, call in zip(keys, list(desk.calls), strict=True):
        call.reached, call.trouble = "away", "a proxy gave up"
        call_back(desk, key, AttemptFailed("a", 1, 1, Error("retry", "busy")))
        assert desk.events(key)[-1] == "step-failed"
    [line] = desk.node.dispatcher.lines()
    assert line.breaker is not None
    assert (line.breaker.state, line.breaker.failures) == ("closed", 0)
