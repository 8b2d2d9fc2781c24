"""What a source's settings say at some moment: whether anything may go, and what counts it; and
when all that waits will about have gone.
"""

from __future__ import annotations

import msgspec

from beltline.definition.buffering import (
    AtOnce,
    Collect,
    OnSchedule,
    OpenHours,
    Paused,
    Rate,
    Release,
)
from beltline.definition.calendar import DAY_MINUTES, Hours
from beltline.engine.records import Due, Window

# How far back a due time is looked for that was perhaps missed, quickly found where it is near; one
# that was missed by more than the last is left to the next one.
LATE_MS = (120_000, 3_600_000, 86_400_000)
DUE_TIMES_MOST = 1_000  # that are counted one by one
WEEK_MINUTES = 7 * DAY_MINUTES


class Plan(msgspec.Struct, frozen=True):
    """Whether anything may go, what counts it, and when the settings say something else (None: not
    by themselves).
    """

    may_go: bool
    window: Window | None = None
    due: Due | None = None
    until: int | None = None


def window_of(source: str, rate: Rate) -> Window:
    """The window that a rate is counted in. What is spread goes one by one."""
    name = f"release {source}"  # stores know it by this, too
    if rate.spread:
        return Window(name, 1, -(-rate.every_ms // rate.at_most))
    return Window(name, rate.at_most, rate.every_ms)


def plan(source: str, release: Release, now: int) -> Plan:
    """What may go at `now`."""
    match release:
        case AtOnce():
            return Plan(may_go=True)
        case Rate():
            return Plan(may_go=True, window=window_of(source, release))
        case OpenHours():
            if not release.hours.is_open(now):
                return Plan(may_go=False, until=release.hours.next_open(now))
            rate = release.rate
            return Plan(may_go=True, window=None if rate is None else window_of(source, rate))
        case OnSchedule():
            until = release.cron.next_after(now)
            for late_ms in LATE_MS:
                due = release.cron.between(now - late_ms, now, 1)
                if due:
                    return Plan(may_go=True, due=Due(due[-1], release.at_most), until=until)
            return Plan(may_go=False, until=until)
        case Paused() | Collect():
            return Plan(may_go=False)


def drained_at(release: Release, number: int, now: int) -> int | None:
    """About when the last of `number` requests will have gone; None where nobody can tell."""
    if number < 1:
        return now
    match release:
        case AtOnce():
            return now
        case Rate():
            return now + _rate_ms(release, number)
        case OpenHours():
            begin = release.hours.next_open(now)
            if release.rate is None:
                return begin
            return begin + _open_ms(release.hours, _rate_ms(release.rate, number))
        case OnSchedule():
            return _due_times_later(release, number, now)
        case Collect():
            return now + release.or_after_ms
        case Paused():
            return None


def _rate_ms(rate: Rate, number: int) -> int:
    if rate.spread:
        return number * rate.every_ms // rate.at_most
    return (number - 1) // rate.at_most * rate.every_ms


def _open_ms(hours: Hours, needed_ms: int) -> int:
    """How long it takes until the hours have been open for so long, by their share of a week."""
    minutes = sum(
        span.end - span.begin for span in hours.spans for day in range(7) if span.covers(day)
    )
    return needed_ms * WEEK_MINUTES // max(1, min(minutes, WEEK_MINUTES))


def _due_times_later(release: OnSchedule, number: int, now: int) -> int | None:
    times = 1 if release.at_most is None else -(-number // release.at_most)
    at: int | None = now
    counted = min(times, DUE_TIMES_MOST)
    for _ in range(counted):
        at = None if at is None else release.cron.next_after(at)
    return None if at is None else now + (at - now) * times // counted
