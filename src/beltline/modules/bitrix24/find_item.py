"""Find the first item of any type that fits conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from beltline.modules.bitrix24.items import NAMES, ItemFilter, TypeId
from beltline.modules.bitrix24.origin import about
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Reject, field
from beltline.sdk.bitrix24 import KIND


class FindItemConfig(Config):
    """What to find."""

    type: TypeId
    filter: ItemFilter
    order: Annotated[
        dict[str, Literal["ASC", "DESC"]],
        field("Order", "Which of several is the first.", examples=[{"id": "DESC"}]),
    ] = msgspec.field(default_factory=dict)


def _ask(config: FindItemConfig, context: Context) -> Asked | Reject:
    if not config.filter:
        return Reject("`filter` is empty: any item would do")
    order = config.order or {"id": "ASC"}
    params = {"filter": config.filter, "order": order, "select": ["*"]}
    return Asked("crm.item.list", {**about(config.type), **params})


def _read(config: FindItemConfig, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the item, or `{id: ""}` where there is none."""
    items = answer["result"]["items"]
    return dict(items[0]) if items else {"id": ""}


METHOD: SingleMethod[FindItemConfig, dict[str, Any]] = SingleMethod(_ask, _read)
module = Module(
    name="bitrix24.find-item",
    version=1,
    summary="Find an item of any type by conditions.",
    description=(
        "The first item that fits; without an order the oldest. Where there is none, `id` is"
        f' "".{NAMES}'
    ),
    category="crm",
    icon="search",
    effect="idempotent",
    on_repeat="It looks again.",
    connection=KIND,
    config=FindItemConfig,
    output=dict[str, Any],
    handler=METHOD.handler,
    batch=METHOD.batch,
    batch_most=MOST,
    examples=(
        Example(
            "The newest deal of a contact in one stage",
            {"type": 2, "filter": {"=contactId": 84, "=stageId": "NEW"}, "order": {"id": "DESC"}},
        ),
    ),
)
