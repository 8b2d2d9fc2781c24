"""The keys of a schedule: when it is due, what each time brings, what becomes of missed times."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from beltline.core.template import Template
from beltline.definition.buffering import read_timezone
from beltline.definition.calendar import CalendarError, Cron, read_cron
from beltline.definition.finding import Report
from beltline.definition.looking import read_every, read_value
from beltline.definition.shape import kind_of, read_text

SCHEDULE_KEYS = ("every", "cron", "timezone", "request", "missed")
MISSED = ("skip", "once", "all")

Missed = Literal["skip", "once", "all"]


class Every(msgspec.Struct, frozen=True):
    """Due in equal steps, counted from the last time that fired."""

    every_ms: int

    @property
    def text(self) -> str:
        """What tells one schedule from another."""
        return f"every {self.every_ms} ms"

    def next_after(self, at: int) -> int | None:
        """The next due time, where the last one was `at`."""
        return at + self.every_ms

    def newest(self, after: int, until: int, most: int) -> list[int]:
        """The due times after the one at `after` and not after `until`: the latest `most`."""
        count = (until - after) // self.every_ms
        return [after + n * self.every_ms for n in range(max(1, count - most + 1), count + 1)]


class AtTimes(msgspec.Struct, frozen=True):
    """Due at times of the day."""

    cron: Cron

    @property
    def text(self) -> str:
        """What tells one schedule from another."""
        return f"cron {self.cron.text} {self.cron.zone}"

    def next_after(self, at: int) -> int | None:
        """The first due time after `at`; None where there is none in the next decades."""
        return self.cron.next_after(at)

    def newest(self, after: int, until: int, most: int) -> list[int]:
        """The due times after `after` and not after `until`: the latest `most`. After years of
        standing still there may be millions, so it looks back step by step until it has enough.
        """
        back_ms = most * 60_000
        while True:
            begin = max(after, until - back_ms)
            found = self.cron.between(begin, until, most)
            if begin == after or len(found) == most:
                return found
            back_ms *= 4


Times = Every | AtTimes


class ScheduleWay(msgspec.Struct, frozen=True):
    """Requests that nobody sends: each due time brings one, which `request` gives from `meta`."""

    kind: ClassVar[str] = "schedule"
    times: Times
    request: Template
    missed: Missed = "once"


def read_schedule(report: Report, data: dict[str, Any]) -> ScheduleWay | None:
    """Reads the keys of `SCHEDULE_KEYS`."""
    times = _read_times(report, data)
    request = read_value(report, data.get("request", {}), ("request",), ("meta",))
    missed = data.get("missed", "once")
    if missed not in MISSED:
        report.error(("missed",), f"missed can be {', '.join(MISSED)}, not {_said(missed)}")
        return None
    if "identity" in data:
        report.error(
            ("identity",),
            "a schedule needs no identity: each of its times brings one request",
            "Take it out.",
            of_key=True,
        )
    if "backlog" in data:
        report.error(
            ("backlog",),
            "a schedule has no sender that could wait until its backlog has room: every time fires",
            "Take it out. `expires` ends what has waited for too long.",
            of_key=True,
        )
    if times is None or request is None:
        return None
    return ScheduleWay(times, request, missed)


def _read_times(report: Report, data: dict[str, Any]) -> Times | None:
    if "cron" in data and "every" in data:
        report.error(("every",), "a schedule has cron or every, not both", of_key=True)
        return None
    if "cron" not in data and "every" not in data:
        report.error(
            (),
            "the schedule does not say when it is due",
            'Add `every: 15m`, or `cron: "0 9 * * 1-5"` with its `timezone`.',
        )
        return None
    if "every" in data:
        if "timezone" in data:
            report.error(("timezone",), "an interval has no time zone", "Take it out.", of_key=True)
        every_ms = read_every(report, data)
        return None if every_ms is None else Every(every_ms)
    text = read_text(report, data["cron"], ("cron",), "cron")
    zone = read_timezone(report, data, ())
    if text is None or zone is None:
        return None
    try:
        return AtTimes(read_cron(text, zone))
    except CalendarError as wrong:
        report.error(("cron",), str(wrong))
        return None


def _said(value: Any) -> str:
    return f'"{value[:100]}"' if isinstance(value, str) else kind_of(value)
