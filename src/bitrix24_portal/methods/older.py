"""`crm.lead.*`, `crm.deal.*`, `crm.contact.*`, `crm.company.*`: generated from the declarations.

Fields are named in capitals, everything is read back as text, names that are not known are
overlooked, and refusals have an empty code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bitrix24_portal import crm
from bitrix24_portal.context import Answer, Context
from bitrix24_portal.crm import Changes
from bitrix24_portal.entities import ENTITIES, Entity
from bitrix24_portal.errors import not_found, plain
from bitrix24_portal.fields import MULTIFIELD_TYPES, is_dynamic
from bitrix24_portal.filters import FilterReader
from bitrix24_portal.methods.paging import page
from bitrix24_portal.multifields import of_elements, read_older, show_older
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.storage import Row

Bound = Callable[[Entity, Context, Params], Answer]


def read_changes(
    context: Context, entity: Entity, given: Mapping[str, Any], *, adding: bool
) -> Changes:
    """What a caller's `fields` mean.

    Raises:
        RestError: a value does not fit its field, or a required one is missing or emptied.
    """
    changes = Changes()
    for key, value in given.items():
        name = str(key).upper()
        if is_dynamic(name):
            changes.dynamic[name] = value
            continue
        field = entity.by_name.get(name)
        if field is None or field.read_only or not field.older:
            continue
        if field.immutable and not adding:
            continue
        try:
            if field.is_multifield:
                changes.multifields.extend(read_older(name, value))
            else:
                changes.values[name] = field.accept(value, context.zone)
        except ValueError as error:
            raise plain(f'Поле "{field.title}" ({name}): {error}') from error
    for field in entity.columns:
        if not (field.required and field.older) or changes.values.get(field.name) is not None:
            continue
        if adding or field.name in changes.values:
            raise plain(f'Поле "{field.title}" ({field.name}) обязательно для заполнения')
    return changes


def _find(entity: Entity, context: Context, given: Params) -> Row:
    row = context.storage.find(entity.name, _id(given))
    if row is None:
        raise not_found()
    return row


def _id(given: Params) -> int:
    id = int(given["id"])
    if id <= 0:
        raise plain("ID is not defined or invalid.")
    return id


def _add(entity: Entity, context: Context, given: Params) -> Answer:
    changes = read_changes(context, entity, given.get("fields", {}), adding=True)
    return Answer(crm.add(context, entity, changes))


def _update(entity: Entity, context: Context, given: Params) -> Answer:
    before = _find(entity, context, given)
    changes = read_changes(context, entity, given.get("fields", {}), adding=False)
    crm.update(context, entity, before, changes)
    return Answer(True)


def _delete(entity: Entity, context: Context, given: Params) -> Answer:
    if not crm.delete(context, entity, _id(given)):
        raise not_found()
    return Answer(True)


def _get(entity: Entity, context: Context, given: Params) -> Answer:
    row = _find(entity, context, given)
    names = [*_plain_names(entity), *crm.dynamic_values(row)]
    if entity.has_multifields:
        names.extend(MULTIFIELD_TYPES)
    return Answer(_show(context, entity, [row], names)[0])


def _list(entity: Entity, context: Context, given: Params) -> Answer:
    reader = FilterReader(
        entity.name,
        {field.name: field for field in entity.fields if field.older},
        context.zone,
        owner_type=entity.code,
    )
    selected = [str(name).upper() for name in given.get("select", [])]

    def show(rows: list[Row]) -> list[dict[str, Any]]:
        return _show(context, entity, rows, _selected(entity, rows, selected))

    return page(
        context.storage,
        entity.name,
        reader.where(given.get("filter")),
        reader.order_by(given.get("order")),
        given.get("start"),
        show,
    )


def _fields(entity: Entity, _context: Context, _given: Params) -> Answer:
    return Answer(
        {field.name: field.describe(item=False) for field in entity.fields if field.older}
    )


def _plain_names(entity: Entity) -> list[str]:
    """What `*` stands for: everything but lists, phones and user fields."""
    return [field.name for field in entity.columns if field.older and not field.multiple]


def _selected(entity: Entity, rows: list[Row], asked: list[str]) -> list[str]:
    names: dict[str, None] = {"ID": None}
    for name in asked or ["*"]:
        if name == "*":
            names.update(dict.fromkeys(_plain_names(entity)))
        elif name == "UF_*":
            written = {one for row in rows for one in crm.dynamic_values(row)}
            names.update(dict.fromkeys(sorted(one for one in written if one.startswith("UF_"))))
        else:
            names[name] = None
    return list(names)


def _show(
    context: Context, entity: Entity, rows: list[Row], names: list[str]
) -> list[dict[str, Any]]:
    """Rows with the named fields; a type of phone or e-mail that a row has none of is left out."""
    wanted = [name for name in names if name in MULTIFIELD_TYPES and entity.has_multifields]
    ids = [int(row["ID"]) for row in rows]
    reached = of_elements(context.storage, entity.code, ids) if wanted else {}
    shown = []
    for row in rows:
        extra = crm.dynamic_values(row)
        one: dict[str, Any] = {}
        for name in names:
            field = entity.by_name.get(name)
            if name in MULTIFIELD_TYPES:
                if found := reached.get(int(row["ID"]), {}).get(name):
                    one[name] = show_older(found)
            elif field is not None and field.older:
                one[name] = field.show_older(row[name], context.zone)
            elif is_dynamic(name):
                one[name] = extra.get(name)
        shown.append(one)
    return shown


def _bind(handler: Bound, entity: Entity) -> Callable[[Context, Params], Answer]:
    def bound(context: Context, given: Params) -> Answer:
        return handler(entity, context, given)

    return bound


_OPERATIONS: tuple[tuple[str, Bound, str], ...] = (
    ("add", _add, "fields:object params:object"),
    ("update", _update, "id:integer* fields:object params:object"),
    ("delete", _delete, "id:integer*"),
    ("get", _get, "id:integer*"),
    ("list", _list, "select:array filter:object order:object start:integer"),
    ("fields", _fields, ""),
)
# Where the documentation says that `fields` must be there; elsewhere an empty call is taken.
_FIELDS_REQUIRED = {"crm.company.add", "crm.company.update", "crm.contact.update"}


def _declared(name: str, line: str) -> str:
    return line.replace("fields:object", "fields:object*") if name in _FIELDS_REQUIRED else line


METHODS = tuple(
    Method(
        f"crm.{entity.name}.{operation}",
        _bind(handler, entity),
        params(_declared(f"crm.{entity.name}.{operation}", line)),
    )
    for entity in ENTITIES
    for operation, handler, line in _OPERATIONS
)
