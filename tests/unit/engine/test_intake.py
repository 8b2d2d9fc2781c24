"""A sender is told what holds: accepted once it is durable, a repeat, or refused with a reason."""

from __future__ import annotations

from typing import Any

from beltline.engine.ids import RunIds, id_of, key_of
from beltline.engine.records import Repeat
from beltline.engine.work import Accepted, Refused
from tests.conformance.store_rows import held_counts
from tests.unit.engine.desk import Desk

DAY_MS = 86_400_000


def test_a_request_is_accepted_with_its_run_and_its_first_decision_in_one_commit() -> None:
    desk = Desk()
    commits = desk.node.committer.commits
    answer = desk.submit({"n": 1})
    assert isinstance(answer, Accepted)
    assert not answer.held
    assert desk.node.committer.commits == commits + 1
    assert desk.events(answer.key) == ["run-started", "step-started"]
    assert desk.called == ["a"]


def test_nothing_is_answered_or_called_before_the_commit() -> None:
    desk = Desk()
    desk.is_slow = True
    request = desk.request({"n": 1})
    answers = desk.begin(desk.node.intake.submit(request, 1, desk.processes[1]))
    desk.scheduler.at(desk.scheduler.now + 50, lambda: None)
    for _ in range(100):
        desk.scheduler.step()
    assert answers == []
    assert desk.calls == []
    desk.is_slow = False
    desk.wait(10)
    assert answers == [Accepted(request.key, False)]
    assert desk.called == ["a"]


def test_a_repeat_is_told_of_the_first_and_starts_nothing() -> None:
    desk = Desk()
    identity: dict[str, Any] = {"identity": "lead-1", "identity_until": desk.clock.now() + DAY_MS}
    first = desk.submit({"n": 1}, **identity)
    assert desk.submit({"n": 1}, **identity) == Repeat(first.key, True)
    assert desk.submit({"n": 2}, **identity) == Repeat(first.key, False)
    assert desk.called == ["a"]
    assert len(desk.node.runs) == 1


def test_of_two_under_one_identity_in_one_batch_the_first_is_accepted() -> None:
    desk = Desk()
    identity: dict[str, Any] = {"identity": "lead-1", "identity_until": desk.clock.now() + DAY_MS}
    requests = [desk.request({"n": 1}, **identity) for _ in range(2)]
    begun = [desk.begin(desk.node.intake.submit(r, 1, desk.processes[1])) for r in requests]
    desk.settle()
    answers = [answer for [answer] in begun]
    [accepted] = [answer for answer in answers if isinstance(answer, Accepted)]
    assert [a for a in answers if a is not accepted] == [Repeat(accepted.key, True)]
    assert desk.called == ["a"]


def test_a_held_request_waits_in_its_buffer_without_a_run() -> None:
    desk = Desk()
    answer = desk.submit({"n": 1}, held=True)
    assert answer.held
    assert desk.disk.runs == {}
    assert desk.calls == []
    assert desk.run(held_counts(desk.store, "form")) == {"form": 1}


def test_a_released_request_is_put_on_the_belt() -> None:
    desk = Desk()
    answer = desk.submit({"n": 1}, held=True)
    desk.release()
    desk.wait(1_100)
    assert desk.called == ["a"]
    assert desk.events(answer.key) == ["run-started", "step-started"]


def test_a_full_store_refuses_and_accepts_again_when_there_is_room() -> None:
    desk = Desk()
    desk.is_full = True
    assert desk.submit({"n": 1}) == Refused("no room")
    assert desk.submit({"n": 2}) == Refused("the store has no room left")
    assert desk.disk.requests == {}
    desk.is_full = False
    desk.wait(1_100)
    assert isinstance(desk.submit({"n": 3}), Accepted)
    assert len(desk.node.runs) == 1


def test_senders_who_came_while_a_commit_failed_are_told_too() -> None:
    desk = Desk()
    desk.is_full = desk.is_slow = True
    first = desk.begin_submit_without_rest({"n": 1})
    second = desk.begin_submit_without_rest({"n": 2})
    desk.is_slow = False
    desk.wait(10)
    assert [type(answer) for answer in (*first, *second)] == [Refused, Refused]
    assert len(desk.node.runs) == 0


def test_a_hub_that_stops_accepts_nothing() -> None:
    desk = Desk()
    desk.node.drain()
    assert desk.submit() == Refused("the hub is stopping")


def test_ids_rise_and_are_uuids_of_version_7() -> None:
    ids = RunIds(lambda n: b"\xff" * n)
    keys = [ids.new_key(now) for now in (1_000, 1_000, 999, 2_000, 1_500)]
    assert keys == sorted(keys)
    assert len(set(keys)) == 5
    text = id_of(keys[0])
    assert (text[14], text[19]) == ("7", "b")
    assert int(text[:13].replace("-", ""), 16) == 1_000


def test_more_than_a_millisecond_holds_go_on_in_the_next() -> None:
    ids = RunIds(bytes)
    keys = [ids.new_key(5) for _ in range(5_000)]
    assert keys == sorted(set(keys))


def test_an_id_comes_back_as_its_key_and_other_text_does_not() -> None:
    key = RunIds(bytes).new_key(1)
    assert key_of(id_of(key)) == key
    for text in ("", "x" * 36, id_of(key)[:-1], id_of(key).replace("-", "_"), "-" * 36):
        assert key_of(text) is None


def test_ids_go_on_behind_what_waits_whatever_the_clock_says_now() -> None:
    ids = RunIds(lambda n: b"\xff" * n)
    waits = ids.new_key(7_200_000)
    later = RunIds(bytes)  # a start of the hub, whose clock was set back by an hour
    later.begin_after(waits)
    keys = [later.new_key(3_600_000) for _ in range(5_000)]
    assert [waits, *keys] == sorted([waits, *keys])
    later.begin_after(waits)
    assert later.new_key(3_600_000) > keys[-1]
