"""Runs in memory are counted, and each is watched once."""

from __future__ import annotations

import msgspec

from beltline.core.limits import TINY
from beltline.engine.moving import MovingRuns
from beltline.engine.records import StoredRun
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk

SLOW = {
    "process": "slow",
    "start": ["a", "b"],
    "steps": [step("a", timeout="10s"), step("b", timeout="2s", retry={"attempts": 1})],
}


def test_room_is_what_is_left_of_the_limit() -> None:
    runs = MovingRuns(msgspec.structs.replace(TINY, moving_runs=3))
    assert runs.room() == 3
    coming = StoredRun(b"k" * 16, 1, 2, b"{}", b"{}", [b"[1]"], [])
    runs.comes(coming)
    runs.reserved = 1
    assert (runs.room(), runs.loading, runs.of_crashes(2)) == (1, 1, 1)
    assert runs.documents_bytes() == 7
    runs.came(coming)
    runs.reserved = 0
    assert (runs.room(), runs.loading, runs.of_crashes(2)) == (3, 0, 0)
    assert runs.documents_bytes() == 0


def test_what_is_on_its_way_takes_room_by_its_bytes() -> None:
    runs = MovingRuns(msgspec.structs.replace(TINY, moving_document_bytes=10))
    runs.comes(StoredRun(b"k" * 16, 1, 0, b"x" * 10, b"", [], []))
    assert runs.room() == 0


def test_removing_a_run_twice_counts_once() -> None:
    desk = Desk()
    desk.submit({"n": 1})
    [moving] = desk.node.runs._by_key.values()
    desk.node.runs.remove(moving)
    desk.node.runs.remove(moving)
    assert (len(desk.node.runs), desk.node.runs.documents_bytes()) == (0, 0)


def test_of_two_deadlines_the_earlier_is_watched_and_then_the_later() -> None:
    desk = Desk(SLOW)
    key = desk.submit().key
    assert len(desk.node.timers._heap) == 1
    desk.wait(1_999)
    assert desk.events(key).count("step-failed") == 0
    desk.wait(1)
    assert desk.events(key).count("step-failed") == 1
    desk.wait(7_999)
    assert desk.events(key).count("step-failed") == 1
    desk.wait(1)
    assert desk.events(key).count("step-failed") == 2


def test_a_watch_of_a_run_that_has_ended_harms_nobody() -> None:
    desk = Desk()
    desk.submit()
    desk.answer("a", {"v": 1})
    desk.answer("b", {"v": 1})
    desk.wait(10_000)
    assert desk.node.timers._heap == []
