"""Add an item of any type, and not a second one when the attempt is repeated (`origin.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import PortalFailed
from beltline.modules.bitrix24.items import NAMES, ItemFields, TypeId
from beltline.modules.bitrix24.origin import (
    ORIGIN_FIELDS,
    ORIGIN_TYPES,
    ORIGINATOR,
    OUTSIDE_KEY,
    about,
    earlier_item,
)
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Answer, Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND


class AddItemConfig(Config):
    """What to add."""

    type: TypeId
    fields: ItemFields
    key_field: Annotated[
        str,
        field(
            "Field of the key",
            "The field that carries the key of the visit. Without it `originId` of leads, deals,"
            " contacts and companies, `xmlId` of all others.",
            examples=["UF_CRM_5_1720697698689"],
        ),
    ] = ""


class AddItemOutput(Output):
    """The item."""

    id: Annotated[int, field("Id", "The id of the item.")]
    item: Annotated[dict[str, Any], field("Item", "Its fields, as the portal gives them.")]
    repeated: Annotated[
        bool, field("Repeated", "Whether an earlier attempt had added the item already.")
    ]


async def add_item(config: AddItemConfig, context: Context) -> Answer[AddItemOutput]:
    """Adds the item, or finds the one that an earlier attempt added."""
    if context.is_repeat and config.fields:
        fields = _fields(config, context)
        try:
            item = await earlier_item(context, config.type, fields, _carriers(config))
        except PortalFailed as failed:
            return failed.outcome
        if item is not None:
            return AddItemOutput(id=int(item["id"]), item=item, repeated=True)
    return await NEW.handler(config, context)


def _ask(config: AddItemConfig, context: Context) -> Asked | Reject:
    if not config.fields:
        return Reject("`fields` is empty: give at least a title")
    return Asked("crm.item.add", {**about(config.type), "fields": _fields(config, context)})


def _read(config: AddItemConfig, answer: Mapping[str, Any]) -> AddItemOutput:
    item = dict(answer["result"]["item"])
    return AddItemOutput(id=int(item["id"]), item=item, repeated=False)


def _fields(config: AddItemConfig, context: Context) -> dict[str, Any]:
    """The fields with the key of the visit, unless the author gave one."""
    carriers = _carriers(config)
    if any(name in config.fields for name in carriers):
        return dict(config.fields)
    marks = (ORIGINATOR, context.key) if carriers == ORIGIN_FIELDS else (context.key,)
    return {**config.fields, **dict(zip(carriers, marks, strict=True))}


def _carriers(config: AddItemConfig) -> tuple[str, ...]:
    if config.key_field:
        return (config.key_field,)
    return ORIGIN_FIELDS if config.type in ORIGIN_TYPES else (OUTSIDE_KEY,)


# Items that are surely new; of others each looks for its first one, by itself.
NEW: SingleMethod[AddItemConfig, AddItemOutput] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.add-item",
    version=1,
    summary="Add an item of any type.",
    description=(
        "The item carries the step's idempotency key, so that a repeated attempt finds it and adds"
        " no second one. Where `fields` gives that field a value of its own, a repeated attempt"
        f" takes an item with this value for its own.{NAMES}"
    ),
    category="crm",
    icon="file-plus",
    effect="at-least-once",
    on_repeat=(
        "It looks for the item that carries the key of the visit, and adds none where there is"
        " one. The portal refuses to look by a field that the type does not have."
    ),
    connection=KIND,
    config=AddItemConfig,
    output=AddItemOutput,
    handler=add_item,
    requests=2,
    batch=NEW.batch,
    batch_most=MOST,
    examples=(
        Example("A deal", {"type": 2, "fields": {"title": "Order 1204", "opportunity": 1500}}),
        Example("In a smart process", {"type": 1042, "fields": {"title": "Delivery 1204"}}),
    ),
)
