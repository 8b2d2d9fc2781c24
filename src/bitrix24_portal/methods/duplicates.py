"""`crm.duplicate.findbycomm`: who has one of these phones or e-mails."""

from __future__ import annotations

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.errors import plain
from bitrix24_portal.multifields import match_key
from bitrix24_portal.registry import Method, Params, params

MAX_VALUES = 20
MAX_FOUND = 20  # of one kind; when a kind has as many, the kinds after it are left out
_ORDER = ("LEAD", "CONTACT", "COMPANY")


def _find(context: Context, given: Params) -> Answer:
    type_id = str(given.get("type", "")).upper()
    if not type_id:
        raise plain("Communication type is not defined.")
    if type_id not in {"PHONE", "EMAIL"}:
        raise plain(f"Communication type '{type_id[:40]}' is not supported in current context.")
    values = given.get("values") or []
    if not values:
        raise plain("Communication values is not defined.")
    if len(values) > MAX_VALUES:
        raise plain(f"At most {MAX_VALUES} communication values, {len(values)} were given.")
    asked = str(given.get("entity_type", "")).upper()
    if asked and asked not in _ORDER:
        raise plain(f"Entity type '{asked[:40]}' is not supported in current context.")
    keys = [key for value in values if (key := match_key(type_id, str(value)))]
    marks = ", ".join("?" * len(keys))
    found: dict[str, list[int]] = {}
    for code in (asked,) if asked else _ORDER:
        rows = context.storage.rows(
            'SELECT DISTINCT "ELEMENT_ID" AS id FROM "multifield" '  # noqa: S608 - marks only
            f'WHERE "TYPE_ID" = ? AND "MATCH_KEY" IN ({marks}) AND "ENTITY_TYPE" = ? '
            "ORDER BY id LIMIT ?",
            (type_id, *keys, code, MAX_FOUND),
        )
        if rows:
            found[code] = [int(row["id"]) for row in rows]
        if len(rows) >= MAX_FOUND:
            break
    return Answer(found or [])


METHODS = (
    Method(
        "crm.duplicate.findbycomm", _find, params("type:string values:array entity_type:string")
    ),
)
