"""What a source's file says about its buffer: when requests are released, in which order, how many
may wait and for how long.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beltline.core.limits import LIMITS
from beltline.core.problem import Place
from beltline.core.template import Template
from beltline.definition.calendar import (
    CalendarError,
    Cron,
    Hours,
    read_cron,
    read_hours,
    read_zone,
)
from beltline.definition.finding import Report
from beltline.definition.request_value import read_request_value
from beltline.definition.shape import (
    check_keys,
    kind_of,
    read_duration_ms,
    read_integer,
    read_text,
)

BUFFER_KEYS = ("release", "key", "on_stopped", "priority", "ageing", "backlog", "expires")
AGEING_MS = 600_000
PRIORITY_MOST = 1_000


class Rate(msgspec.Struct, frozen=True):
    """At most `at_most` releases in any `every_ms`; `spread` puts equal times between them."""

    at_most: int
    every_ms: int
    spread: bool = False


class AtOnce(msgspec.Struct, frozen=True):
    """Nothing is held back for its time."""


class Paused(msgspec.Struct, frozen=True):
    """Everything waits until a person releases it."""


class OnSchedule(msgspec.Struct, frozen=True):
    """At each due time up to `at_most` go (None: all that wait)."""

    cron: Cron
    at_most: int | None


class OpenHours(msgspec.Struct, frozen=True):
    """Within these hours, at once or by a rate."""

    hours: Hours
    rate: Rate | None = None


class Collect(msgspec.Struct, frozen=True):
    """`most` requests become one run over a list, or those that there are when the first of them
    has waited for `or_after_ms`.
    """

    most: int
    or_after_ms: int


Release = AtOnce | Paused | Rate | OnSchedule | OpenHours | Collect


class Backlog(msgspec.Struct, frozen=True):
    """How many requests may wait, and how a sender is told that there is no room for more."""

    most: int
    status: Literal[429, 503] = 503


class Buffering(msgspec.Struct, frozen=True):
    """How a source's requests wait. `key` gives what keeps its order: of each value one request is
    under way at a time; `passes_stopped` lets the next one go when the one before it has stopped.
    `priority` gives a number; each point is worth `ageing_ms` of waiting. What has waited for
    `expires_ms` becomes a dead letter.
    """

    release: Release = AtOnce()
    key: Template | None = None
    passes_stopped: bool = False
    priority: Template | int | None = None
    ageing_ms: int = AGEING_MS
    backlog: Backlog | None = None
    expires_ms: int | None = None

    @property
    def holds(self) -> bool:
        """Whether every request goes through the buffer."""
        return not isinstance(self.release, AtOnce) or self.key is not None


def read_buffering(report: Report, data: dict[str, Any]) -> Buffering:
    """Reads the keys of `BUFFER_KEYS`; what is wrong is reported."""
    key = None
    if "key" in data:
        key = read_request_value(report, data["key"], ("key",), "key")
    if "on_stopped" in data:
        if data["on_stopped"] not in ("hold", "pass"):
            report.error(("on_stopped",), "on_stopped can be hold or pass")
        elif "key" not in data:
            report.error(("on_stopped",), "on_stopped needs a key, whose order it is about")
    return Buffering(
        release=_read_release(report, data.get("release", "at-once"), ("release",)),
        key=key,
        passes_stopped=data.get("on_stopped") == "pass",
        priority=_read_priority(report, data),
        ageing_ms=_read_ageing(report, data),
        backlog=_read_backlog(report, data["backlog"]) if "backlog" in data else None,
        expires_ms=_duration(report, data["expires"], ("expires",), "expires")
        if "expires" in data
        else None,
    )


# When requests go


def _read_release(report: Report, value: Any, at: Place) -> Release:
    if value == "at-once":
        return AtOnce()
    if value == "paused":
        return Paused()
    advice = (
        "Write at-once, paused, {at_most: 10, every: 1m}, {schedule: "
        '"0 9 * * 1-5", timezone: Europe/Moscow}, {hours: "Mon-Fri 9:00-18:00", timezone:'
        " Europe/Moscow} or {collect: 100, or_after: 1m}."
    )
    if not isinstance(value, dict):
        said = f'"{value[:100]}"' if isinstance(value, str) else kind_of(value)
        report.error(at, f"release cannot be {said}", advice)
        return AtOnce()
    if "schedule" in value:
        return _read_schedule(report, value, at)
    if "hours" in value:
        return _read_hours(report, value, at)
    if "collect" in value:
        return _read_collect(report, value, at)
    if "at_most" in value:
        check_keys(report, value, ("at_most", "every", "spread"), at, "release")
        return _read_rate(report, value, at) or AtOnce()
    report.error(at, "release does not say when requests go", advice)
    return AtOnce()


def _read_rate(report: Report, value: dict[str, Any], at: Place) -> Rate | None:
    at_most = _count(report, value["at_most"], (*at, "at_most"), "at_most")
    if "every" not in value:
        report.error(at, "release needs the time that at_most is about", "Add `every: 1m`.")
        return None
    every_ms = _duration(report, value["every"], (*at, "every"), "every")
    spread = value.get("spread", False)
    if not isinstance(spread, bool):
        report.error((*at, "spread"), "spread can be true or false")
        return None
    if at_most is None or every_ms is None:
        return None
    return Rate(at_most, every_ms, spread)


def _read_schedule(report: Report, value: dict[str, Any], at: Place) -> Release:
    check_keys(report, value, ("schedule", "timezone", "at_most"), at, "release")
    text = read_text(report, value["schedule"], (*at, "schedule"), "schedule")
    zone = read_timezone(report, value, at)
    at_most = None
    if "at_most" in value:
        at_most = _count(report, value["at_most"], (*at, "at_most"), "at_most")
    if text is None or zone is None:
        return AtOnce()
    try:
        return OnSchedule(read_cron(text, zone), at_most)
    except CalendarError as wrong:
        report.error((*at, "schedule"), str(wrong))
        return AtOnce()


def _read_hours(report: Report, value: dict[str, Any], at: Place) -> Release:
    check_keys(report, value, ("hours", "timezone", "at_most", "every", "spread"), at, "release")
    texts = value["hours"] if isinstance(value["hours"], list) else [value["hours"]]
    zone = read_timezone(report, value, at)
    if not texts or not all(isinstance(text, str) for text in texts):
        report.error((*at, "hours"), "hours must be a text or a list of texts")
        return AtOnce()
    rate = _read_rate(report, value, at) if "at_most" in value else None
    if zone is None:
        return AtOnce()
    try:
        return OpenHours(read_hours(texts, zone), rate)
    except CalendarError as wrong:
        report.error((*at, "hours"), str(wrong))
        return AtOnce()


def _read_collect(report: Report, value: dict[str, Any], at: Place) -> Release:
    check_keys(report, value, ("collect", "or_after"), at, "release")
    most = read_integer(
        report,
        value["collect"],
        (*at, "collect"),
        "collect",
        least=1,
        most=LIMITS.collect_requests,
        limit="collect_requests",
    )
    if "or_after" not in value:
        report.error(at, "collect needs the time after which fewer will do", "Add `or_after: 1m`.")
        return AtOnce()
    or_after_ms = _duration(report, value["or_after"], (*at, "or_after"), "or_after")
    return AtOnce() if most is None or or_after_ms is None else Collect(most, or_after_ms)


def read_timezone(report: Report, data: dict[str, Any], at: Place) -> str | None:
    """The time zone of a schedule, which has to be named."""
    if "timezone" not in data:
        report.error(
            at, "a time of day needs its time zone", "Add `timezone: Europe/Moscow`, or UTC."
        )
        return None
    text = read_text(report, data["timezone"], (*at, "timezone"), "timezone")
    try:
        return None if text is None else read_zone(text)
    except CalendarError as wrong:
        report.error((*at, "timezone"), str(wrong))
        return None


# The order, and how many


def _read_priority(report: Report, data: dict[str, Any]) -> Template | int | None:
    value = data.get("priority")
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return read_integer(
            report, value, ("priority",), "priority", least=0, most=PRIORITY_MOST, limit="priority"
        )
    return read_request_value(report, value, ("priority",), "priority")


def _read_ageing(report: Report, data: dict[str, Any]) -> int:
    if "ageing" not in data:
        return AGEING_MS
    if "priority" not in data:
        report.error(("ageing",), "ageing needs a priority, whose worth it tells")
    return _duration(report, data["ageing"], ("ageing",), "ageing") or AGEING_MS


def _read_backlog(report: Report, value: Any) -> Backlog | None:
    at: Place = ("backlog",)
    data = {"most": value} if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(data, dict):
        report.error(at, f"backlog cannot be {kind_of(value)}", "Write `backlog: 10000`.")
        return None
    check_keys(report, data, ("most", "answer"), at, "backlog")
    if "most" not in data:
        report.error(at, "backlog needs how many may wait", "Add `most: 10000`.")
        return None
    most = _count(report, data["most"], (*at, "most") if data is value else at, "most")
    status = data.get("answer", 503)
    if status not in (429, 503):
        report.error((*at, "answer"), "answer can be 429 or 503")
        return None
    return None if most is None else Backlog(most, status)


def _count(report: Report, value: Any, at: Place, what: str) -> int | None:
    return read_integer(
        report, value, at, what, least=1, most=LIMITS.release_requests, limit="release_requests"
    )


def _duration(report: Report, value: Any, at: Place, what: str) -> int | None:
    return read_duration_ms(report, value, at, what, most_ms=LIMITS.wait_ms, limit="wait_ms")
