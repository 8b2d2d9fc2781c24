"""Change fields of an item of any type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import entity_id
from beltline.modules.bitrix24.items import NAMES, ItemFields, ItemId, TypeId
from beltline.modules.bitrix24.origin import about
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND


class UpdateItemConfig(Config):
    """Which item, and what to change."""

    type: TypeId
    id: ItemId
    fields: ItemFields


class UpdateItemOutput(Output):
    """The item after the change."""

    id: Annotated[int, field("Id", "The id of the item.")]
    item: Annotated[dict[str, Any], field("Item", "Its fields, as the portal gives them.")]


def _ask(config: UpdateItemConfig, context: Context) -> Asked | Reject:
    """Sets the fields; a second time they are set to the same."""
    if not config.fields:
        return Reject("`fields` is empty: there is nothing to change")
    if "fm" in config.fields:
        return Reject(
            "`fm` only ever adds values, once more at each attempt: change phones and e-mail"
            " addresses with update-lead, update-contact or update-company"
        )
    id = entity_id(config.id, "id")
    return Asked("crm.item.update", {**about(config.type), "id": id, "fields": config.fields})


def _read(config: UpdateItemConfig, answer: Mapping[str, Any]) -> UpdateItemOutput:
    item = dict(answer["result"]["item"])
    return UpdateItemOutput(id=entity_id(config.id, "id"), item=item)


METHOD: SingleMethod[UpdateItemConfig, UpdateItemOutput] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.update-item",
    version=1,
    summary="Change fields of an item of any type.",
    description=(
        "What `crm.item.update` does, but for `fm`, which is refused: the portal would add its"
        f" values again at each attempt.{NAMES}"
    ),
    category="crm",
    icon="file-pen",
    effect="idempotent",
    on_repeat="It puts the same values again, over what others have changed meanwhile.",
    connection=KIND,
    config=UpdateItemConfig,
    output=UpdateItemOutput,
    handler=METHOD.handler,
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(
        Example("A deal to another stage", {"type": 2, "id": 410, "fields": {"stageId": "WON"}}),
    ),
)
