"""`crm.activity.*`: calls, letters and things to do that belong to an element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitrix24_portal import crm
from bitrix24_portal.context import Answer, Context
from bitrix24_portal.entities import BY_TYPE_ID
from bitrix24_portal.errors import RestError, not_found, plain
from bitrix24_portal.fields import Stored, iso_moment, read_datetime
from bitrix24_portal.filters import FilterReader
from bitrix24_portal.methods.paging import page
from bitrix24_portal.php_forms import php_list
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.storage import Row
from bitrix24_portal.tables import ACTIVITY

_TODO_TYPE = 6  # an activity of a provider, of which a thing to do is one


def _read(context: Context, given: Mapping[str, Any], *, adding: bool) -> dict[str, Stored]:
    values: dict[str, Stored] = {}
    for key, value in given.items():
        field = ACTIVITY.by_name.get(str(key).upper())
        if field is None or field.read_only:
            continue
        try:
            values[field.name] = field.accept(value, context.zone)
        except ValueError as error:
            raise plain(f'Поле "{field.title}" ({field.name}): {error}') from error
    missing = [
        field.name for field in ACTIVITY.fields if field.required and not values.get(field.name)
    ]
    if adding and not php_list(given.get("COMMUNICATIONS")):
        missing.append("COMMUNICATIONS")
    if adding and missing:
        raise plain(f"Required fields are not defined: {', '.join(missing)}.")
    return values


def _insert(context: Context, values: dict[str, Stored]) -> int:
    owner_type, owner_id = values["OWNER_TYPE_ID"], values["OWNER_ID"]
    entity = BY_TYPE_ID.get(int(owner_type or 0))
    if entity is None or context.storage.find(entity.name, int(owner_id or 0)) is None:
        raise RestError("OWNER_NOT_FOUND", "The owner of the activity was not found.")
    moment = context.moment
    row: dict[str, Stored] = {
        field.name: field.default for field in ACTIVITY.fields if field.default is not None
    }
    row.update({"START_TIME": moment, "END_TIME": moment, "DEADLINE": moment})
    row.update((name, value) for name, value in values.items() if value is not None)
    row.update(
        {
            "CREATED": moment,
            "LAST_UPDATED": moment,
            "AUTHOR_ID": context.user_id,
            "EDITOR_ID": context.user_id,
        }
    )
    id = context.storage.insert("activity", row)
    crm.touch(context, entity, int(owner_id or 0))
    context.announce("ONCRMACTIVITYADD", id)
    return id


def _add(context: Context, given: Params) -> Answer:
    return Answer(_insert(context, _read(context, given["fields"], adding=True)))


def _add_todo(context: Context, given: Params) -> Answer:
    try:
        deadline = read_datetime(given["deadline"], context.zone)
    except ValueError as error:
        raise plain(f"deadline: {error}") from error
    values: dict[str, Stored] = {
        "OWNER_TYPE_ID": given["ownerTypeId"],
        "OWNER_ID": given["ownerId"],
        "TYPE_ID": _TODO_TYPE,
        "PROVIDER_ID": "CRM_TODO",
        "PROVIDER_TYPE_ID": "TODO",
        "SUBJECT": given.get("title", ""),
        "DESCRIPTION": given.get("description", ""),
        "DEADLINE": deadline,
        "RESPONSIBLE_ID": given.get("responsibleId", context.user_id),
    }
    return Answer({"id": _insert(context, values)})


def _find(context: Context, given: Params) -> Row:
    row = context.storage.find("activity", int(given["id"]))
    if row is None:
        raise not_found()
    return row


def _show(context: Context, row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {
        field.name: field.show_older(row[field.name], context.zone) for field in ACTIVITY.fields
    }
    shown.update({"SETTINGS": [], "PROVIDER_PARAMS": []})
    return shown


def _get(context: Context, given: Params) -> Answer:
    return Answer(_show(context, _find(context, given)))


def _update(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    values = _read(context, given["fields"], adding=False)
    values.update(
        {
            "LAST_UPDATED": iso_moment(context.now, context.zone),
            "EDITOR_ID": context.user_id,
        }
    )
    context.storage.update("activity", row["ID"], values)
    context.announce("ONCRMACTIVITYUPDATE", row["ID"])
    return Answer(True)


def _delete(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    context.storage.delete("activity", row["ID"])
    context.announce("ONCRMACTIVITYDELETE", row["ID"])
    return Answer(True)


def _list(context: Context, given: Params) -> Answer:
    reader = FilterReader("activity", ACTIVITY.by_name, context.zone)
    selected = {str(name).upper() for name in given.get("select", [])} - {"*"}

    def show(rows: list[Row]) -> list[dict[str, Any]]:
        shown = [_show(context, row) for row in rows]
        return [
            {name: one[name] for name in one if not selected or name in {"ID", *selected}}
            for one in shown
        ]

    return page(
        context.storage,
        "activity",
        reader.where(given.get("filter")),
        reader.order_by(given.get("order") or {"START_TIME": "ASC"}),
        given.get("start"),
        show,
    )


METHODS = (
    # `fields` is an object that the documentation calls an array, as PHP does.
    Method("crm.activity.add", _add, params("fields:object*")),
    Method("crm.activity.get", _get, params("id:integer*")),
    Method(
        "crm.activity.list",
        _list,
        params("select:array filter:object order:object start:integer"),
    ),
    Method("crm.activity.update", _update, params("id:integer* fields:object*")),
    Method("crm.activity.delete", _delete, params("id:integer*")),
    Method(
        "crm.activity.todo.add",
        _add_todo,
        params(
            "ownerTypeId:integer* ownerId:integer* deadline:any* title:string description:string "
            "responsibleId:integer parentActivityId:integer pingOffsets:array colorId:string"
        ),
        newer=True,
    ),
)
