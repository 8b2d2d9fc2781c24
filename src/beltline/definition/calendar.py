"""Times of day in a zone: when a schedule is due next, and whether it is within open hours.

Moments are Unix milliseconds. Where clocks are put forward, a time that does not exist that day is
due at the first moment after the gap; where they are put back, a time that comes twice is due at
the first one. A schedule of every hour or oftener goes by the time that passes, so it is neither
skipped nor repeated.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

DAY_MINUTES = 1_440
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(
    r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+"
    r"(?P<from_h>\d{1,2}):(?P<from_m>\d\d)\s*-\s*(?P<to_h>\d{1,2}):(?P<to_m>\d\d)\Z"
)


class CalendarError(ValueError):
    """The author: the text is no time. The message says what is wrong with it."""


class Cron(msgspec.Struct, frozen=True):
    """A schedule in five fields (minute, hour, day of the month, month, day of the week)."""

    text: str
    zone: str

    def next_after(self, at: int) -> int | None:
        """The first due time after `at`; None where there is none in the next decades."""
        try:
            return _ms(next(CronSim(self.text, _local(at, self.zone))))
        except StopIteration:
            return None

    def between(self, after: int, until: int, most: int) -> list[int]:
        """The due times after `after` and not after `until`, the latest `most` of them."""
        found: list[int] = []
        at = self.next_after(after)
        while at is not None and at <= until:
            found.append(at)
            if len(found) > most:
                del found[0]
            at = self.next_after(at)
        return found


class Span(msgspec.Struct, frozen=True):
    """Open on the days `first` to `last` (Monday is 0), from one minute of the day until before
    another.
    """

    first: int
    last: int
    begin: int
    end: int

    def covers(self, day: int) -> bool:
        """Whether a day of the week is one of its days."""
        if self.first <= self.last:
            return self.first <= day <= self.last
        return day >= self.first or day <= self.last


class Hours(msgspec.Struct, frozen=True):
    """Open hours of a week."""

    spans: tuple[Span, ...]
    zone: str

    def is_open(self, at: int) -> bool:
        """Whether `at` lies within them."""
        local = _local(at, self.zone)
        minute = local.hour * 60 + local.minute
        return any(
            span.covers(local.weekday()) and span.begin <= minute < span.end for span in self.spans
        )

    def next_open(self, at: int) -> int:
        """`at` itself where they are open, else the moment at which they open next."""
        if self.is_open(at):
            return at
        local = _local(at, self.zone)
        begins = []
        for days in range(8):
            day = local.date() + timedelta(days=days)
            for span in self.spans:
                if span.covers(day.weekday()):
                    hour, minute = divmod(span.begin, 60)
                    begin = datetime(
                        day.year, day.month, day.day, hour, minute, tzinfo=local.tzinfo
                    )
                    begins.append(_ms(begin))
        return min(begin for begin in begins if begin > at)


def read_zone(text: str) -> str:
    """The name of a time zone such as `Europe/Moscow`. Raises `CalendarError`."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise CalendarError(
            f'there is no time zone "{text[:100]}": write one such as Europe/Moscow or UTC'
        ) from unknown
    return text


def read_cron(text: str, zone: str) -> Cron:
    """A schedule that is due at some time. Raises `CalendarError`."""
    if len(text.split()) != 5:
        raise CalendarError(
            "a schedule has five fields: minute, hour, day of the month, month, day of the week"
        )
    try:
        cron = Cron(text, zone)
        if cron.next_after(0) is None:
            raise CalendarError("this schedule is never due")
    except CronSimError as wrong:
        raise CalendarError(f"this is no schedule: {wrong}") from wrong
    return cron


def read_hours(texts: list[str], zone: str) -> Hours:
    """Open hours from texts such as `Mon-Fri 9:00-18:00`. Raises `CalendarError`."""
    return Hours(tuple(_span(text) for text in texts), zone)


def _span(text: str) -> Span:
    found = _SPAN.match(text.strip().lower())
    if found is None:
        raise CalendarError(f'"{text[:100]}" are no hours: write them like Mon-Fri 9:00-18:00')
    first = found["first"]
    last = found["last"] or first
    for day in (first, last):
        if day not in DAYS:
            raise CalendarError(f'"{day}" is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun')
    begin, end = (int(found[f"{name}_h"]) * 60 + int(found[f"{name}_m"]) for name in ("from", "to"))
    if int(found["from_m"]) > 59 or int(found["to_m"]) > 59 or end > DAY_MINUTES or begin >= end:
        raise CalendarError(
            f'"{text[:100]}" are no hours: they begin before they end, at 24:00 at the latest.'
            " Hours over midnight are two: until 24:00, and from 0:00 of the next day"
        )
    return Span(DAYS.index(first), DAYS.index(last), begin, end)


def _local(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at / 1_000, UTC).astimezone(ZoneInfo(zone))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
