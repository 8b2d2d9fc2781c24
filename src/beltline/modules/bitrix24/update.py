"""Change fields of a lead, deal, contact or company."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, call, entity_id, portal_handler
from beltline.modules.bitrix24.entities import ENTITIES, Entity
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.modules.bitrix24.ways import WAYS, older_fields, without_known
from beltline.sdk import Answer, Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND


class UpdateConfig(Config):
    """Which entry, and what to change."""

    id: Annotated[
        Id,
        field("Id", "The id of the entry.", examples=["{{ get-bitrix-deal.value }}"]),
    ]
    fields: Annotated[
        dict[str, Any],
        field(
            "Fields",
            "The fields to change, by the portal's names. Others stay as they are.",
            examples=[{"COMMENTS": "Asked about delivery.", "UF_CRM_1720697698689": "site"}],
        ),
    ]


class UpdateOutput(Output):
    """The entry that was changed."""

    ID: Annotated[str, field("ID", "The id of the entry.")]


_WAYS = (
    " Phones, e-mail addresses and the like (`PHONE`, `EMAIL`, `WEB`, `IM`, `LINK`) are added to"
    " those that are there, as texts or as `{VALUE, VALUE_TYPE}`; one that is there is not added"
    " again. `{ID, VALUE}` changes a value, `{ID, DELETE: Y}` removes it."
)


def _declared(entity: Entity) -> Module[UpdateConfig, UpdateOutput]:
    method = f"crm.{entity.name}.update"

    def ask(config: UpdateConfig, context: Context) -> Asked | Reject:
        """Sets the fields; a second time they are set to the same."""
        if not config.fields:
            return Reject("`fields` is empty: there is nothing to change")
        return Asked(method, {"id": entity_id(config.id, "id"), "fields": config.fields})

    def read(config: UpdateConfig, answer: Mapping[str, Any]) -> UpdateOutput:
        return UpdateOutput(ID=str(entity_id(config.id, "id")))

    single: SingleMethod[UpdateConfig, UpdateOutput] = SingleMethod(ask, read)

    @portal_handler
    async def update(config: UpdateConfig, context: Context) -> Answer[UpdateOutput]:
        """The same, but for phones and the like that are there already."""
        if not any(name in WAYS for name in config.fields):
            return await single.handler(config, context)
        id = entity_id(config.id, "id")
        known = await call(context, f"crm.{entity.name}.get", {"id": id})
        fields = without_known(older_fields(config.fields), known)
        if fields:
            await call(context, method, {"id": id, "fields": fields})
        return UpdateOutput(ID=str(id))

    return Module(
        name=f"bitrix24.update-{entity.name}",
        version=1,
        summary=f"Change fields of a {entity.name}.",
        description=f"What `crm.{entity.name}.update` does.{_WAYS if entity.has_ways else ''}",
        category="crm",
        icon="file-pen",
        effect="idempotent",
        on_repeat="It puts the same values again, over what others have changed meanwhile.",
        connection=KIND,
        config=UpdateConfig,
        output=UpdateOutput,
        handler=update if entity.has_ways else single.handler,
        requests=2 if entity.has_ways else 1,
        batch=None if entity.has_ways else single.batch,
        batch_most=MOST,
        examples=(
            Example("Of some fields", {"id": entity.example_id, "fields": entity.example_fields}),
        ),
    )


modules = [_declared(entity) for entity in ENTITIES]
lead, deal, contact, company = modules
