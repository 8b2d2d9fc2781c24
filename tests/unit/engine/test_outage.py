"""An outage as the dispatcher sees it: parked steps, probes, one alert, and no failure."""

from __future__ import annotations

import pytest

from beltline.core.events import Error
from beltline.core.explanation import standing
from beltline.core.inputs import AttemptFailed
from beltline.engine.breaker import FAILURES
from beltline.engine.ports import Posted, Reached
from tests.simulation.workload import step
from tests.unit.engine.desk import Desk
from tests.unit.engine.test_dispatcher import CRM, answer_all, desk

FRAIL = {"process": "frail", "steps": [step("a", retry={"attempts": 1}, timeout="60s")]}


def frail() -> Desk:
    return desk(processes=(FRAIL,), has_breaker=True)


def refuse_all(desk: Desk, reached: Reached = "no", *, final: bool = False) -> int:
    """Every call meets nobody; gives their number."""
    calls = list(desk.calls)
    desk.calls.clear()
    for call in calls:
        call.reached, call.trouble = reached, "no connection to the portal"
        asked = call.call
        error = Error("retry", "no connection to the portal")
        failed = AttemptFailed("a", asked.visit, asked.attempt, error, final)
        desk.mailbox.post([Posted(call.key, failed)])
    desk.settle()
    return len(calls)


@pytest.mark.parametrize("reached", ["no", "away"])
def test_a_step_that_meets_nobody_is_parked_and_has_not_failed(reached: Reached) -> None:
    it = frail()
    key = it.submit({}).key
    refuse_all(it, reached)
    assert it.events(key) == ["run-started", "step-started", "step-parked"]
    assert it.record(key).status == "parked"
    run = it.folded(key)
    assert run.open["a", 1].failures == 0
    assert f"waits until {CRM} can be reached again" in standing(run).because
    assert "no connection to the portal" in standing(run).because
    it.wait(2_000)
    assert it.calls[0].call.is_repeat == (reached == "away")


def test_what_broke_in_between_is_a_failure() -> None:
    it = frail()
    key = it.submit({}).key
    refuse_all(it, "broken")
    assert it.record(key).status == "stopped"


def test_what_is_final_stays_so() -> None:
    it = frail()
    key = it.submit({}).key
    refuse_all(it, "no", final=True)
    assert it.record(key).status == "stopped"


def test_without_a_breaker_it_is_a_failure_as_before() -> None:
    it = desk(processes=(FRAIL,), has_breaker=False)
    key = it.submit({}).key
    refuse_all(it)
    assert it.record(key).status == "stopped"


def test_an_outage_calls_nobody_but_probes_fails_nothing_and_ends_by_itself() -> None:
    it = frail()
    keys = [it.submit({}).key for _ in range(40)]
    assert refuse_all(it) == 40
    assert it.node.dispatcher.view(CRM, ()).breaker == "open"
    probes = []
    for second in range(60):
        it.wait(1_000)
        if second % 5 == 0:
            keys.append(it.submit({}).key)
        probes.append(refuse_all(it))
    assert max(probes) == 1
    assert 4 <= sum(probes) <= 7  # 1, 2, 4, 8, 16 and 30 seconds apart, and who came in between
    at_a_time = []
    for _ in range(180):
        it.wait(1_000)
        at_a_time.append(answer_all(it))
    assert {it.record(key).status for key in keys} == {"completed"}
    counted = [n for n in at_a_time if n]
    assert counted[0] <= 2
    assert not [key for key in keys if "step-failed" in it.events(key)]
    alerts = [event for event, _, _ in it.reports]
    assert alerts == [f"{CRM} cannot be reached", f"{CRM} is reached again"]
    parks = max(it.events(key).count("step-parked") for key in keys)
    assert parks <= 12


def test_calls_from_before_an_outage_that_hang_keep_no_probe_from_going() -> None:
    it = frail()
    for _ in range(20):
        it.submit({})
    hanging, it.calls[:] = it.calls[FAILURES:], it.calls[:FAILURES]
    assert refuse_all(it) == FAILURES
    assert len(hanging) == 20 - FAILURES
    it.wait(1_500)
    assert len(it.calls) == 1


def test_while_it_comes_back_few_go_at_a_time() -> None:
    it = frail()
    for _ in range(30):
        it.submit({})
    refuse_all(it)
    for _ in range(20):
        it.wait(500)
        if it.calls:
            break
    assert len(it.calls) == 1
    answer_all(it)
    most = 0
    for _ in range(4):
        it.wait(250)
        most = max(most, len(it.calls))
    assert 1 <= most <= 2


def test_a_person_closes_the_breaker() -> None:
    it = frail()
    for _ in range(FAILURES):
        it.submit({})
    refuse_all(it)
    assert it.node.dispatcher.close_breaker(CRM)
    assert not it.node.dispatcher.close_breaker(CRM)
    assert not it.node.dispatcher.close_breaker("connection other")
    it.submit({})
    assert len(it.calls) == 1


def test_what_people_see_of_an_outage() -> None:
    it = frail()
    for _ in range(FAILURES):
        it.submit({})
    since = it.clock.now()
    refuse_all(it)
    view = it.node.dispatcher.view(CRM, ())
    assert (view.breaker, view.since, view.probe_at) == ("open", since, since + 1_000)
    assert (view.last_error, view.last_error_at) == ("no connection to the portal", since)
