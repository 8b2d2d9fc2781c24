"""The breaker's states, and when who comes back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from beltline.engine.breaker import (
    ALL,
    AWAY_MOST_MS,
    FAILURES,
    FIRST_MS,
    PROBE_MOST_MS,
    Breaker,
)

NOW = 1_700_000_000_000


def opened() -> Breaker:
    breaker = Breaker()
    opens = [breaker.failed(NOW, "no connection", breaker.turn) for _ in range(FAILURES)]
    assert opens == [False] * (FAILURES - 1) + [True]
    return breaker


def test_a_success_in_between_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(FAILURES * 3):
        assert not breaker.failed(NOW, "no", breaker.turn)
        assert not breaker.reached(breaker.turn)
    assert breaker.room(NOW) is None


def test_when_it_is_open_only_probes_go_after_growing_waits() -> None:
    breaker, now, waits = opened(), NOW, []
    for _ in range(10):
        assert breaker.room(now) == 0
        waits.append(breaker.probe_at - now)
        now = breaker.probe_at
        assert breaker.room(now) == 1
        assert not breaker.failed(now, "no", breaker.turn)
    assert waits[:5] == [FIRST_MS * 2**n for n in range(5)]
    assert waits[-1] == PROBE_MOST_MS
    assert breaker.since == NOW


def test_work_resumes_slowly() -> None:
    breaker = opened()
    now = breaker.probe_at
    assert breaker.reached(breaker.turn)
    rooms = []
    while breaker.state == "trying":
        rooms.append(breaker.room(now))
        assert not breaker.reached(breaker.turn)
    steps = [later for earlier, later in pairwise(rooms) if later != earlier]
    assert rooms[:3] == [2, 2, 4]
    assert steps == [4, 8, 16, 32]
    assert len(rooms) == sum(2**n for n in range(1, 6))
    assert ALL == 64
    assert breaker.room(now) is None


def test_a_failure_while_it_tries_opens_it_again_and_is_the_same_outage() -> None:
    breaker = opened()
    breaker.reached(breaker.turn)
    assert not breaker.failed(NOW + 9_000, "again", breaker.turn)
    assert (breaker.state, breaker.since) == ("open", NOW)
    assert breaker.probe_at == NOW + 9_000 + FIRST_MS


def test_what_was_called_before_says_nothing_about_the_present() -> None:
    breaker = Breaker()
    before = breaker.turn
    for _ in range(FAILURES):
        breaker.failed(NOW, "no", before)
    probe_at = breaker.probe_at
    for _ in range(20):  # they were under way when it opened
        assert not breaker.failed(NOW + 1, "late", before)
        assert not breaker.reached(before)
    assert (breaker.state, breaker.probe_at) == ("open", probe_at)
    assert breaker.last_error == "late"


def test_one_comes_for_the_next_probe_and_the_others_later() -> None:
    breaker = opened()
    assert breaker.again_at(NOW, 0.5) == breaker.probe_at
    later = [breaker.again_at(NOW, n / 10) for n in range(11)]
    assert min(later) > breaker.probe_at
    assert len(set(later)) == 11


def test_a_long_outage_is_looked_at_less_and_less_often_but_not_never() -> None:
    breaker, now, parks = opened(), NOW, 0
    while now < NOW + 3_600_000:
        breaker.probe_at = now + 1  # somebody else probes
        breaker._has_prober = True
        now = breaker.again_at(now, 0.5)
        parks += 1
    assert parks < 60
    assert breaker.again_at(now, 1.0) - now <= AWAY_MOST_MS + 1


@pytest.mark.parametrize("failures", range(1, FAILURES))
def test_the_first_failures_wait_longer_each_time(failures: int) -> None:
    breaker = Breaker()
    for _ in range(failures):
        breaker.failed(NOW, "no", 0)
    wait = FIRST_MS * 2 ** (failures - 1)
    assert NOW + 0.8 * wait <= breaker.again_at(NOW, 0.0) <= breaker.again_at(NOW, 1.0)
    assert breaker.again_at(NOW, 1.0) <= NOW + 1.2 * wait + 1


def test_a_person_closes_it() -> None:
    breaker = opened()
    turn = breaker.turn
    breaker.close()
    assert breaker.room(NOW) is None
    assert not breaker.failed(NOW, "late", turn)
    assert breaker.state == "closed"
