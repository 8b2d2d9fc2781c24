"""Add a task for a person, and not a second one when the attempt is repeated.

A task has a key for outside systems (`XML_ID`): it carries the key of the visit there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from beltline.modules.bitrix24.client import Id, PortalFailed, call, entity_id, optional_id
from beltline.modules.bitrix24.origin import AddedOutput
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Answer, Config, Context, Example, Module, field
from beltline.sdk.bitrix24 import KIND

_LETTERS = {"lead": "L", "deal": "D", "contact": "C", "company": "CO"}  # as tasks name entries


class AddTaskConfig(Config):
    """What is to be done, and by whom."""

    title: Annotated[
        str, field("Title", "What is to be done.", examples=["Call Anna back"], min_length=1)
    ]
    responsible: Annotated[
        Id, field("Responsible", "The id of the person who is to do it.", examples=[1])
    ]
    description: Annotated[str, field("Description", "The details.")] = ""
    deadline: Annotated[
        str,
        field(
            "Deadline",
            "Until when; a time without a zone is the portal's. Empty for none.",
            examples=["2026-12-01T18:00:00+03:00"],
        ),
    ] = ""
    lead: Annotated[Id | None, field("Lead", "The lead that it is about; empty for none.")] = None
    deal: Annotated[Id | None, field("Deal", "The deal that it is about; empty for none.")] = None
    contact: Annotated[
        Id | None, field("Contact", "The contact that it is about; empty for none.")
    ] = None
    company: Annotated[
        Id | None, field("Company", "The company that it is about; empty for none.")
    ] = None
    fields: Annotated[
        Mapping[str, Any],
        field(
            "Fields",
            "Further fields, by the portal's names. One that is also given by name above stands.",
            examples=[{"GROUP_ID": 7, "PRIORITY": 2, "ACCOMPLICES": [5]}],
        ),
    ] = msgspec.field(default_factory=dict)


async def add_task(config: AddTaskConfig, context: Context) -> Answer[AddedOutput]:
    """Adds the task, or finds the one that an earlier attempt added."""
    if context.is_repeat:
        try:
            key = _ask(config, context).params["fields"]["XML_ID"]
            asked = {"filter": {"XML_ID": key}, "select": ["ID"]}
            listed = await call(context, "tasks.task.list", asked)
        except PortalFailed as failed:
            return failed.outcome
        if listed["tasks"]:
            return AddedOutput(ID=str(listed["tasks"][0]["id"]), repeated=True)
    return await NEW.handler(config, context)


def _ask(config: AddTaskConfig, context: Context) -> Asked:
    return Asked("tasks.task.add", {"fields": {"XML_ID": context.key, **_fields(config)}})


def _read(config: AddTaskConfig, answer: Mapping[str, Any]) -> AddedOutput:
    return AddedOutput(ID=str(answer["result"]["task"]["id"]), repeated=False)


def _fields(config: AddTaskConfig) -> dict[str, Any]:
    about = {name: optional_id(getattr(config, name), name) for name in _LETTERS}
    entries = [f"{_LETTERS[name]}_{id[name]}" for name, id in about.items() if id]
    return {
        "TITLE": config.title,
        "RESPONSIBLE_ID": entity_id(config.responsible, "responsible"),
        **({"DESCRIPTION": config.description} if config.description else {}),
        **({"DEADLINE": config.deadline} if config.deadline else {}),
        **({"UF_CRM_TASK": entries} if entries else {}),
        **config.fields,
    }


# Tasks that are surely new; of others each looks for its first one, by itself.
NEW: SingleMethod[AddTaskConfig, AddedOutput] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.add-task",
    version=1,
    summary="Add a task for a person.",
    description=(
        "The task carries the step's idempotency key in its `XML_ID`, so that a repeated attempt"
        " finds it and adds no second one. The webhook needs the right `task`."
    ),
    category="crm",
    icon="list-checks",
    effect="at-least-once",
    on_repeat=(
        "It looks for the task that carries the key of the visit, and adds none where there is one."
    ),
    connection=KIND,
    config=AddTaskConfig,
    output=AddedOutput,
    handler=add_task,
    requests=2,
    batch=NEW.batch,
    batch_most=MOST,
    examples=(
        Example(
            "About a deal",
            {
                "title": "Call Anna back",
                "responsible": 1,
                "deal": "410",
                "deadline": "2026-12-01T18:00:00+03:00",
            },
        ),
    ),
)
