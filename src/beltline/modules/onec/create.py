"""Create an entry of a catalogue or a document, and not a second one when the attempt is repeated.

1C's interface has no idempotency keys. But most catalogues and documents have a text that nobody
needs exact, such as a comment, or get a field of their own: there the entry carries the key of its
visit, and every attempt after the first looks for it before it creates one.
"""

from __future__ import annotations

from typing import Annotated, Any

from beltline.modules.onec.client import KIND, Entity, Fields, call, onec_handler, rejected
from beltline.modules.onec.values import bound
from beltline.sdk import Config, Context, Example, Module, Output, field


class CreateConfig(Config):
    """What to create."""

    entity: Entity
    fields: Fields
    key_field: Annotated[
        str,
        field(
            "Field of the key",
            "A text field of at least 32 characters that carries the key of the visit, so that a"
            " repeated attempt finds what the first one created.",
            examples=["КлючЗаявки"],
            pattern=r"^(\w+)?$",
            constant="value",
        ),
    ] = ""


class CreateOutput(Output):
    """The entry."""

    Ref_Key: Annotated[str, field("Reference", "The entry's GUID.")]
    entry: Annotated[dict[str, Any], field("Entry", "Its fields, as 1C gives them.")]
    repeated: Annotated[
        bool, field("Repeated", "Whether an earlier attempt had created the entry already.")
    ]


@onec_handler
async def create(config: CreateConfig, context: Context) -> CreateOutput:
    """Creates the entry, or finds the one that an earlier attempt created."""
    if not config.fields:
        raise rejected("`fields` is empty: there is nothing to create")
    fields = dict(config.fields)
    if config.key_field:
        key = fields.setdefault(config.key_field, context.key)
        if context.is_repeat:
            query = [("$filter", bound(f"{config.key_field} eq :key", {"key": key})), ("$top", "1")]
            found = await call(context, "GET", config.entity, query=query)
            if found and found.get("value"):
                return _told(config.entity, found["value"][0], repeated=True)
    created = await call(context, "POST", config.entity, body=fields)
    return _told(config.entity, created, repeated=False)


def _told(entity: str, entry: Any, *, repeated: bool) -> CreateOutput:
    if not isinstance(entry, dict) or "Ref_Key" not in entry:
        raise rejected(f"{entity}: the answer holds no reference (Ref_Key)")
    return CreateOutput(Ref_Key=str(entry["Ref_Key"]), entry=entry, repeated=repeated)


module = Module(
    name="onec.create",
    version=1,
    summary="Create an entry of a catalogue or a document.",
    description="A document is created without being posted: `onec.post` does that.",
    category="crm",
    icon="file-plus",
    effect="at-least-once",
    on_repeat=(
        "With `key_field` it looks for the entry that carries the key of the visit, and creates"
        " none where there is one. Without it the entry is created again."
    ),
    connection=KIND,
    config=CreateConfig,
    output=CreateOutput,
    handler=create,
    requests=2,
    examples=(
        Example(
            "A customer",
            {
                "entity": "Catalog_Контрагенты",
                "fields": {"Description": "Veter Ltd", "ИНН": "7707083893"},
                "key_field": "КлючЗаявки",
            },
        ),
    ),
)
