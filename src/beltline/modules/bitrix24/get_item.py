"""Get the fields of an item of any type by its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beltline.modules.bitrix24.client import entity_id
from beltline.modules.bitrix24.items import NAMES, ItemId, TypeId
from beltline.modules.bitrix24.origin import about
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module
from beltline.sdk.bitrix24 import KIND


class GetItemConfig(Config):
    """Which item to get."""

    type: TypeId
    id: ItemId


def _ask(config: GetItemConfig, context: Context) -> Asked:
    return Asked("crm.item.get", {**about(config.type), "id": entity_id(config.id, "id")})


def _read(config: GetItemConfig, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the item, as the portal gives them."""
    return dict(answer["result"]["item"])


METHOD: SingleMethod[GetItemConfig, dict[str, Any]] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.get-item",
    version=1,
    summary="Get an item of any type by its id.",
    description=f"An item that is not there ends the visit.{NAMES}",
    category="crm",
    icon="file-search",
    effect="idempotent",
    on_repeat="It reads again.",
    connection=KIND,
    config=GetItemConfig,
    output=dict[str, Any],
    handler=METHOD.handler,
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(Example("A deal", {"type": 2, "id": "410"}),),
)
