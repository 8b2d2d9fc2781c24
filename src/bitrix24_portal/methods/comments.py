"""`crm.timeline.comment.*`: what people and programs write under an element."""

from __future__ import annotations

from typing import Any

from bitrix24_portal import crm
from bitrix24_portal.context import Answer, Context
from bitrix24_portal.entities import BY_CODE, Entity
from bitrix24_portal.errors import RestError, not_found, plain
from bitrix24_portal.fields import Stored
from bitrix24_portal.filters import FilterReader
from bitrix24_portal.methods.paging import page
from bitrix24_portal.registry import Method, Params, as_integer, params
from bitrix24_portal.storage import Row
from bitrix24_portal.tables import COMMENT

_ORDERED_BY = {"ID", "CREATED", "AUTHOR_ID"}


def _owner(context: Context, fields: dict[str, Any]) -> tuple[Entity, int]:
    entity = BY_CODE.get(str(fields.get("ENTITY_TYPE", "")).upper())
    id = as_integer(fields.get("ENTITY_ID"))
    if entity is None:
        raise RestError("OWNER_TYPE_NOT_SUPPORTED", "ENTITY_TYPE must name a CRM object.")
    if id is None or context.storage.find(entity.name, id) is None:
        raise RestError("OWNER_NOT_FOUND", "The CRM object of the comment was not found.")
    return entity, id


def _text(fields: dict[str, Any]) -> str:
    text = fields.get("COMMENT")
    if not isinstance(text, str) or not text.strip():
        raise plain("COMMENT is not defined or empty.")
    if fields.get("FILES"):
        raise plain("FILES: the stand-in keeps no files.")
    return text


def _add(context: Context, given: Params) -> Answer:
    fields = given["fields"]
    entity, owner_id = _owner(context, fields)
    values: dict[str, Stored] = {
        "ENTITY_ID": owner_id,
        "ENTITY_TYPE": entity.name,
        "CREATED": context.moment,
        "COMMENT": _text(fields),
        "AUTHOR_ID": as_integer(fields.get("AUTHOR_ID")) or context.user_id,
    }
    id = context.storage.insert("comment", values)
    crm.touch(context, entity, owner_id)
    context.announce("ONCRMTIMELINECOMMENTADD", id)
    return Answer(id)


def _find(context: Context, given: Params) -> Row:
    row = context.storage.find("comment", int(given["id"]))
    if row is None:
        raise not_found()
    owner_id = given.get("ownerId")
    if owner_id is not None and owner_id != row["ENTITY_ID"]:
        raise not_found()
    return row


def _show(context: Context, rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {
            **{f.name: f.show_older(row[f.name], context.zone) for f in COMMENT.fields},
            "FILES": {},
        }
        for row in rows
    ]


def _get(context: Context, given: Params) -> Answer:
    return Answer(_show(context, [_find(context, given)])[0])


def _update(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    if "COMMENT" in given["fields"]:
        context.storage.update("comment", row["ID"], {"COMMENT": _text(given["fields"])})
    context.announce("ONCRMTIMELINECOMMENTUPDATE", row["ID"])
    return Answer(row["ID"])


def _delete(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    context.storage.delete("comment", row["ID"])
    context.announce("ONCRMTIMELINECOMMENTDELETE", row["ID"])
    return Answer(None)


def _list(context: Context, given: Params) -> Answer:
    asked = {str(key).upper(): value for key, value in given["filter"].items()}
    for name in ("ENTITY_ID", "ENTITY_TYPE"):
        if not any(key.lstrip("=") == name for key in asked):
            raise plain(f"{name} is not defined in filter.")
    reader = FilterReader("comment", COMMENT.by_name, context.zone)
    order = {
        name: way for name, way in given.get("order", {}).items() if name.upper() in _ORDERED_BY
    }
    selected = {str(name).upper() for name in given.get("select", [])} - {"*"}

    def show(rows: list[Row]) -> list[dict[str, Any]]:
        return [
            {name: one[name] for name in one if not selected or name in selected}
            for one in _show(context, rows)
        ]

    return page(
        context.storage,
        "comment",
        reader.where(asked),
        reader.order_by(order),
        given.get("start"),
        show,
    )


_OWNED = "ownerTypeId:integer ownerId:integer"
METHODS = (
    Method("crm.timeline.comment.add", _add, params("fields:object*")),
    Method("crm.timeline.comment.get", _get, params("id:integer*")),
    Method(
        "crm.timeline.comment.list",
        _list,
        params("select:array filter:object* order:object start:integer"),
    ),
    Method("crm.timeline.comment.update", _update, params(f"id:integer* fields:object* {_OWNED}")),
    Method("crm.timeline.comment.delete", _delete, params(f"id:integer* {_OWNED}")),
)
