"""Add a task, of its own or to a lead, contact or company."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from beltline.modules.amocrm.add_note import PLURALS
from beltline.modules.amocrm.client import (
    KIND,
    Id,
    amo_handler,
    call,
    embedded,
    entry_id,
    is_given,
    rejected,
)
from beltline.sdk import Config, Context, Example, Module, Output, field


class AddTaskConfig(Config):
    """What is to be done, until when, and by whom."""

    text: Annotated[
        str, field("Text", "What is to be done.", examples=["Call Anna back"], min_length=1)
    ]
    until: Annotated[
        str,
        field(
            "Until",
            "The deadline in ISO 8601, with its zone.",
            examples=["2026-12-01T18:00:00+03:00"],
        ),
    ]
    id: Annotated[
        Id | None, field("Entry", "The id of the entry that it is about; empty for none.")
    ] = None
    entity: Annotated[
        Literal["lead", "contact", "company"],
        field("Kind of entry", "What the id belongs to."),
    ] = "lead"
    responsible: Annotated[
        Id | None, field("Responsible", "The id of the person; without it the token's owner.")
    ] = None
    type: Annotated[
        int, field("Type", "The id of the task's type: 1 a call, 2 a meeting, or your own.", ge=1)
    ] = 1


class AddTaskOutput(Output):
    """The task."""

    id: Annotated[int, field("Id", "The id of the task.")]


@amo_handler
async def add_task(config: AddTaskConfig, context: Context) -> AddTaskOutput:
    """Adds the task. amoCRM cannot tell a repeated one from a new one."""
    task: dict[str, Any] = {
        "text": config.text,
        "complete_till": _moment_s(config.until),
        "task_type_id": config.type,
    }
    if config.id is not None and is_given(config.id):
        task |= {"entity_id": entry_id(config.id, "id"), "entity_type": PLURALS[config.entity]}
    if config.responsible is not None and is_given(config.responsible):
        task["responsible_user_id"] = entry_id(config.responsible, "responsible")
    added = embedded(await call(context, "POST", "/tasks", body=[task]), "tasks")
    if not added:
        raise rejected("/tasks: the answer tells of no task")
    return AddTaskOutput(id=int(added[0]["id"]))


def _moment_s(text: str) -> int:
    """The moment in Unix seconds. Raises `ClientFailed`."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise rejected(f"`until` is {text[:40]!r}, and is to be a date in ISO 8601") from None
    if moment.tzinfo is None:
        raise rejected(f"`until` is {text[:40]!r}, without a zone: add one, such as +03:00")
    return int(moment.timestamp())


module = Module(
    name="amocrm.add-task",
    version=1,
    summary="Add a task, of its own or about an entry.",
    description="After a lost answer a repeated attempt may add the task a second time.",
    category="crm",
    icon="list-checks",
    effect="at-least-once",
    on_repeat="amoCRM cannot tell a repeated task from a new one: it adds it again.",
    connection=KIND,
    config=AddTaskConfig,
    output=AddTaskOutput,
    handler=add_task,
    examples=(
        Example(
            "About a lead",
            {"text": "Call Anna back", "until": "2026-12-01T18:00:00+03:00", "id": "410"},
        ),
    ),
)
