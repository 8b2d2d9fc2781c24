"""The judge of the rate finds each thing that can be wrong: it is shown a good round with one
planted fault.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.fleet.evidence import Spell
from tests.fleet.leads import Leads
from tests.fleet.rate_judge import judge_rate

AT_MOST, EVERY_S = 3, 2.0
SLACK_S = 1.0


def good() -> Leads:
    """Three go each two seconds, from 10 s on, and are called a moment later."""
    ids = [f"request-{number}" for number in range(12)]
    moments = [(10.0 + EVERY_S * (number // AT_MOST), id) for number, id in enumerate(ids)]
    return Leads(
        told={str(number): id for number, id in enumerate(ids)},
        requests=set(ids),
        completed=dict.fromkeys(ids, 1),
        departures=moments,
        called=[(at + 0.01, id) for at, id in moments],
    )


def judged(leads: Leads, *spells: Spell) -> list[str]:
    return judge_rate(leads, spells, SLACK_S, at_most=AT_MOST, every_s=EVERY_S)


def lose(leads: Leads) -> None:
    leads.requests.remove("request-1")


def leave_unfinished(leads: Leads) -> None:
    leads.completed["request-1"] = 0


def carry_out_twice(leads: Leads) -> None:
    leads.completed["request-1"] = 2


def accept_a_stranger(leads: Leads) -> None:
    leads.requests.add("request-99")


def release_twice(leads: Leads) -> None:
    leads.departures = sorted([*leads.departures, (30.0, "request-1")])
    leads.departures = [(at, id) for at, id in leads.departures if at < 17 or id == "request-1"]


def release_too_early(leads: Leads) -> None:
    leads.departures = [(11.0 if id == "request-3" else at, id) for at, id in leads.departures]


def call_too_early(leads: Leads) -> None:
    leads.called = sorted((10.5 if id == "request-3" else at, id) for at, id in leads.called)


def stand_still(leads: Leads) -> None:
    leads.departures = [(at + 5.0 if at > 13.0 else at, id) for at, id in leads.departures]


def test_a_good_round_is_good() -> None:
    assert judged(good()) == []
    assert judged(good(), Spell(11.0, 12.0, 1)) == []


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (lose, "is not there"),
        (leave_unfinished, "completed 0 times"),
        (carry_out_twice, "completed 2 times"),
        (accept_a_stranger, "no sender was told of"),
        (release_twice, "left its buffer 2 times"),
        (release_too_early, "left their buffer within"),
        (call_too_early, "were called within"),
        (stand_still, "nothing left its buffer"),
    ],
)
def test_what_is_planted_is_found(plant: Callable[[Leads], None], words: str) -> None:
    leads = copy.deepcopy(good())
    plant(leads)
    found = judged(leads)
    assert found
    assert any(words in text for text in found)


def test_a_fault_explains_late_calls_and_no_early_releases() -> None:
    leads = good()
    call_too_early(leads)
    assert judged(leads, Spell(8.5, 9.0, 2)) == []
    assert judged(leads, Spell(4.0, 5.0, 2)) != []  # its traces are gone
    release_too_early(leads)
    assert len(judged(leads, Spell(8.5, 9.0, 2))) > 0


def test_no_fault_explains_more_than_two_windows_at_once() -> None:
    leads = good()
    leads.called = [(10.0 if at < 15.0 else at, id) for at, id in leads.called]
    assert len(judged(leads, Spell(8.0, 15.0, None))) > 0


def test_room_may_be_left_unused_while_a_fault_lasts() -> None:
    leads = good()
    stand_still(leads)
    assert judged(leads, Spell(13.0, 18.0, None)) == []
