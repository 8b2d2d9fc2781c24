"""The loader: runs come into memory when they are ready, the suspects of a crash few at a time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from beltline.core.inputs import Cancel, Retry
from beltline.core.limits import TINY
from beltline.engine.records import RunChange
from tests.simulation.disk import Disk
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk

STOPPING = {"process": "stopping", "steps": [step("a", retry={"attempts": 1})]}
WAITING = {"process": "waiting", "steps": [step("w", "wait", next_=["a"]), step("a")]}
ROOMY = msgspec.structs.replace(TINY, moving_runs=2_000, claim_runs=128)


def crashed(desk: Desk, runs: int, crashes: int) -> None:
    """Runs that were moving at so many crashes in a row."""
    for number in range(runs):
        desk.submit({"n": number})
    desk.crash()
    for row in desk.disk.runs.values():
        row.crashes = crashes - 1
    desk.start()
    desk.wait(1_100)


@pytest.mark.parametrize("claim_runs", [4, 128])
@pytest.mark.parametrize(("crashes", "at_once"), [(4, 1), (3, 10), (2, 25)])
def test_suspects_come_back_few_at_a_time(crashes: int, at_once: int, claim_runs: int) -> None:
    desk = Desk(limits=msgspec.structs.replace(ROOMY, claim_runs=claim_runs))
    crashed(desk, 25, crashes)
    assert desk.called == ["a"] * at_once
    seen: set[bytes] = set()
    while len(seen) < 25:
        wave = [call.key for call in desk.calls if call.call.step.id == "a"]
        assert 0 < len(wave) <= at_once
        seen.update(wave)
        for _ in wave:
            desk.answer("a", {"v": 1})
        desk.wait(1_100)


def test_suspects_of_an_earlier_crash_are_not_forgotten_at_the_next() -> None:
    desk = Desk(limits=ROOMY)
    crashed(desk, 3, 4)
    assert len(desk.calls) == 1
    desk.crash()
    desk.start()  # the one that moved is set aside; the others have their turn, one by one
    desk.wait(1_100)
    assert sorted(row.status for row in desk.disk.runs.values()) == ["moving", "moving", "stopped"]
    assert len(desk.calls) == 1


def test_a_message_of_another_program_wakes_a_run_at_rest() -> None:
    desk = Desk(STOPPING)
    key = desk.submit().key
    desk.fail("a")
    desk.command(key, Retry())
    desk.wait(1_100)
    assert desk.called == ["a"]


def test_a_message_that_crosses_with_the_end_of_a_move_is_not_lost() -> None:
    desk = Desk(STOPPING)
    key = desk.submit().key
    desk.command(key, Cancel())
    desk.fail("a")  # the run is let go of before anybody has looked at the message
    desk.wait(2_100)
    assert desk.record(key).status == "cancelled"


def test_a_run_let_go_of_while_a_message_waits_is_ready_at_once() -> None:
    desk = Desk(STOPPING)
    key = desk.submit().key
    desk.command(key, Cancel())
    change = RunChange(key, "stopped", None, owned=False)
    desk.disk.runs[key].owner = 1
    desk.disk.change(change, 1)
    assert desk.disk.runs[key].ready_at == 0


def test_what_waits_in_the_store_goes_before_what_comes_in() -> None:
    desk = Desk(limits=msgspec.structs.replace(TINY, moving_runs=1, batch=1))
    first, second, third = (desk.submit({"n": number}).key for number in range(3))
    assert [call.key for call in desk.calls] == [first]
    for expected in (second, third):
        desk.answer("a", {"v": 1})
        desk.answer("b", {"v": 1})
        desk.wait(1_100)
        assert [call.key for call in desk.calls] == [expected]


def test_a_claim_is_bounded_and_the_next_one_follows_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = msgspec.structs.replace(ROOMY, claim_runs=2, claim_bytes=2_000)
    desk = Desk(WAITING, limits=limits)
    take = Disk.take
    claims: list[tuple[int, int, int]] = []

    def recorded(*asked: Any) -> Any:
        keys, more = take(*asked)
        if keys:
            claims.append((desk.clock.now(), len(keys), asked[-1]))
        return keys, more

    monkeypatch.setattr(Disk, "take", recorded)
    for number in range(7):
        desk.submit({"n": number})
    while not desk.calls:
        desk.wait(1)
    assert [number for _, number, _ in claims] == [2, 2, 2, 1]
    assert len({at for at, _, _ in claims}) == 1
    assert {max_bytes for _, _, max_bytes in claims} == {2_000}


def test_a_full_store_delays_a_claim_and_ends_nothing() -> None:
    desk = Desk(WAITING)
    desk.submit()
    desk.is_full = True
    desk.wait(5_000)
    assert desk.called == []
    desk.is_full = False
    desk.wait(2_100)
    assert desk.called == ["a"]


def test_a_clean_start_over_an_empty_store_rests() -> None:
    desk = Desk()
    steps = desk.scheduler.steps
    desk.wait(60_000)
    assert desk.scheduler.steps - steps < 1_500
