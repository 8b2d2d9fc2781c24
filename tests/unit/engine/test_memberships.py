"""A store at the other end of a network: commits in doubt, and a node that begins anew."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from beltline.engine.ports import LeaseLost, StoreAway
from beltline.engine.records import Batch, Beat, Repeat
from beltline.engine.work import Accepted, Refused
from tests.unit.engine.desk import Desk

AWAY = "the store cannot be reached"


class Link:
    """Stands between the node and its store. Answers of commits are lost while `is_lossy`; each
    commit happens once all the same, as the port promises.
    """

    def __init__(self, desk: Desk) -> None:
        self.is_lossy = False
        self.asked: list[tuple[bytes, ...]] = []
        self._answer: list[Repeat | None] | None = None
        self._commit: Callable[[Batch], Awaitable[list[Repeat | None]]] = desk.store.commit
        desk.store.commit = self.commit  # type: ignore[method-assign]

    async def commit(self, batch: Batch) -> list[Repeat | None]:
        self.asked.append(tuple(row.key for row in batch.journal) + self._new(batch))
        if self._answer is None:
            self._answer = await self._commit(batch)
        if self.is_lossy:
            raise StoreAway("the answer was lost")
        answer, self._answer = self._answer, None
        return answer

    @staticmethod
    def _new(batch: Batch) -> tuple[bytes, ...]:
        return tuple(acceptance.request.key for acceptance in batch.acceptances)


def begin(desk: Desk) -> list[Any]:
    """A sender's request, which may have to wait; the answer comes into the list."""
    request = desk.request()
    answers = desk.begin(desk.node.intake.submit(request, 1, desk.processes[1]))
    desk.settle()
    return answers


# A commit in doubt


def test_a_commit_whose_answer_was_lost_is_asked_for_again_as_it_was() -> None:
    desk = Desk()
    link = Link(desk)
    link.is_lossy = True
    answers = begin(desk)
    desk.wait(1_000)
    assert answers == []  # nobody knows yet, so nobody is told
    assert desk.called == []
    link.is_lossy = False
    desk.wait(1_000)
    assert isinstance(answers[0], Accepted)
    assert len(set(link.asked)) == 1
    assert len(link.asked) > 2
    assert desk.called == ["a"]
    assert len(desk.disk.requests) == 1


def test_who_comes_while_the_store_is_away_is_refused_at_once() -> None:
    desk = Desk()
    link = Link(desk)
    link.is_lossy = True
    begin(desk)
    assert desk.node.intake.refusal() == AWAY
    assert begin(desk) == [Refused(AWAY)]
    link.is_lossy = False
    desk.wait(1_000)
    assert desk.node.intake.refusal() == ""
    assert len(desk.disk.requests) == 1


def test_a_call_that_was_held_up_begins_again_and_no_failure_counts() -> None:
    desk = Desk()
    link = Link(desk)
    link.is_lossy = True
    begin(desk)
    desk.wait(60_000)  # far beyond the time that a call has
    link.is_lossy = False
    desk.wait(1_000)
    assert desk.called == ["a"]
    assert desk.calls[0].call.attempt == 2
    (key,) = desk.disk.requests
    assert "step-failed" not in desk.events(key)


def test_an_answer_that_came_while_the_store_was_away_is_recorded_then() -> None:
    desk = Desk()
    key = desk.submit().key
    link = Link(desk)
    link.is_lossy = True
    desk.answer("a", {"v": 1})
    assert desk.called == []
    link.is_lossy = False
    desk.wait(1_000)
    assert desk.called == ["b"]
    assert desk.events(key).count("step-completed") == 1


# A lease that was lost


def live_anew(desk: Desk) -> None:
    """What a process does when its membership has ended."""
    desk.scheduler.drop_inside()
    desk.node.begin_anew()
    desk.run(desk.node.join())
    for coroutine in desk.node.coroutines():
        desk.scheduler.spawn("engine", coroutine, is_inside=True)
    desk.settle()


def test_memory_does_not_count_after_a_lost_lease_and_the_store_does() -> None:
    desk = Desk()
    key = desk.submit().key
    assert desk.node.runs.get(key) is not None
    live_anew(desk)
    assert desk.record(key).crashes == 1
    assert desk.called == ["a", "a"]  # dispatched again, with the next attempt
    assert [call.call.attempt for call in desk.calls] == [1, 2]
    desk.answer("a", {"v": "late"})  # of the first attempt: fenced off
    assert desk.node.belt.answers_fenced == 1
    desk.answer("a", {"v": 1})
    desk.answer("b", {"v": 2})
    assert desk.record(key).status == "completed"


