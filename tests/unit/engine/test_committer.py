"""The committer: one commit at a time, and nothing leaves before it."""

from __future__ import annotations

from typing import Any

import msgspec

from beltline.core.inputs import Cancel
from beltline.core.limits import TINY
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk

STOPPING = {"process": "stopping", "steps": [step("a", retry={"attempts": 1})]}


def test_what_gathers_during_a_commit_goes_into_the_next_one() -> None:
    desk = Desk()
    desk.is_slow = True
    for number in range(6):
        desk.begin_submit_without_rest({"n": number})
    before = desk.node.committer.commits
    desk.is_slow = False
    desk.wait(10)
    assert desk.node.committer.commits == before + 2
    assert desk.called == ["a"] * 6


def test_a_decision_waits_for_room_and_is_lost_on_nobody() -> None:
    desk = Desk()
    key = desk.submit().key
    desk.is_full = True
    desk.answer("a", {"v": 1})
    assert desk.called == []
    assert desk.events(key).count("step-completed") == 0
    assert desk.node.intake.refusal() == "the store has no room left"
    desk.is_full = False
    desk.wait(1_100)
    assert desk.called == ["b"]
    assert desk.node.intake.refusal() == ""


def test_the_belt_waits_when_too_much_has_gathered() -> None:
    desk = Desk(limits=msgspec.structs.replace(TINY, batch=1))
    desk.is_slow = True
    for number in range(9):
        desk.begin_submit_without_rest({"n": number})
    assert len(desk.node.committer.gathering) == 4
    desk.is_slow = False
    desk.wait(20)
    assert len(desk.disk.requests) == 9


def test_a_flush_returns_when_all_before_it_is_durable() -> None:
    desk = Desk()
    desk.is_slow = True
    desk.begin_submit_without_rest({"n": 1})
    flushed = desk.begin(desk.node.flush())
    for _ in range(100):
        desk.scheduler.step()
    assert flushed == []
    desk.is_slow = False
    desk.wait(10)
    assert flushed == [None]
    assert len(desk.disk.requests) == 1


def watched(desk: Desk, key: bytes) -> list[Any]:
    return desk.begin(desk.node.watch(key).wait())


def test_who_watches_a_run_is_told_when_it_is_at_rest() -> None:
    desk = Desk(STOPPING)
    request = desk.request()
    told = watched(desk, request.key)
    desk.run(desk.node.intake.submit(request, 1, desk.processes[1]))
    assert told == []
    desk.fail("a")
    assert told == ["stopped"]
    second = watched(desk, request.key)
    desk.command(request.key, Cancel())
    desk.wait(1_100)
    assert second == ["cancelled"]


def test_a_node_that_stops_records_answers_and_calls_nothing_more() -> None:
    desk = Desk()
    key = desk.submit().key
    desk.node.drain()
    desk.answer("a", {"v": 1})
    assert desk.calls == []
    assert desk.events(key)[-2:] == ["step-completed", "step-started"]
    desk.run(desk.node.flush())
    assert desk.run(desk.store.hand_over()) == 1
    desk.crash()
    desk.start()
    desk.wait(1_100)
    assert desk.called == ["b"]
    assert desk.stored(key).crashes == 0


def test_a_node_that_stops_does_not_go_round_without_rest() -> None:
    waiting = {"process": "waiting", "steps": [step("w", "wait")]}
    desk = Desk(waiting)
    desk.submit()
    desk.node.drain()
    steps = desk.scheduler.steps
    desk.wait(60_000)
    assert desk.scheduler.steps - steps < 1_000
