"""What a limit allows is used while calls wait, on one node and on four, and few go round in vain.

Between two calls of a burst of 1 lie a round trip and the time for a token: nobody knows sooner
that a request has arrived (docs/decisions/0010-tokens-are-spent-when-the-answer-is-there.md). The
steps here have little time, so that those that wait are parked and not held.
"""

from __future__ import annotations

from functools import partial

import pytest

from beltline.core.inputs import Answered
from beltline.core.limits import PRODUCTION
from beltline.core.model import Step
from beltline.engine.call_rules import CallRule
from beltline.engine.limit_store import Rule
from beltline.engine.ports import Dispatched, Posted
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk
from tests.unit.engine.test_dispatcher import CRM, Same

HASTY = {"process": "hasty", "steps": [step("a", timeout="4s")]}
LASTS_MS = 60_000


class Answering(Desk):
    """A node whose calls are answered after a while. `times` are of all calls, of all nodes."""

    def __init__(self, rule: Rule, took_ms: int, first: Answering | None = None) -> None:
        self.times: list[int] = first.times if first else []
        self.took_ms = took_ms
        super().__init__(HASTY, limits=PRODUCTION, rules=Same(rule), lease_ms=10_000, beside=first)

    def dispatch(self, calls: list[Dispatched]) -> None:
        for call in calls:
            self.times.append(self.scheduler.now)
            asked = call.call
            answer = Answered(asked.step.id, asked.visit, asked.attempt, {"v": 1}, 7)
            bring = partial(self.mailbox.post, [Posted(call.key, answer)])
            self.scheduler.at(self.scheduler.now + self.took_ms, bring)


def is_kept(rate_per_s: float, burst: int, times: list[int]) -> bool:
    """Whether every window has at most the burst and what the rate allows."""
    return all(
        later - earlier + 1 <= burst + rate_per_s * (times[later] - times[earlier]) / 1_000 + 1e-6
        for earlier in range(len(times))
        for later in range(earlier, len(times))
    )


@pytest.mark.parametrize("nodes", [1, 4])
@pytest.mark.parametrize(
    ("rule", "took_ms"),
    [
        (Rule(CRM, rate_per_s=0.5, burst=1), 20),
        (Rule(CRM, rate_per_s=0.5, burst=1), 300),
        (Rule(CRM, rate_per_s=2, burst=1), 300),
        (Rule(CRM, rate_per_s=10, burst=1), 20),
        (Rule(CRM, rate_per_s=10, burst=1), 1_500),
        (Rule(CRM, rate_per_s=5, burst=5), 300),
        (Rule(CRM, concurrency=1), 300),
    ],
    ids=str,
)
def test_four_fifths_of_what_a_limit_allows_are_used_while_calls_wait(
    nodes: int, rule: Rule, took_ms: int
) -> None:
    first = Answering(rule, took_ms)
    desks = [first, *(Answering(rule, took_ms, first) for _ in range(nodes - 1))]
    gap_ms = 1_000 / rule.rate_per_s if rule.rate_per_s else 0
    between_ms = max(gap_ms, (took_ms + gap_ms) / rule.burst)
    allowed = LASTS_MS / between_ms
    keys = [desks[number % nodes].submit({}).key for number in range(round(allowed * 1.5))]
    first.wait(LASTS_MS)
    assert len(first.times) >= 0.8 * allowed
    if rule.rate_per_s is not None:
        assert is_kept(rule.rate_per_s, rule.burst, first.times)
    parks = sum(first.events(key).count("step-parked") for key in keys)
    assert parks <= (4 + 2 * nodes) * len(first.times)


class ByModule:
    """Both steps keep to the connection's limit, and one to that of its module as well."""

    def of(self, step: Step) -> CallRule:
        of_connection = Rule(CRM, rate_per_s=10, burst=1)
        of_module = (Rule("module slow", rate_per_s=0.05, burst=1),) if step.id == "slow" else ()
        return CallRule(CRM, (*of_module, of_connection))


def test_what_waits_for_the_limit_of_its_module_holds_up_nothing_else() -> None:
    slow = {"process": "slow", "steps": [step("slow", timeout="4s")]}
    it = Desk(slow, HASTY, limits=PRODUCTION, rules=ByModule())
    quick = []
    for _ in range(10):
        quick += [it.submit({}, number=2).key for _ in range(2)]
        it.submit({})
    for _ in range(60):
        it.wait(100)
        for name in list(it.called):
            it.answer(name, {"v": 1})
    assert [it.record(key).status for key in quick] == ["completed"] * 20
