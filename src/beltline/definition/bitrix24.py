"""The keys of a source of the kind `bitrix24`: which records of a portal, which of their changes.

connection, every          where the list of records is asked, and how often without any event
records, on, fields, where which records and changes, and what of them
start                      the moment from which changes count
application_token, events  how the portal's events are verified, and which others are requests
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, ClassVar, Literal, get_args

import msgspec

from beltline.core.problem import Place
from beltline.definition.finding import Report
from beltline.definition.looking import read_every
from beltline.definition.secret import SecretRef, read_secret
from beltline.definition.shape import check_keys, kind_of, read_connection_name, read_object

BITRIX24_KEYS = (
    *("connection", "every", "records", "on", "fields", "where", "start"),
    *("application_token", "events"),
)
Change = Literal["add", "update", "delete"]
CHANGES: tuple[Change, ...] = get_args(Change)
_TYPE_IDS = {"lead": 1, "deal": 2, "contact": 3, "company": 4, "quote": 7, "invoice": 31}
_SMART_LEAST = 128  # smart processes have the ids from here on
_NAME = r"[A-Za-z][A-Za-z0-9_]{0,99}"
_FIELD = re.compile(rf"{_NAME}\Z")
_EVENT = re.compile(r"[A-Z][A-Z0-9_]{2,99}\Z")
# The operators of the portal's filters, before the name of a field.
_CONDITION = re.compile(rf"(?:!=%|!%=|>=|<=|!@|!%|!=|=%|%=|>|<|@|%|=|!)?({_NAME})\Z")
_OWN_CONDITIONS = frozenset(("id", "updatedTime"))  # by which the source itself asks
_LIST_MOST = 100


class RecordKind(msgspec.Struct, frozen=True):
    """A kind of record by its name, such as `deal`, or `smart-1036`, and by the portal's number."""

    name: str
    type_id: int


class Bitrix24Way(msgspec.Struct, frozen=True):
    """Each change of a record is a request. `start`: changes count from now on, from a moment (Unix
    seconds), or all records do. `token` None: nobody may send events. `events` are those that are
    requests themselves.
    """

    kind: ClassVar[str] = "bitrix24"
    connection: str
    every_ms: int
    records: tuple[RecordKind, ...]
    on: frozenset[Change] = frozenset(CHANGES)
    fields: tuple[str, ...] = ()
    where: dict[str, Any] = {}
    start: Literal["now", "all"] | int = "now"
    token: SecretRef | None = None
    events: frozenset[str] = frozenset()


def kind_of_type(type_id: int) -> RecordKind | None:
    """The kind of record that the portal calls by this number; None where it is none."""
    for name, known in _TYPE_IDS.items():
        if known == type_id:
            return RecordKind(name, known)
    return RecordKind(f"smart-{type_id}", type_id) if type_id >= _SMART_LEAST else None


def read_bitrix24(report: Report, data: dict[str, Any]) -> Bitrix24Way | None:
    """Reads the keys of `BITRIX24_KEYS`."""
    errors = report.errors
    connection = None
    if "connection" not in data:
        report.error((), "the source names no connection", "Add `connection: NAME`.")
    else:
        connection = read_connection_name(report, data["connection"], ("connection",))
    every_ms = read_every(report, data)
    records = _read_records(report, data)
    token = _read_token(report, data)
    on = _read_on(report, data, has_token="application_token" in data)
    way = Bitrix24Way(
        connection=connection or "",
        every_ms=every_ms or 0,
        records=tuple(records),
        on=on,
        fields=tuple(_read_texts(report, data, "fields", _FIELD, "the name of a field, title")),
        where=_read_where(report, data["where"]) if "where" in data else {},
        start=_read_start(report, data.get("start", "now")),
        token=token,
        events=frozenset(_read_events(report, data)),
    )
    if "identity" in data:
        report.error(
            ("identity",),
            "a bitrix24 source needs no identity: a record is told by its id and updatedTime",
            "Take it out.",
            of_key=True,
        )
    return None if report.errors > errors else way


