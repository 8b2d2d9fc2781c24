"""What happens to an entity: it is added, changed, removed; who calls it by which face is equal.

The faces read a caller's fields into `Changes`; here defaults, stages, links, phones, stamps and
announcements follow. Each function runs inside the transaction of its call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from bitrix24_portal.context import Context
from bitrix24_portal.entities import DEAL, Entity
from bitrix24_portal.fields import Stored
from bitrix24_portal.multifields import MultifieldEdit, apply_edits
from bitrix24_portal.storage import Row, Storage

# The single link that some methods read, and the list that it is the first of.
_LINK_LISTS = (("CONTACT_ID", "CONTACT_IDS"), ("COMPANY_ID", "COMPANY_IDS"))
_HAS = (("PHONE", "HAS_PHONE"), ("EMAIL", "HAS_EMAIL"), ("IM", "HAS_IMOL"))


@dataclass(slots=True)
class Changes:
    """What a caller wants written: columns, user fields by name, and phones and e-mails."""

    values: dict[str, Stored] = field(default_factory=dict)
    dynamic: dict[str, Any] = field(default_factory=dict)
    multifields: list[MultifieldEdit] = field(default_factory=list)


def stages(storage: Storage, entity: Entity, category_id: int) -> dict[str, str]:
    """The stage ids of an entity, in order, each with its semantics: P, S or F."""
    directory = "STATUS"
    if entity is DEAL:
        directory = f"DEAL_STAGE_{category_id}" if category_id else "DEAL_STAGE"
    rows = storage.rows(
        'SELECT "STATUS_ID", "SEMANTICS" FROM "status" WHERE "ENTITY_ID" = ? ORDER BY "SORT", "ID"',
        (directory,),
    )
    return {row["STATUS_ID"]: row["SEMANTICS"] or "P" for row in rows}


def add(context: Context, entity: Entity, changes: Changes) -> int:
    """Adds an element and gives its id."""
    moment, user = context.moment, context.user_id
    values: dict[str, Stored] = {
        column.name: column.default for column in entity.columns if column.default is not None
    }
    values["ASSIGNED_BY_ID"] = user
    values.update((name, value) for name, value in changes.values.items() if value is not None)
    values.update(
        {
            "CREATED_BY_ID": user,
            "MODIFY_BY_ID": user,
            "DATE_CREATE": moment,
            "DATE_MODIFY": moment,
            "LAST_ACTIVITY_BY": user,
            "LAST_ACTIVITY_TIME": moment,
            "EXTRA": _json(changes.dynamic),
        }
    )
    _level_links(entity, values)
    _settle_stage(context, entity, values, None)
    id = context.storage.insert(entity.name, values)
    settled: dict[str, Stored] = {}
    named = ("NAME", "LAST_NAME") if entity.title_field == "LAST_NAME" else (entity.title_field,)
    if not any(values.get(name) for name in named):
        title = f"{entity.title} #{id}"
        settled[entity.title_field] = title
    if entity.has_multifields:
        apply_edits(context.storage, entity.code, id, changes.multifields)
        settled.update(_reached(context.storage, entity, id))
    context.storage.update(entity.name, id, settled)
    context.announce(f"ONCRM{entity.code}ADD", id)
    return id


def update(context: Context, entity: Entity, before: Row, changes: Changes) -> None:
    """Changes an element that was read before in the same transaction."""
    id = int(before["ID"])
    values = dict(changes.values)
    _level_links(entity, values)
    _settle_stage(context, entity, values, before)
    if changes.dynamic:
        values["EXTRA"] = _json({**dynamic_values(before), **changes.dynamic})
    if entity.has_multifields:
        apply_edits(context.storage, entity.code, id, changes.multifields)
        values.update(_reached(context.storage, entity, id))
    values.update(
        {
            "MODIFY_BY_ID": context.user_id,
            "DATE_MODIFY": context.moment,
        }
    )
    context.storage.update(entity.name, id, values)
    context.announce(f"ONCRM{entity.code}UPDATE", id)


def delete(context: Context, entity: Entity, id: int) -> bool:
    """Removes an element with its phones, comments and activities; tells whether it was there."""
    if not context.storage.delete(entity.name, id):
        return False
    for statement, key in (
        ('DELETE FROM "multifield" WHERE "ENTITY_TYPE" = ? AND "ELEMENT_ID" = ?', entity.code),
        ('DELETE FROM "comment" WHERE "ENTITY_TYPE" = ? AND "ENTITY_ID" = ?', entity.name),
        ('DELETE FROM "activity" WHERE "OWNER_TYPE_ID" = ? AND "OWNER_ID" = ?', entity.type_id),
    ):
        context.storage.run(statement, (key, id))
    context.announce(f"ONCRM{entity.code}DELETE", id)
    return True


def dynamic_values(row: Row) -> dict[str, Any]:
    """The user fields of a stored row, by name in capitals."""
    return json.loads(row["EXTRA"]) if row.get("EXTRA") else {}


def touch(context: Context, entity: Entity, id: int) -> None:
    """Notes that something happened in the element's timeline."""
    context.storage.update(
        entity.name,
        id,
        {"LAST_ACTIVITY_TIME": context.moment, "LAST_ACTIVITY_BY": context.user_id},
    )


def _level_links(entity: Entity, values: dict[str, Stored]) -> None:
    """Makes the single link the first of its list, whichever of the two was written."""
    for single, several in _LINK_LISTS:
        if several not in entity.by_name:
            continue
        if several in values:
            ids = json.loads(str(values[several] or "[]"))
            values[single] = ids[0] if ids else None
        elif single in values:
            values[several] = json.dumps([values[single]] if values[single] else [])


def _settle_stage(
    context: Context, entity: Entity, values: dict[str, Stored], before: Row | None
) -> None:
    """Gives a new element its first stage, and derives what follows from a stage."""
    if entity.stage_field is None:
        return
    if before is not None and entity.stage_field not in values:
        return
    category = values.get("CATEGORY_ID", before.get("CATEGORY_ID") if before else None)
    known = stages(context.storage, entity, int(category or 0))
    stage = values.get(entity.stage_field)
    if stage not in known:
        stage = before[entity.stage_field] if before else next(iter(known), None)
    values[entity.stage_field] = stage
    if before is not None and before[entity.stage_field] == stage:
        return
    semantics = known.get(str(stage), "P")
    values["MOVED_BY_ID"] = context.user_id
    values["MOVED_TIME"] = context.moment
    if entity is DEAL:
        values["STAGE_SEMANTIC_ID"] = semantics
        values["CLOSED"] = "N" if semantics == "P" else "Y"
        values["IS_NEW"] = "Y" if stage == next(iter(known), None) else "N"
    else:
        values["STATUS_SEMANTIC_ID"] = semantics
        values["DATE_CLOSED"] = None if semantics == "P" else context.moment


def _reached(storage: Storage, entity: Entity, id: int) -> dict[str, Stored]:
    rows = storage.rows(
        'SELECT DISTINCT "TYPE_ID" FROM "multifield" WHERE "ENTITY_TYPE" = ? AND "ELEMENT_ID" = ?',
        (entity.code, id),
    )
    present = {row["TYPE_ID"] for row in rows}
    return {column: "Y" if type_id in present else "N" for type_id, column in _HAS}


def _json(values: dict[str, Any]) -> str | None:
    return json.dumps(values, ensure_ascii=False) if values else None
