"""`event.bind`, `event.unbind`, `event.get`: who is told of what happens in the portal.

A real portal binds handlers for applications only, and an outgoing webhook by hand in its pages;
the stand-in takes `event.bind` from a webhook, so that a test or a demo can set itself up.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.entities import ENTITIES
from bitrix24_portal.errors import RestError
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.storage import Storage

_SUBJECTS = (*(entity.code for entity in ENTITIES), "TIMELINECOMMENT", "ACTIVITY")
EVENTS = frozenset(
    f"ONCRM{subject}{what}" for subject in _SUBJECTS for what in ("ADD", "UPDATE", "DELETE")
)
MAX_HANDLERS = 200


def fill_outgoing(storage: Storage, addresses: Iterable[str]) -> None:
    """Binds outgoing webhooks to every event, where they are not bound yet."""
    for event in sorted(EVENTS):
        for address in addresses:
            storage.run(
                'INSERT OR IGNORE INTO "handler" ("EVENT", "HANDLER", "AUTH_TYPE")'
                " VALUES (?, ?, 0)",
                (event, address),
            )


def _event(given: Params) -> str:
    event = str(given["event"]).upper()
    if event not in EVENTS:
        raise RestError("EVENT_NOT_FOUND", "Event not found!")
    if str(given.get("event_type", "online")).lower() != "online":
        raise RestError("WRONG_AUTH_TYPE", "The stand-in has online events only.")
    return event


def _bind(context: Context, given: Params) -> Answer:
    event, handler = _event(given), str(given["handler"])
    parts = urlsplit(handler)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RestError("ERROR_EVENT_HANDLER_URL", "Invalid handler URL.")
    held = context.storage.row('SELECT count(*) AS n FROM "handler"')
    if held is not None and held["n"] >= MAX_HANDLERS:
        raise RestError("ERROR_EVENT_HANDLER_LIMIT", f"At most {MAX_HANDLERS} handlers.")
    key = (event, handler, given.get("auth_type", 0))
    if context.storage.row(
        'SELECT 1 FROM "handler" WHERE "EVENT" = ? AND "HANDLER" = ? AND "AUTH_TYPE" = ?', key
    ):
        raise RestError("ERROR_EVENT_BINDING_EXISTS", "Handler already binded")
    context.storage.insert(
        "handler", dict(zip(("EVENT", "HANDLER", "AUTH_TYPE"), key, strict=True))
    )
    return Answer(True)


def _unbind(context: Context, given: Params) -> Answer:
    event, handler = _event(given), str(given["handler"])
    where, values = '"EVENT" = ? AND "HANDLER" = ?', [event, handler]
    if "auth_type" in given:
        where += ' AND "AUTH_TYPE" = ?'
        values.append(given["auth_type"])
    removed = context.storage.run(
        f'DELETE FROM "handler" WHERE {where}',  # noqa: S608 - constants
        values,
    )
    return Answer({"count": removed})


def _get(context: Context, _given: Params) -> Answer:
    rows = context.storage.rows('SELECT * FROM "handler" ORDER BY "ID"')
    return Answer(
        [
            {
                "event": row["EVENT"],
                "handler": row["HANDLER"],
                "auth_type": str(row["AUTH_TYPE"]),
                "offline": 0,
            }
            for row in rows
        ]
    )


_ONE = "event:string* handler:string* auth_type:integer event_type:string"
METHODS = (
    Method("event.bind", _bind, params(f"{_ONE} auth_connector:string options:any")),
    Method("event.unbind", _unbind, params(_ONE)),
    Method("event.get", _get),
)