def _read_records(report: Report, data: dict[str, Any]) -> list[RecordKind]:
    at: Place = ("records",)
    advice = f"Write {', '.join(_TYPE_IDS)}, or the entityTypeId of a smart process."
    value = data.get("records")
    if not isinstance(value, list) or not 1 <= len(value) <= _LIST_MOST:
        report.error(at if "records" in data else (), "the source lists no records", advice)
        return []
    found: list[RecordKind] = []
    for index, one in enumerate(value):
        kind = None
        if isinstance(one, str) and one in _TYPE_IDS:
            kind = RecordKind(one, _TYPE_IDS[one])
        elif isinstance(one, int) and not isinstance(one, bool):
            kind = kind_of_type(one)
        if kind is None:
            said = f'"{one[:100]}"' if isinstance(one, str) else str(one)[:100]
            near = report.did_you_mean(one, _TYPE_IDS) if isinstance(one, str) else ""
            report.error((*at, index), f"{said} is no kind of record", near or advice)
        elif kind in found:
            report.error((*at, index), f"{kind.name} stands here twice")
        else:
            found.append(kind)
    return found


def _read_token(report: Report, data: dict[str, Any]) -> SecretRef | None:
    at: Place = ("application_token",)
    if "application_token" not in data:
        return None
    value = data["application_token"]
    if isinstance(value, str):
        return read_secret(report, value, at, "application_token")
    given = read_object(report, value, at, "application_token")
    if given is None:
        return None
    check_keys(report, given, ("secret",), at, "application_token")
    if "secret" not in given:
        report.error(at, "application_token needs a secret", 'Add `secret: "${NAME}"`.')
        return None
    return read_secret(report, given["secret"], (*at, "secret"), "secret")


def _read_on(report: Report, data: dict[str, Any], *, has_token: bool) -> frozenset[Change]:
    """Which changes are requests. What is deleted stands in no list: only an event tells it."""
    at: Place = ("on",)
    if "on" not in data:
        return frozenset(CHANGES if has_token else ("add", "update"))
    value = data["on"]
    if not isinstance(value, list) or not value:
        report.error(at, f"on must list some of {', '.join(CHANGES)}, not {kind_of(value)}")
        return frozenset()
    for index, one in enumerate(value):
        if one not in CHANGES:
            said = f'"{one[:100]}"' if isinstance(one, str) else kind_of(one)
            report.error((*at, index), f"on can list {', '.join(CHANGES)}, not {said}")
        elif one == "delete" and not has_token:
            _needs_token(report, (*at, index), "what was deleted is told by events alone")
    return frozenset(one for one in CHANGES if one in value)


def _read_events(report: Report, data: dict[str, Any]) -> list[str]:
    names = _read_texts(report, data, "events", _EVENT, "the name of an event, ONVOXIMPLANTCALLEND")
    if names and "application_token" not in data:
        _needs_token(report, ("events",), "events are taken from who has the application token")
    return names


def _needs_token(report: Report, at: Place, why: str) -> None:
    report.error(at, why, 'Add `application_token: {secret: "${NAME}"}`.')


def _read_texts(
    report: Report, data: dict[str, Any], key: str, form: re.Pattern[str], example: str
) -> list[str]:
    """A list of names, each of the given form."""
    if key not in data:
        return []
    value = data[key]
    if not isinstance(value, list) or not 1 <= len(value) <= _LIST_MOST:
        report.error((key,), f"{key} must be a list of 1 to {_LIST_MOST} names")
        return []
    for index, one in enumerate(value):
        if not isinstance(one, str) or not form.match(one):
            report.error((key, index), f"{key} holds what is not like {example}")
    return [one for one in value if isinstance(one, str)]


def _read_where(report: Report, value: Any) -> dict[str, Any]:
    at: Place = ("where",)
    data = read_object(report, value, at, "where") or {}
    for key, wanted in data.items():
        found = _CONDITION.match(key)
        if found is None:
            report.error(
                (*at, key),
                f'"{key[:100]}" is no condition of a filter',
                "Write a field, perhaps behind an operator: stageId, >=opportunity, @sourceId.",
                of_key=True,
            )
        elif found[1] in _OWN_CONDITIONS:
            report.error(
                (*at, key), f"the source itself asks by {found[1]}", "Take it out.", of_key=True
            )
        elif not _is_constant(wanted):
            report.error((*at, key), "a condition is held against a text, a number or a list")
    return data


def _is_constant(value: Any) -> bool:
    return all(
        isinstance(one, str | int | float) and not (isinstance(one, str) and "{{" in one)
        for one in (value if isinstance(value, list) else [value])
    )


def _read_start(report: Report, value: Any) -> Literal["now", "all"] | int:
    at: Place = ("start",)
    if value == "now" or value == "all":  # noqa: PLR1714 - which narrows the type
        return value  # type: ignore[no-any-return]  # one of the two, by the line before
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        report.error(
            at,
            "start must be now, all, or a moment with its zone",
            'Write it like "2026-01-31T00:00:00+03:00".',
        )
        return "now"
    return int(moment.timestamp())
