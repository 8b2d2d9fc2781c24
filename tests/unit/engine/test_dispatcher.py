"""Limits between the belt's commit and the transport, on a virtual clock."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from beltline.core.explanation import standing
from beltline.core.inputs import Cancel, Parked
from beltline.core.limits import PRODUCTION, TINY
from beltline.core.model import Step
from beltline.engine.call_rules import CallRule
from beltline.engine.limit_store import Ask, Quota, Rule
from beltline.engine.ports import Posted
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk

ONE = {"process": "one", "steps": [step("a", timeout="60s")]}
CRM = "connection crm"


class Same:
    """One rule for every step of a module, except those of module `note`."""

    def __init__(self, *limits: Rule, **more: Any) -> None:
        self.rule = CallRule(CRM, limits, **more)

    def of(self, step: Step) -> CallRule | None:
        return None if step.id == "free" else self.rule


def desk(*limits: Rule, processes: Any = (ONE,), **more: Any) -> Desk:
    """A desk whose steps keep to these limits; the burst is there."""
    made = Desk(*processes, limits=PRODUCTION, rules=Same(*limits, **more))
    for rule in limits:  # the first question makes the bucket, which is empty
        made.run(made.store.draw(rule, Ask(0, 0, 0, 0)))
    made.wait(1_000_000)
    return made


def slow(burst: int = 2) -> Rule:
    return Rule(CRM, rate_per_s=0.5, burst=burst)


def answer_all(desk: Desk) -> int:
    """All calls are answered; gives their number."""
    calls = list(desk.calls)
    for call in calls:
        call.reached = "yes"
        desk.answer(call.call.step.id, {"v": 1})
    return len(calls)


def test_a_burst_goes_at_once_and_the_rest_by_the_rate() -> None:
    it = desk(slow())
    for _ in range(4):
        it.submit({})
    seen = [answer_all(it)]
    for _ in range(8):
        it.wait(500)
        seen.append(answer_all(it))
    assert seen == [2, 0, 0, 0, 0, 1, 0, 0, 0]  # a quarter later: they came back by the guess
    it.wait(250)
    assert answer_all(it) == 1


def test_a_step_that_waits_for_long_is_parked_and_says_so() -> None:
    it = desk(slow(1))
    it.submit({})
    key = it.submit({}).key
    record = it.record(key)
    assert (record.status, record.owned) == ("parked", False)
    assert record.ready_at is not None
    assert record.ready_at > it.clock.now()
    assert it.events(key) == ["run-started", "step-started", "step-parked"]
    stands = standing(it.folded(key))
    assert f"waits for the limit of {CRM}, until " in stands.because
    assert stands.wake_at == record.ready_at


def test_a_parked_step_costs_no_failure_and_its_time_runs_from_the_real_dispatch() -> None:
    it = desk(slow(1))
    it.submit({})
    key = it.submit({}).key
    answer_all(it)
    it.wait(2_250)
    call = it.calls[0]
    assert call.call.attempt == 2
    assert not call.call.is_repeat  # nobody has been called for it before
    assert call.call.deadline == it.clock.now() + 60_000
    it.fail("a")
    visit = it.folded(key).open["a", 1]
    assert (visit.failures, visit.phase) == (1, "backoff")


def test_a_short_wait_takes_no_commit() -> None:
    it = desk(Rule(CRM, rate_per_s=2, burst=1))
    it.submit({})
    key = it.submit({}).key
    assert answer_all(it) == 1
    it.wait(600)
    assert answer_all(it) == 1
    assert it.events(key) == ["run-started", "step-started", "step-completed", "run-completed"]


def test_a_step_with_little_time_is_not_held() -> None:
    hasty = {"process": "hasty", "steps": [step("a", timeout="2s")]}
    it = desk(Rule(CRM, rate_per_s=2, burst=1), processes=(hasty,))
    it.submit({})
    assert it.events(it.submit({}).key)[-1] == "step-parked"


def test_parked_runs_come_back_one_after_the_other() -> None:
    it = desk(slow(1))
    keys = [it.submit({}).key for _ in range(6)]
    at = [it.record(key).ready_at or 0 for key in keys[1:]]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert gaps == [2_000] * 4


def test_a_backlog_drains_at_the_rate_without_going_round() -> None:
    it = desk(Rule(CRM, rate_per_s=10, burst=1))
    keys = [it.submit({}).key for _ in range(60)]
    done = answer_all(it)
    for _ in range(70):
        it.wait(100)
        done += answer_all(it)
    assert done == 60
    parks = [it.events(key).count("step-parked") for key in keys]
    assert max(parks) <= 2


def test_processes_take_turns() -> None:
    two = ({**ONE, "process": "many"}, {**ONE, "process": "few"})
    it = desk(Rule(CRM, rate_per_s=10, burst=1), processes=two)
    for _ in range(8):
        it.submit({}, number=1)
    it.submit({}, number=2)
    it.submit({}, number=2)
    order = []
    for _ in range(14):
        order += [call.process for call in it.calls]
        answer_all(it)
        it.wait(100)
    assert order.count("few") == 2
    assert order.index("few") <= 2
    assert order[:6].count("few") == 2


def test_so_many_at_a_time() -> None:
    it = desk(Rule(CRM, concurrency=3))
    for _ in range(5):
        it.submit({})
    assert len(it.calls) == 3
    it.answer("a", {})
    assert len(it.calls) == 3
    it.answer("a", {})
    assert len(it.calls) == 3
    assert answer_all(it) == 3


def test_a_call_that_its_transport_parks_gives_its_place_back_at_once() -> None:
    it = desk(Rule(CRM, concurrency=1))
    it.submit({})
    it.submit({})
    [call] = it.calls
    parked = Parked("a", 1, call.call.attempt, it.clock.now() + 10_000, "waits for its broker")
    it.mailbox.post([Posted(it.calls.pop().key, parked)])
    it.wait(1_100)  # a line looks each second
    assert len(it.calls) == 1
    assert it.record(call.key).status == "parked"


def test_an_answer_that_never_comes_gives_its_place_back() -> None:
    hasty = {"process": "hasty", "steps": [step("a", timeout="5s", retry={"attempts": 1})]}
    it = desk(Rule(CRM, concurrency=1), processes=(hasty,))
    it.submit({})
    key = it.submit({}).key
    it.calls.clear()
    it.wait(20_000)
    assert len(it.calls) == 1
    assert it.calls[0].key == key


def test_a_clock_that_is_set_makes_nobody_wait_for_days() -> None:
    it = desk(Rule(CRM, concurrency=1))
    it.submit({})
    it.clock.ahead_ms += 90_000_000
    answer_all(it)
    it.submit({})
    key = it.submit({}).key
    ready_at = it.record(key).ready_at
    assert ready_at is None or ready_at < it.clock.now() + 120_000


def test_a_day_has_its_quota_and_the_next_one_its_own() -> None:
    it = desk(Rule(CRM, quota=Quota(3, "Europe/Moscow")))
    it.wait(86_400_000)
    for _ in range(5):
        it.submit({})
    assert answer_all(it) == 3
    hours = 22.5  # until midnight in Moscow
    it.clock.ahead_ms += round(hours * 3_600_000) - 5_000
    it.wait(4_000)
    assert it.calls == []
    it.wait(2_000)
    assert answer_all(it) == 2


def test_what_a_call_may_ask_for_is_kept_free_and_what_it_did_not_ask_for_comes_back() -> None:
    it = desk(Rule(CRM, rate_per_s=0.01, burst=6), requests=3)
    for _ in range(3):
        it.submit({})
    assert len(it.calls) == 2
    it.calls[0].requests = it.calls[1].requests = 1
    assert answer_all(it) == 2
    it.wait(200_000)
    assert answer_all(it) == 1


def test_a_run_that_was_cancelled_while_its_call_waited_is_not_called() -> None:
    it = desk(Rule(CRM, rate_per_s=2, burst=1))
    it.submit({})
    key = it.submit({}).key
    it.command(key, Cancel())
    it.node.loader.wake()
    it.settle()
    answer_all(it)
    it.wait(5_000)
    assert it.called == []
    assert it.record(key).status == "cancelled"


def test_a_crash_forgets_no_call_and_allows_no_second_burst() -> None:
    it = desk(Rule(CRM, rate_per_s=0.5, burst=5))
    for _ in range(5):
        it.submit({})
    assert len(it.calls) == 5
    it.crash()
    it.start()
    seen = []
    for _ in range(26):
        seen.append(len(it.calls))
        answer_all(it)
        it.wait(500)
    assert sum(seen) == 5
    assert max(seen) == 1


def test_calls_without_limits_go_straight_through() -> None:
    free = {"process": "free", "steps": [step("free")]}
    it = desk(Rule(CRM, rate_per_s=0.001, burst=1), processes=(ONE, free))
    it.submit({})
    for _ in range(5):
        it.submit({}, number=2)
    assert it.called.count("free") == 5


def test_a_clean_stop_leaves_what_waits_to_whoever_recovers_it() -> None:
    it = desk(Rule(CRM, rate_per_s=2, burst=1))
    it.submit({})
    key = it.submit({}).key
    it.node.drain()
    answer_all(it)
    it.wait(3_000)
    assert it.called == []
    assert it.events(key) == ["run-started", "step-started"]


def test_a_suspect_that_is_parked_stays_suspected() -> None:
    it = desk(Rule(CRM, rate_per_s=0.5, burst=2))
    it.submit({})
    key = it.submit({}).key
    assert len(it.calls) == 2  # one is called, and then the process dies
    it.crash()
    it.start()
    assert it.record(key).crashes == 1
    it.wait(1_000)
    assert it.events(key)[-1] == "step-parked"
    assert it.record(key).crashes == 1
    it.wait(6_000)
    answer_all(it)
    it.wait(6_000)
    answer_all(it)
    assert it.record(key).crashes == 0
    assert it.record(key).status == "completed"


@pytest.mark.parametrize("held", [1, 3])
def test_no_more_calls_are_held_than_the_limit_says(held: int) -> None:
    it = Desk(ONE, limits=TINY, rules=Same(Rule(CRM, rate_per_s=100, burst=1)))
    for number in range(held + 5):
        it.begin_submit_without_rest({"n": number})
    assert len(it.node.dispatcher.view(CRM, ()).left) <= 1
    assert it.node.dispatcher.view(CRM, ()).waiting <= TINY.held_calls


# Together


def together(burst: int = 1, **more: Any) -> Desk:
    rule = Rule(CRM, rate_per_s=0.1, burst=burst)
    return desk(rule, batch="work", batch_most=3, **more)


def test_calls_that_wait_go_together_and_cost_one() -> None:
    it = together()
    for _ in range(8):
        it.submit({})
    it.calls[0].requests = 1
    assert answer_all(it) == 1  # nobody waited with it
    it.batches.clear()
    seen = []
    for _ in range(5):
        it.wait(11_000)
        seen.append(len(it.calls))
        answer_all(it)
    assert seen == [3, 3, 1, 0, 0]
    assert [len(batch) for batch in it.batches] == [3, 3]


def test_a_batch_mixes_processes_and_counts_a_turn_for_each_call() -> None:
    it = together(processes=(ONE, {**ONE, "process": "other"}))
    it.submit({})
    for number in (1, 1, 2, 2):
        it.submit({}, number=number)
    answer_all(it)
    it.wait(12_000)
    assert len(it.batches) == 1
    assert {call.process for call in it.batches[0]} == {"one", "other"}


def test_what_may_be_a_repeat_of_something_with_an_effect_goes_alone() -> None:
    it = together(burst=3)
    for _ in range(3):
        it.submit({})
    line = it.node.dispatcher.lines()[0]
    calls = list(it.calls)
    for number, call in enumerate(calls):
        fields = {name: getattr(call.call.step, name) for name in call.call.step.__struct_fields__}
        call.call.step = Step(**{**fields, "effect": "at-least-once"})
        call.call.is_repeat = number > 0
        line.add(it.rules.of(call.call.step) or CallRule(CRM), call, it.clock.now())
    assert [len(unit.calls) for unit in line.units()] == [1, 1, 1]
    line.clear()
    for call in calls:
        call.call.is_repeat = False
        line.add(it.rules.of(call.call.step) or CallRule(CRM), call, it.clock.now())
    assert [len(unit.calls) for unit in line.units()] == [3]