def test_senders_whose_requests_did_not_become_durable_hear_so() -> None:
    desk = Desk()
    desk.is_slow = True
    waiting = desk.begin_submit_without_rest({"n": 1})
    gathering = desk.begin_submit_without_rest({"n": 2})
    desk.node.committer.abandon("gone")
    desk.settle()
    assert waiting == [Refused("gone", is_in_doubt=True)]
    assert gathering == [Refused("gone")]


def test_a_request_that_nobody_had_looked_at_yet_is_taken_by_the_next_membership() -> None:
    desk = Desk()
    request = desk.request()
    answers = desk.begin(desk.node.intake.submit(request, 1, desk.processes[1]))
    while not desk.mailbox._items:
        desk.scheduler.step()
    items = desk.mailbox.clear()
    desk.mailbox.post(items)
    desk.node.begin_anew()
    assert [type(item).__name__ for item in desk.mailbox.clear()] == ["Submitted"]
    assert answers == []


def test_a_node_that_is_stopping_stays_so_when_it_begins_anew() -> None:
    desk = Desk()
    desk.node.drain()
    desk.node.begin_anew()
    assert desk.node.loader.is_draining
    assert desk.node.committer.is_draining
    assert desk.node.intake.refusal() == "the hub is stopping"


# The pulse


def beating(desk: Desk, *beats: Beat | Exception) -> list[int]:
    """Has the store answer beats like this; gives the times at which it was asked."""
    left, asked = list(beats), list[int]()

    async def beat() -> Beat:
        asked.append(desk.scheduler.now)
        told = left.pop(0) if left else Beat(None, 0, has_suspects=False)
        if isinstance(told, Exception):
            raise told
        return told

    desk.store.beat = beat  # type: ignore[method-assign]
    return asked


def test_a_node_beats_in_its_interval_also_when_a_beat_does_not_come_through() -> None:
    desk = Desk()
    asked = beating(desk, StoreAway("cut"), StoreAway("cut"))
    desk.wait(desk.limits.beat_ms * 5)
    assert [later - at for at, later in itertools.pairwise(asked)] == [desk.limits.beat_ms] * (
        len(asked) - 1
    )
    assert len(asked) >= 4


def test_a_node_that_only_beats_learns_that_the_store_is_away_and_back() -> None:
    desk = Desk()
    beating(desk, StoreAway("cut"))
    desk.wait(desk.limits.beat_ms)
    assert desk.node.intake.refusal() == AWAY
    desk.wait(desk.limits.beat_ms)
    assert desk.node.intake.refusal() == ""
    assert isinstance(desk.submit(), Accepted)


def test_the_clock_follows_the_time_of_the_store() -> None:
    desk = Desk()
    ahead = desk.clock.now() + 7_000_000
    beating(desk, Beat(ahead, 0, has_suspects=False))
    desk.wait(desk.limits.beat_ms)
    assert desk.clock.now() >= ahead


def test_suspects_that_a_beat_tells_of_are_claimed() -> None:
    desk = Desk()
    key = desk.submit().key
    desk.wait(3_000)
    # As if another node had died with it.
    desk.crash()
    desk.start()
    desk.answer("a", {"v": 1})
    desk.answer("b", {"v": 1})
    other = desk.submit().key
    row = desk.disk.runs[other]
    desk.node.runs.remove(desk.node.runs.get(other))  # type: ignore[arg-type]
    row.owner, row.ready_at, row.crashes = None, 0, 1
    desk.calls.clear()
    desk.wait(2_000)
    assert desk.called == []  # nobody looks for suspects by themselves
    beating(desk, Beat(None, 1, has_suspects=True))
    desk.wait(desk.limits.beat_ms)
    assert desk.called == ["a"]
    assert desk.record(key).status == "completed"
    assert any("taken over" in line[0] for line in desk.reports)


def test_a_lost_lease_ends_the_pulse() -> None:
    desk = Desk()
    beating(desk, LeaseLost("the membership 1 has ended"))
    with pytest.raises(LeaseLost):
        desk.wait(desk.limits.beat_ms)
