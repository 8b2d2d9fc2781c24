"""`crm.item.*` for entity types 1 to 4: the same elements by their camel-case names.

Numbers stay numbers, errors have codes, a name that is not known in a filter is refused, and `fm`
only adds phones and e-mails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitrix24_portal import crm
from bitrix24_portal.context import Answer, Context
from bitrix24_portal.crm import Changes
from bitrix24_portal.entities import BY_TYPE_ID, Entity
from bitrix24_portal.errors import RestError, invalid_argument, item_not_found
from bitrix24_portal.fields import (
    Field,
    dynamic_from_item,
    dynamic_to_item,
    is_dynamic,
)
from bitrix24_portal.filters import FilterReader
from bitrix24_portal.methods.paging import page
from bitrix24_portal.multifields import of_elements, read_item, show_item
from bitrix24_portal.php_forms import php_true
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.storage import Row

MAX_IMPORT = 20
_FM = Field("FM", "crm_multifield", "Телефоны и адреса", item_name="fm", multiple=True)
_VALUE_TYPES = ("Mobile", "Work", "Mailing", "Home")


def _entity(given: Params) -> Entity:
    entity = BY_TYPE_ID.get(int(given["entityTypeId"]))
    if entity is None:
        raise RestError("ENTITY_TYPE_NOT_SUPPORTED", "Тип объекта CRM не поддерживается")
    return entity


def _original(given: Params) -> bool:
    return php_true(given.get("useOriginalUfNames", "N"))


def read_changes(
    context: Context, entity: Entity, given: Mapping[str, Any], *, adding: bool
) -> Changes:
    """What a caller's camel-case `fields` mean.

    Raises:
        RestError: a value does not fit its field, or the stage is none of the category's.
    """
    changes = Changes()
    for key, value in given.items():
        name = str(key)
        if name == "id" and not adding:
            raise RestError(
                "100", "Setting value for Primary ID is not allowed, it is read-only field"
            )
        field = _FM if name == "fm" and entity.has_multifields else entity.by_item_name.get(name)
        if field is None:
            upper = name if is_dynamic(name) else dynamic_from_item(name)
            if is_dynamic(upper):
                changes.dynamic[upper] = value
            continue
        if field.read_only or (field.immutable and not adding):
            continue
        try:
            if field is _FM:
                changes.multifields.extend(read_item(value))
            else:
                changes.values[field.name] = field.accept(value, context.zone)
        except ValueError as error:
            raise _bad_value(field, str(error)) from error
    return changes


def _bad_value(field: Field, reason: str) -> RestError:
    return RestError(
        "CRM_FIELD_ERROR_VALUE_NOT_VALID",
        f'Неверное значение поля "{field.title}" ({field.item_name}): {reason}',
    )


def _check_stage(context: Context, entity: Entity, changes: Changes, before: Row | None) -> None:
    name = entity.stage_field
    if name is None or changes.values.get(name) is None:
        return
    category = changes.values.get("CATEGORY_ID", before.get("CATEGORY_ID") if before else 0)
    known = crm.stages(context.storage, entity, int(category or 0))
    if changes.values[name] not in known:
        raise _bad_value(entity.by_name[name], f"известны {', '.join(known) or 'никакие'}")


def _find(entity: Entity, context: Context, given: Params) -> Row:
    row = context.storage.find(entity.name, int(given["id"]))
    if row is None:
        raise item_not_found()
    return row


def _shown(context: Context, entity: Entity, id: int, given: Params) -> dict[str, Any]:
    row = context.storage.find(entity.name, id)
    assert row is not None, "the element was written in this transaction"
    return _show_whole(context, entity, [row], original=_original(given))[0]


def _create(context: Context, entity: Entity, fields: Mapping[str, Any]) -> int:
    changes = read_changes(context, entity, fields, adding=True)
    _check_stage(context, entity, changes, None)
    return crm.add(context, entity, changes)


def _add(context: Context, given: Params) -> Answer:
    entity = _entity(given)
    id = _create(context, entity, given["fields"])
    return Answer({"item": _shown(context, entity, id, given)})


def _import(context: Context, given: Params) -> Answer:
    return Answer({"item": {"id": _create(context, _entity(given), given["fields"])}})


def _batch_import(context: Context, given: Params) -> Answer:
    entity, data = _entity(given), given["data"]
    if len(data) > MAX_IMPORT:
        raise RestError("MAX_IMPORT_BATCH_SIZE_EXCEEDED", f"At most {MAX_IMPORT} items")
    items: list[dict[str, Any]] = []
    for fields in data:
        try:
            if not isinstance(fields, Mapping):
                raise invalid_argument("each of 'data' must be an object")
            items.append({"item": {"id": _create(context, entity, fields)}})
        except RestError as error:
            items.append(error.body())
    return Answer({"items": items})


def _update(context: Context, given: Params) -> Answer:
    entity = _entity(given)
    before = _find(entity, context, given)
    changes = read_changes(context, entity, given["fields"], adding=False)
    _check_stage(context, entity, changes, before)
    crm.update(context, entity, before, changes)
    return Answer({"item": _shown(context, entity, int(before["ID"]), given)})


def _delete(context: Context, given: Params) -> Answer:
    if not crm.delete(context, _entity(given), int(given["id"])):
        raise item_not_found()
    return Answer([])


def _get(context: Context, given: Params) -> Answer:
    entity = _entity(given)
    row = _find(entity, context, given)
    return Answer({"item": _show_whole(context, entity, [row], original=_original(given))[0]})


def _list(context: Context, given: Params) -> Answer:
    entity = _entity(given)
    reader = FilterReader(
        entity.name,
        entity.by_item_name,
        context.zone,
        strict=True,
        dynamic=lambda name: name if is_dynamic(name) else dynamic_from_item(name),
        owner_type=entity.code,
    )
    selected = [str(name) for name in given.get("select", [])]

    def show(rows: list[Row]) -> dict[str, Any]:
        shown = _show_whole(context, entity, rows, original=_original(given))
        if selected and "*" not in selected:
            kept = {"id", *selected} - {"fm", "entityTypeId"}
            shown = [{name: one[name] for name in one if name in kept} for one in shown]
        return {"items": shown}

    return page(
        context.storage,
        entity.name,
        reader.where(given.get("filter")),
        reader.order_by(given.get("order")),
        given.get("start"),
        show,
    )


def _fields(_context: Context, given: Params) -> Answer:
    entity = _entity(given)
    described = {name: field.describe(item=True) for name, field in entity.by_item_name.items()}
    if entity.has_multifields:
        described["fm"] = _FM.describe(item=True)
    return Answer({"fields": described})


def _show_whole(
    context: Context, entity: Entity, rows: list[Row], *, original: bool
) -> list[dict[str, Any]]:
    """Rows with everything that an item has."""
    ids = [int(row["ID"]) for row in rows]
    reached = of_elements(context.storage, entity.code, ids) if entity.has_multifields else {}
    shown = []
    for row in rows:
        one: dict[str, Any] = {
            name: field.show_item(row[field.name], context.zone)
            for name, field in entity.by_item_name.items()
        }
        one.update(dict.fromkeys(entity.legacy_items))
        if entity.has_multifields:
            one.update(_reached(reached[int(row["ID"])]))
        for name, value in crm.dynamic_values(row).items():
            one[name if original else dynamic_to_item(name)] = value
        one["entityTypeId"] = entity.type_id
        shown.append(one)
    return shown


def _reached(by_type: dict[str, list[Row]]) -> dict[str, Any]:
    """`fm`, and the first phone and e-mail of each kind, which stand beside it."""
    shown: dict[str, Any] = {}
    for type_id, prefix in (("PHONE", "phone"), ("EMAIL", "email")):
        rows = by_type.get(type_id, [])
        shown[prefix] = rows[0]["VALUE"] if rows else ""
        for kind in _VALUE_TYPES:
            if (prefix, kind) in {("phone", "Home"), ("email", "Mobile")}:
                continue
            of_kind = [row["VALUE"] for row in rows if row["VALUE_TYPE"] == kind.upper()]
            shown[prefix + kind] = of_kind[0] if of_kind else ""
    lines = by_type.get("IM", [])
    shown["imol"] = lines[0]["VALUE"] if lines else ""
    rows = sorted((row for several in by_type.values() for row in several), key=lambda r: r["ID"])
    shown["fm"] = show_item(rows)
    return shown


def _method(name: str, handler: Any, line: str) -> Method:
    declared = f"entityTypeId:integer* {line} useOriginalUfNames:boolean"
    return Method(f"crm.item.{name}", handler, params(declared), newer=True)


METHODS = (
    _method("add", _add, "fields:object*"),
    _method("update", _update, "id:integer* fields:object*"),
    _method("get", _get, "id:integer*"),
    _method("list", _list, "select:array filter:object order:object start:integer"),
    _method("fields", _fields, ""),
    _method("import", _import, "fields:object*"),
    _method("batchImport", _batch_import, "data:array*"),
    Method("crm.item.delete", _delete, params("entityTypeId:integer* id:integer*"), newer=True),
)
