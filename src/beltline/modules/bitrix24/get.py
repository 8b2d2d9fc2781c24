"""Get the fields of a lead, deal, contact or company by its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, entity_id
from beltline.modules.bitrix24.entities import ENTITIES, Entity
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class GetConfig(Config):
    """Which entry to get."""

    id: Annotated[
        Id,
        field("Id", "The id of the entry.", examples=["{{ get-bitrix-deal.value }}"]),
    ]


def _declared(entity: Entity) -> Module[GetConfig, dict[str, Any]]:
    method = f"crm.{entity.name}.get"

    def ask(config: GetConfig, context: Context) -> Asked:
        return Asked(method, {"id": entity_id(config.id, "id")})

    def read(config: GetConfig, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the entry, as the portal gives them."""
        return dict(answer["result"])

    single: SingleMethod[GetConfig, dict[str, Any]] = SingleMethod(ask, read)
    ways = " Phones and e-mail addresses are lists of `{ID, VALUE, VALUE_TYPE}`."
    return Module(
        name=f"bitrix24.get-{entity.name}",
        version=1,
        summary=f"Get a {entity.name} by its id.",
        description=(
            f"The result holds the fields as `{method}` gives them, those of users (`UF_CRM_…`)"
            f" among them; all values are texts.{ways if entity.has_ways else ''} A {entity.name}"
            " that is not there ends the visit."
        ),
        category="crm",
        icon="file-search",
        effect="idempotent",
        on_repeat="It reads again.",
        connection=KIND,
        config=GetConfig,
        output=dict[str, Any],
        handler=single.handler,
        batch=single.batch,
        batch_most=MOST,
        examples=(Example("The one that a step before found", {"id": entity.example_id}),),
    )


modules = [_declared(entity) for entity in ENTITIES]
lead, deal, contact, company = modules
