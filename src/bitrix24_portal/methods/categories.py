"""`crm.category.*`: the funnels of deals, each with stages of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.entities import DEAL
from bitrix24_portal.errors import RestError, item_not_found
from bitrix24_portal.fields import Stored
from bitrix24_portal.methods.statuses import fill_directory
from bitrix24_portal.php_forms import php_true
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.storage import Row, Storage
from bitrix24_portal.tables import CATEGORY, DEAL_STAGES

MAX_NAME_CHARS = 255


def fill_categories(storage: Storage) -> None:
    """Writes the one funnel that every portal has, with id 0."""
    if storage.row('SELECT 1 FROM "category" LIMIT 1') is None:
        storage.insert(
            "category",
            {
                "ID": 0,
                "NAME": "Общая",
                "SORT": 300,
                "ENTITY_TYPE_ID": DEAL.type_id,
                "IS_DEFAULT": "Y",
            },
        )


def _check_type(given: Params) -> None:
    if given["entityTypeId"] != DEAL.type_id:
        raise RestError("ENTITY_TYPE_NOT_SUPPORTED", "Воронки есть только у сделок")


def _find(context: Context, given: Params) -> Row:
    _check_type(given)
    row = context.storage.find("category", int(given["id"]))
    if row is None:
        raise item_not_found()
    return row


def _read(given: Mapping[str, Any], context: Context) -> dict[str, Stored]:
    values: dict[str, Stored] = {}
    for field in CATEGORY.fields:
        if field.read_only or str(field.item_name) not in given:
            continue
        try:
            values[field.name] = field.accept(given[str(field.item_name)], context.zone)
        except ValueError as error:
            raise RestError("CRM_FIELD_ERROR_VALUE_NOT_VALID", str(error)) from error
    name = values.get("NAME", "-")
    if not name or len(str(name)) > MAX_NAME_CHARS:
        raise RestError("CRM_FIELD_ERROR_REQUIRED", "name: от 1 до 255 знаков")
    return values


def _settle_default(context: Context, values: dict[str, Stored]) -> None:
    if values.get("IS_DEFAULT") == "Y":
        context.storage.run('UPDATE "category" SET "IS_DEFAULT" = ?', ("N",))


def _show(row: Row) -> dict[str, Any]:
    return {
        str(field.item_name): row[field.name] if row[field.name] is not None else field.default
        for field in CATEGORY.fields
    }


def _answer(context: Context, id: int) -> Answer:
    row = context.storage.find("category", id)
    assert row is not None, "the category was written in this transaction"
    return Answer({"category": _show(row)})


def _add(context: Context, given: Params) -> Answer:
    _check_type(given)
    if not given["fields"].get("name"):
        raise RestError("CRM_FIELD_ERROR_REQUIRED", 'Поле "name" обязательно для заполнения')
    values = _read(given["fields"], context)
    _settle_default(context, values)
    id = context.storage.insert(
        "category",
        {"SORT": 500, "IS_DEFAULT": "N", **values, "ENTITY_TYPE_ID": DEAL.type_id},
    )
    fill_directory(
        context.storage, f"DEAL_STAGE_{id}", DEAL_STAGES, prefix=f"C{id}:", category_id=id
    )
    return _answer(context, id)


def _get(context: Context, given: Params) -> Answer:
    return Answer({"category": _show(_find(context, given))})


def _list(context: Context, given: Params) -> Answer:
    _check_type(given)
    rows = context.storage.rows('SELECT * FROM "category" ORDER BY "SORT", "ID"')
    return Answer({"categories": [_show(row) for row in rows]}, total=len(rows))


def _update(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    values = _read(given["fields"], context)
    if row["IS_DEFAULT"] == "Y" and not php_true(values.get("IS_DEFAULT", "Y")):
        raise RestError("INVALID_ARG_VALUE", "Одна из воронок остаётся воронкой по умолчанию")
    _settle_default(context, values)
    context.storage.update("category", row["ID"], values)
    return _answer(context, row["ID"])


def _delete(context: Context, given: Params) -> Answer:
    row = _find(context, given)
    if row["IS_DEFAULT"] == "Y":
        raise RestError("CATEGORY_DEFAULT_DELETE", "Воронку по умолчанию удалить нельзя")
    used = context.storage.row('SELECT 1 FROM "deal" WHERE "CATEGORY_ID" = ?', (row["ID"],))
    if used is not None:
        raise RestError("CATEGORY_HAS_ITEMS", "В воронке есть сделки")
    context.storage.delete("category", row["ID"])
    context.storage.run('DELETE FROM "status" WHERE "ENTITY_ID" = ?', (f"DEAL_STAGE_{row['ID']}",))
    return Answer(None)


def _fields(_context: Context, given: Params) -> Answer:
    _check_type(given)
    return Answer(
        {"fields": {str(field.item_name): field.describe(item=True) for field in CATEGORY.fields}}
    )


def _method(name: str, handler: Any, line: str) -> Method:
    declared = params(f"entityTypeId:integer* {line}")
    return Method(f"crm.category.{name}", handler, declared, newer=True)


METHODS = (
    _method("add", _add, "fields:object*"),
    _method("get", _get, "id:integer*"),
    _method("list", _list, ""),
    _method("update", _update, "id:integer* fields:object*"),
    _method("delete", _delete, "id:integer*"),
    _method("fields", _fields, ""),
)
