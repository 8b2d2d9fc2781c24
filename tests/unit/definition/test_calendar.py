"""Times of day: schedules over the days on which clocks are changed, and open hours."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from beltline.definition.calendar import CalendarError, read_cron, read_hours, read_zone

BERLIN, MOSCOW = "Europe/Berlin", "Europe/Moscow"


def ms(text: str, zone: str = "UTC", fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(moment.timestamp() * 1_000)


def test_a_schedule_goes_by_its_zone() -> None:
    cron = read_cron("30 9 * * 1-5", MOSCOW)
    assert cron.next_after(ms("2026-11-27T06:29:59")) == ms("2026-11-27T06:30:00")
    friday = ms("2026-11-27T06:30:00")
    assert cron.next_after(friday) == ms("2026-11-30T06:30:00")


def test_a_time_that_does_not_exist_is_due_after_the_gap() -> None:
    cron = read_cron("30 2 * * *", BERLIN)
    due = cron.next_after(ms("2026-03-28T12:00:00", BERLIN))
    assert due == ms("2026-03-29T03:00:00", BERLIN)
    assert cron.next_after(due) == ms("2026-03-30T02:30:00", BERLIN)


def test_a_time_that_comes_twice_is_due_once() -> None:
    cron = read_cron("30 2 * * *", BERLIN)
    due = cron.next_after(ms("2026-10-24T12:00:00", BERLIN))
    assert due == ms("2026-10-25T02:30:00", BERLIN, fold=0)
    assert cron.next_after(due) == ms("2026-10-26T02:30:00", BERLIN)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_each_hour_that_passes_counts_once(day: str, hours: int) -> None:
    begin = ms(f"{day}T00:00:00", BERLIN)
    due = read_cron("0 * * * *", BERLIN).between(begin - 1, begin + 86_400_000 * 2, 100)
    on_the_day = [
        at
        for at in due
        if datetime.fromtimestamp(at / 1_000, ZoneInfo(BERLIN)).isoformat()[:10] == day
    ]
    assert len(on_the_day) == hours
    assert {later - at for at, later in pairwise(due)} == {3_600_000}


def test_of_many_times_the_latest_are_given() -> None:
    cron = read_cron("* * * * *", "UTC")
    assert cron.between(0, 600_000, 3) == [480_000, 540_000, 600_000]
    assert cron.between(600_000, 600_001, 3) == []


def test_open_hours() -> None:
    hours = read_hours(["Mon-Fri 9:00-18:00", "sat 10:00-14:00"], MOSCOW)
    assert hours.is_open(ms("2026-11-27T09:00:00", MOSCOW))
    assert not hours.is_open(ms("2026-11-27T18:00:00", MOSCOW))
    assert hours.is_open(ms("2026-11-28T13:59:59", MOSCOW))
    closed = ms("2026-11-28T14:00:00", MOSCOW)
    assert hours.next_open(closed) == ms("2026-11-30T09:00:00", MOSCOW)
    within = ms("2026-11-30T12:00:00", MOSCOW)
    assert hours.next_open(within) == within


def test_hours_of_a_week_that_goes_round() -> None:
    hours = read_hours(["Sun-Mon 0:00-24:00"], "UTC")
    assert [hours.is_open(ms(f"2026-11-{day}T12:00:00")) for day in range(28, 32 - 1)] == [
        False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "9:00-18:00",
        "Mon 9-18",
        "Mon 18:00-9:00",
        "Day 9:00-10:00",
        "Mon 9:00-24:01",
        "Mon 9:60-10:00",
    ],
)
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(CalendarError):
        read_hours([text], "UTC")


@pytest.mark.parametrize("text", ["* * * *", "0 0 30 2 *", "99 * * * *", "* * * * * *"])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(CalendarError):
        read_cron(text, "UTC")


@pytest.mark.parametrize("text", ["", "Mars/One", "../etc/passwd", "/etc/localtime"])
def test_what_is_no_zone(text: str) -> None:
    with pytest.raises(CalendarError, match="no time zone"):
        read_zone(text)
