"""An event as a portal sends it: a form with brackets, once at most and never again.

Nothing of it is believed but that something happened: `FIELDS` holds an id and no more, and when
the event was sent (`ts`) says only that the change was not later.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from beltline.core.limits import Limits
from beltline.definition.bitrix24 import CHANGES, Change
from beltline.sources.form_body import read_form
from beltline.sources.refusal import RequestRefused

_OF_NAMED = re.compile(r"ONCRM(LEAD|DEAL|CONTACT|COMPANY|QUOTE)(ADD|UPDATE|DELETE)\Z")
_TYPE_IDS = {"LEAD": 1, "DEAL": 2, "CONTACT": 3, "COMPANY": 4, "QUOTE": 7}
# Of smart processes and invoices: one event for all of them, or one for each with its number.
_OF_ANY = re.compile(r"ONCRMDYNAMICITEM(ADD|UPDATE|DELETE)(?:_([0-9]{1,9}))?\Z")


class PortalEvent(msgspec.Struct, frozen=True):
    """`type_id` and `change` are those of a record, None for any other event; `id` is the record's,
    where the event has one; `sent_s` when it was sent by the portal's clock (Unix seconds).
    """

    name: str
    data: Any
    type_id: int | None
    change: Change | None
    id: int | None
    sent_s: int | None


def read_event(body: bytes, limits: Limits) -> PortalEvent:
    """The event of a form body. Raises `RequestRefused` (400, 422)."""
    value, _ = read_form(body, depth=limits.request_depth)
    name = value.get("event")
    if not isinstance(name, str) or not name:
        raise RequestRefused(422, "no-event", "Send the name of the event in the field event.")
    name = name.upper()
    data = value.get("data", {})
    fields = data.get("FIELDS") if isinstance(data, dict) else None
    told = fields if isinstance(fields, dict) else {}
    type_id, change = _about(name, told)
    return PortalEvent(
        name, data, type_id, change, _number(told.get("ID")), _number(value.get("ts"))
    )


def _about(name: str, fields: dict[str, Any]) -> tuple[int | None, Change | None]:
    """The kind of record that an event is about, and what became of the record."""
    if found := _OF_NAMED.match(name):
        return _TYPE_IDS[found[1]], _change(found[2])
    if found := _OF_ANY.match(name):
        return _number(found[2] or fields.get("ENTITY_TYPE_ID")), _change(found[1])
    return None, None


def _change(word: str) -> Change:
    return next(one for one in CHANGES if one == word.lower())


def _number(value: Any) -> int | None:
    """A number that the form has as a text."""
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None
