"""Change fields of an entry of a catalogue or of a document."""

from __future__ import annotations

from typing import Annotated, Any

from beltline.modules.onec.client import KIND, Entity, Fields, call, onec_handler, rejected
from beltline.modules.onec.values import guid
from beltline.sdk import Config, Context, Example, Module, Output, field


class UpdateConfig(Config):
    """Which entry, and what to change."""

    entity: Entity
    id: Annotated[
        str, field("Reference", "The entry's GUID.", examples=["{{ customer.first.Ref_Key }}"])
    ]
    fields: Fields


class UpdateOutput(Output):
    """The entry after the change."""

    Ref_Key: Annotated[str, field("Reference", "The entry's GUID.")]
    entry: Annotated[dict[str, Any], field("Entry", "Its fields, as 1C gives them.")]


@onec_handler
async def update(config: UpdateConfig, context: Context) -> UpdateOutput:
    """Sets the fields; a second time they are set to the same."""
    if not config.fields:
        raise rejected("`fields` is empty: there is nothing to change")
    reference = guid(config.id, "id")
    path = f"{config.entity}(guid'{reference}')"
    changed = await call(context, "PATCH", path, body=config.fields)
    return UpdateOutput(Ref_Key=reference, entry=changed if isinstance(changed, dict) else {})


module = Module(
    name="onec.update",
    version=1,
    summary="Change fields of an entry or a document.",
    description="The rows of a tabular part take the place of all that it had.",
    category="crm",
    icon="file-pen",
    effect="idempotent",
    on_repeat="It puts the same values again, over what others have changed meanwhile.",
    connection=KIND,
    config=UpdateConfig,
    output=UpdateOutput,
    handler=update,
    examples=(
        Example(
            "A customer's name",
            {
                "entity": "Catalog_Контрагенты",
                "id": "0a4d5a3e-8f3c-11ee-9d2a-00155d012a01",
                "fields": {"Description": "Veter Ltd"},
            },
        ),
    ),
)
