"""`crm.status.*`: the directories that stages, sources and types come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.errors import not_found, plain
from bitrix24_portal.fields import Stored
from bitrix24_portal.filters import FilterReader
from bitrix24_portal.php_forms import php_true
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.storage import Row, Storage
from bitrix24_portal.tables import DIRECTORIES, STATUS, SYSTEM_STAGES, Stage

_WORDS = {"S": "success", "F": "failure"}


def fill_directory(
    storage: Storage,
    directory: str,
    stages: tuple[Stage, ...],
    *,
    prefix: str = "",
    category_id: int | None = None,
) -> None:
    """Writes a directory's first entries."""
    for place, stage in enumerate(stages, start=1):
        system = stage.status_id in SYSTEM_STAGES
        storage.insert(
            "status",
            {
                "ENTITY_ID": directory,
                "STATUS_ID": prefix + stage.status_id,
                "NAME": stage.name,
                "NAME_INIT": stage.name if system else "",
                "SORT": place * 10,
                "SYSTEM": "Y" if system else "N",
                "CATEGORY_ID": category_id,
                "COLOR": stage.color,
                "SEMANTICS": stage.semantics,
            },
        )


def fill_directories(storage: Storage) -> None:
    """Writes the directories of a fresh portal, once."""
    if storage.row('SELECT 1 FROM "status" LIMIT 1') is None:
        for directory, stages in DIRECTORIES.items():
            fill_directory(storage, directory, stages)


def _read(context: Context, given: Mapping[str, Any], *, adding: bool) -> dict[str, Stored]:
    values: dict[str, Stored] = {}
    for key, value in given.items():
        field = STATUS.by_name.get(str(key).upper())
        if field is None or field.read_only or (field.immutable and not adding):
            continue
        try:
            if field.name == "SEMANTICS":  # a letter, though its kind is that of a flag
                values["SEMANTICS"] = str(value)[:1].upper() or None
            else:
                values[field.name] = field.accept(value, context.zone)
        except ValueError as error:
            raise plain(f'Поле "{field.title}" ({field.name}): {error}') from error
    for field in STATUS.fields:
        if field.required and not values.get(field.name) and (adding or field.name in values):
            raise plain(f"The field '{field.name}' is required.")
    return values


def _show(context: Context, row: Row, *, extra: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        field.name: field.show_older(row[field.name], context.zone) for field in STATUS.fields
    }
    if extra and row["COLOR"] is not None:
        meaning = _WORDS.get(row["SEMANTICS"] or "", "process")
        if row["STATUS_ID"].endswith("APOLOGY"):
            meaning = "apology"
        shown["EXTRA"] = {"SEMANTICS": meaning, "COLOR": row["COLOR"]}
    return shown


def _find(context: Context, given: Params) -> Row:
    row = context.storage.find("status", int(given["id"]))
    if row is None:
        raise not_found()
    return row


def _get(context: Context, given: Params) -> Answer:
    return Answer(_show(context, _find(context, given), extra=False))


def _list(context: Context, given: Params) -> Answer:
    reader = FilterReader("status", STATUS.by_name, context.zone)
    where = reader.where(given.get("filter"))
    order = reader.order_by(given.get("order") or {"SORT": "ASC"})
    # A directory comes whole, without pages.
    rows = context.storage.rows(
        f'SELECT * FROM "status" WHERE {where.sql} ORDER BY {order}',  # noqa: S608 - declared
        where.values,
    )
    return Answer([_show(context, row, extra=True) for row in rows], total=len(rows))


def _add(context: Context, given: Params) -> Answer:
    values = _read(context, given["fields"], adding=True)
    twin = context.storage.row(
        'SELECT 1 FROM "status" WHERE "ENTITY_ID" = ? AND "STATUS_ID" = ?',
        (values["ENTITY_ID"], values["STATUS_ID"]),
    )
    if twin is not None:
        raise plain("The directory has an entry with this STATUS_ID.")
    return Answer(
        context.storage.insert("status", {"SORT": 10, "SYSTEM": "N", "NAME_INIT": "", **values})
    )


def _update(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    context.storage.update("status", row["ID"], _read(context, given["fields"], adding=False))
    return Answer(True)


def _delete(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    flags = given.get("params") or {}
    forced = flags.get("FORCED", "N") if isinstance(flags, Mapping) else flags
    if row["SYSTEM"] == "Y" and not php_true(forced):
        raise plain("CRM System Status can be deleted only if parameter FORCED is specified.")
    context.storage.delete("status", row["ID"])
    return Answer(True)


def _fields(_context: Context, _given: Params) -> Answer:
    described = {field.name: field.describe(item=False) for field in STATUS.fields}
    described["EXTRA"] = {
        **described["COLOR"],
        "type": "crm_status_extra",
        "title": "Дополнительные поля",
    }
    return Answer(described)


METHODS = (
    Method("crm.status.add", _add, params("fields:object*")),
    Method("crm.status.get", _get, params("id:integer*")),
    Method("crm.status.list", _list, params("order:object filter:object")),
    Method("crm.status.update", _update, params("id:integer* fields:object*")),
    Method("crm.status.delete", _delete, params("id:integer* params:any")),
    Method("crm.status.fields", _fields),
)
