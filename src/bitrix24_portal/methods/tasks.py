"""`tasks.task.*`: what people are asked to do, with the entries of the CRM that it is about.

Fields are written in capitals and read in camel case. A task has many more of them on a real
portal; those that the stand-in does not keep are null.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from bitrix24_portal.context import Answer, Context
from bitrix24_portal.errors import RestError
from bitrix24_portal.fields import Stored
from bitrix24_portal.filters import FilterReader
from bitrix24_portal.methods.paging import page
from bitrix24_portal.php_forms import php_list
from bitrix24_portal.registry import Method, Params, params
from bitrix24_portal.storage import Row
from bitrix24_portal.tables import TASK, USERS

_ENTRIES = "UF_CRM_TASK"
_NOT_KEPT = (
    *("mark", "notViewed", "replicate", "stageId", "statusChangedBy", "closedBy", "closedDate"),
    *("sprintId", "backlogId", "multitask", "dateStart", "startDatePlan", "endDatePlan"),
    *("commentsCount", "serviceCommentsCount", "allowChangeDeadline", "allowTimeTracking"),
    *("taskControl", "addInReport", "forkedByTemplateId", "timeEstimate", "timeSpentInLogs"),
    *("matchWorkTime", "forumTopicId", "forumId", "siteId", "subordinate", "exchangeModified"),
    *("exchangeId", "outlookVersion", "viewedDate", "sorting", "durationFact", "isMuted"),
    *("isPinned", "isPinnedInGroup", "flowId", "statusChangedDate", "durationPlan"),
    *("durationType", "favorite", "checklist", "newCommentsCount", "action", "checkListTree"),
    *("checkListCanAdd", "activityDate", "lengthDeadline", "taskRequireResult"),
    *("taskHasOpenResult", "taskHasResult", "timeElapsed", "timerIsRunningForCurrentUser"),
    *("parsedDescription", "counter", "tags", "subStatus", "ufMailMessage", "ufTaskWebdavFiles"),
    *("auditors", "accomplices", "group", "accomplicesData", "auditorsData"),
)


def _read(context: Context, given: Mapping[str, Any]) -> dict[str, Stored]:
    values: dict[str, Stored] = {}
    for key, value in given.items():
        name = str(key).upper()
        field = TASK.by_name.get(name)
        if field is None or field.read_only:
            continue
        try:
            values[name] = (
                json.dumps([str(one) for one in php_list(value)])
                if name == _ENTRIES
                else field.accept(value, context.zone)
            )
        except ValueError as error:
            raise RestError("ERROR_CORE", f"{field.title} ({name}): {error}") from error
        if field.kind == "user" and values[name] not in {user.id for user in USERS}:
            raise RestError("ERROR_CORE", f"{field.title} ({name}): пользователь не найден")
    return values


def _add(context: Context, given: Params) -> Answer:
    values = _read(context, given["fields"])
    if not values.get("TITLE"):
        raise RestError("ERROR_CORE", "Не указано название задачи")
    if values.get("RESPONSIBLE_ID") is None:
        raise RestError("ERROR_CORE", "Не указан исполнитель задачи")
    row: dict[str, Stored] = {
        field.name: field.default for field in TASK.fields if field.default is not None
    }
    row.update((name, value) for name, value in values.items() if value is not None)
    row.setdefault("CREATED_BY", context.user_id)
    row.update(
        {
            "GUID": f"{{{uuid.uuid4()}}}",
            "CREATED_DATE": context.moment,
            "CHANGED_DATE": context.moment,
            "CHANGED_BY": context.user_id,
        }
    )
    id = context.storage.insert("task", row)
    return Answer({"task": _shown(context, id)})


def _update(context: Context, given: Params) -> Answer:
    id = int(given["taskId"])
    values = _read(context, given["fields"])
    if context.storage.find("task", id) is None:
        raise RestError("ERROR_CORE", "Задача не найдена или недоступна")
    values.update({"CHANGED_DATE": context.moment, "CHANGED_BY": context.user_id})
    context.storage.update("task", id, values)
    return Answer({"task": _shown(context, id)})


def _get(context: Context, given: Params) -> Answer:
    row = context.storage.find("task", int(given["taskId"]))
    return Answer({"task": _show(context, row)} if row is not None else [])


def _list(context: Context, given: Params) -> Answer:
    reader = FilterReader("task", TASK.by_name, context.zone)
    return page(
        context.storage,
        "task",
        reader.where(given.get("filter")),
        reader.order_by(given.get("order") or {"ID": "DESC"}),
        given.get("start"),
        lambda rows: {"tasks": [_show(context, row) for row in rows]},
    )


def _shown(context: Context, id: int) -> dict[str, Any]:
    row = context.storage.find("task", id)
    assert row is not None, "the task was written in this transaction"
    return _show(context, row)


def _show(context: Context, row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = dict.fromkeys(_NOT_KEPT)
    for field in TASK.fields:
        shown[str(field.item_name)] = field.show_older(row[field.name], context.zone)
    shown["deadline"] = shown["deadline"] or None
    shown["ufCrmTask"] = json.loads(row[_ENTRIES] or "[]")
    for name, id in (("creator", row["CREATED_BY"]), ("responsible", row["RESPONSIBLE_ID"])):
        shown[name] = _person(id)
    return shown


def _person(id: int) -> dict[str, str]:
    user = next(one for one in USERS if one.id == id)
    return {
        "id": str(id),
        "name": f"{user.name} {user.last_name}",
        "link": f"/company/personal/user/{id}/",
        "icon": "",
        "workPosition": user.position,
    }


METHODS = (
    Method("tasks.task.add", _add, params("fields:object*")),
    Method("tasks.task.update", _update, params("taskId:integer* fields:object*")),
    Method("tasks.task.get", _get, params("taskId:integer* select:array")),
    Method(
        "tasks.task.list",
        _list,
        params("order:object filter:object select:array params:object start:integer"),
    ),
)
