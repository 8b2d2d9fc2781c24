"""The two limits, on a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitrix24_portal.faults import Fault
from bitrix24_portal.limits import OperatingLimit, RateLimit
from tests.integration.bitrix24_portal.stand import Stand, make_stand


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Stand]:
    """A portal with the limits of a real one."""
    stand = make_stand(tmp_path / "portal.db", rate_per_s=2.0)
    yield stand
    stand.portal.close()


async def test_fifty_at_once_then_two_a_second(limited: Stand) -> None:
    statuses = [(await limited.ask("user.current")).status for _ in range(51)]
    assert statuses == [200] * 50 + [503]
    status, code, _ = await limited.refusal("user.current")
    assert (status, code) == (503, "QUERY_LIMIT_EXCEEDED")
    limited.clock.moment += 1.0
    statuses = [(await limited.ask("user.current")).status for _ in range(3)]
    assert statuses == [200, 200, 503]


async def test_each_address_has_a_bucket_of_its_own(limited: Stand) -> None:
    for _ in range(50):
        await limited.ask("user.current")
    assert (await limited.ask("user.current")).status == 503
    other = replace(limited, address="10.0.0.2")
    assert (await other.ask("user.current")).status == 200


@given(st.lists(st.floats(0, 5), max_size=300), st.integers(1, 20), st.floats(0.5, 10))
def test_in_any_time_at_most_burst_and_what_leaked(
    gaps: list[float], burst: int, rate: float
) -> None:
    limit = RateLimit(rate, burst)
    now = 0.0
    admitted: list[float] = []
    for gap in gaps:
        now += gap
        if limit.admit("a", now):
            admitted.append(now)
    for first, start in enumerate(admitted):
        for last in range(first, len(admitted)):
            allowed = burst + rate * (admitted[last] - start)
            assert last - first + 1 <= allowed + 1e-6


def test_buckets_of_callers_long_gone_are_forgotten() -> None:
    limit = RateLimit(2.0, 50)
    for caller in range(10_000):
        assert limit.admit(f"caller {caller}", 0.0)
    assert limit.admit("one more", 100.0)
    assert len(limit._levels) == 1


async def test_a_method_over_480_seconds_is_blocked_until_its_minutes_pass(stand: Stand) -> None:
    stand.clock.moment = 1_790_000_040.0  # a whole minute
    for _ in range(5):
        stand.faults.order(Fault("slow", "crm.lead.list", delay_s=100.0))
    times = [(await stand.call("crm.lead.list"))["time"] for _ in range(5)]
    assert [round(one["operating"]) for one in times] == [100, 200, 300, 400, 500]
    assert times[0]["duration"] == 100.0
    assert times[-1]["operating_reset_at"] == 1_790_000_100 + 600
    status, code, _ = await stand.refusal("crm.lead.list")
    assert (status, code) == (429, "OPERATION_TIME_LIMIT")
    assert (await stand.ask("crm.deal.list")).status == 200, "other methods go on"
    stand.clock.moment = times[-1]["operating_reset_at"] - 0.5
    assert (await stand.ask("crm.lead.list")).status == 429
    stand.clock.moment += 1.0
    assert (await stand.ask("crm.lead.list")).status == 200


async def test_a_command_of_a_batch_counts_for_its_own_method(stand: Stand) -> None:
    stand.faults.order(Fault("slow", "crm.lead.list", delay_s=481.0))
    parts = await stand.result("batch", {"cmd": {"a": "crm.lead.list", "b": "crm.lead.list"}})
    assert list(parts["result"]) == ["a"]
    assert parts["result_error"]["b"]["error"] == "OPERATION_TIME_LIMIT"


def test_the_operating_limit_can_be_turned_off() -> None:
    limit = OperatingLimit(0.0)
    limit.add("m", 10_000.0, 0.0)
    assert not limit.blocked("m", 0.0)


def test_working_time_is_forgotten_minute_by_minute() -> None:
    limit = OperatingLimit(480.0)
    for minute in range(10):
        limit.add("m", 48.0, minute * 60.0)
    assert limit.spent_s("m", 599.0) == 480.0
    assert not limit.blocked("m", 599.0)
    assert limit.spent_s("m", 600.0) == 432.0
    assert limit.reset_at("m", 600.0) == 660
