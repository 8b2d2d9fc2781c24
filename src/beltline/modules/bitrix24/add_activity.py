"""Add a thing to do to a deal, lead, contact or company."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from beltline.modules.bitrix24.client import Id, entity_id, optional_id
from beltline.modules.bitrix24.entities import OWNED, TYPE_IDS
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Output, field
from beltline.sdk.bitrix24 import KIND


class AddActivityConfig(Config):
    """What is to be done, until when, and by whom."""

    id: Annotated[
        Id,
        field("Entry", "The id of the entry.", examples=["{{ get-bitrix-deal.value }}"]),
    ]
    deadline: Annotated[
        str,
        field(
            "Deadline",
            "Until when; a time without a zone is the portal's.",
            examples=["2026-12-01T15:00:00+03:00"],
            min_length=10,
        ),
    ]
    title: Annotated[
        str, field("Title", "What is to be done.", examples=["Call back"], min_length=1)
    ]
    entity: Annotated[OWNED, field("Kind of entry", "What the id belongs to.")] = "deal"
    description: Annotated[str, field("Description", "The details.")] = ""
    responsible: Annotated[
        Id | None,
        field("Responsible", "The id of the person; without it the owner of the webhook."),
    ] = None
    remind_minutes: Annotated[
        list[int],
        field(
            "Remind",
            "How many minutes before the deadline to remind the person.",
            examples=[[0, 15]],
            max_length=10,
        ),
    ] = msgspec.field(default_factory=list)


class AddActivityOutput(Output):
    """The thing to do."""

    ID: Annotated[str, field("ID", "The id of the activity.")]


def _ask(config: AddActivityConfig, context: Context) -> Asked:
    """The portal cannot tell a repeated activity from a new one."""
    asked: dict[str, Any] = {
        "ownerTypeId": TYPE_IDS[config.entity],
        "ownerId": entity_id(config.id, "id"),
        "deadline": config.deadline,
        "title": config.title,
        "description": config.description,
        **optional_id(config.responsible, "responsibleId"),
    }
    if config.remind_minutes:
        asked["pingOffsets"] = config.remind_minutes
    return Asked("crm.activity.todo.add", asked)


def _read(config: AddActivityConfig, answer: Mapping[str, Any]) -> AddActivityOutput:
    return AddActivityOutput(ID=str(answer["result"]["id"]))


METHOD: SingleMethod[AddActivityConfig, AddActivityOutput] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.add-activity",
    version=1,
    summary="Add a thing to do to a deal, lead, contact or company.",
    description=(
        "What `crm.activity.todo.add` does. After a lost answer a repeated attempt may add it a"
        " second time: such activities have no place for a key."
    ),
    category="crm",
    icon="calendar-plus",
    effect="at-least-once",
    on_repeat="The portal cannot tell a repeated activity from a new one: it adds it again.",
    connection=KIND,
    config=AddActivityConfig,
    output=AddActivityOutput,
    handler=METHOD.handler,
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(
        Example(
            "Call back",
            {"id": "410", "title": "Call back", "deadline": "2026-12-01T15:00:00+03:00"},
        ),
        Example(
            "With a reminder",
            {
                "id": 84,
                "entity": "contact",
                "title": "Send the contract",
                "deadline": "2026-12-01",
                "responsible": 1,
                "remind_minutes": [0, 15],
            },
        ),
    ),
)
