"""List items of any type: pages of fifty, up to ten of them at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from beltline.modules.bitrix24.client import portal_handler
from beltline.modules.bitrix24.items import NAMES, ItemFilter, ItemSelect, TypeId
from beltline.modules.bitrix24.origin import about
from beltline.modules.bitrix24.paging import MORE, MOST_PAGES, Listed, Pages, Start, read_pages
from beltline.sdk import Config, Context, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class ListItemsConfig(Config):
    """Which items to list, what of them, and in which order."""

    type: TypeId
    filter: ItemFilter = msgspec.field(default_factory=dict)
    select: ItemSelect = msgspec.field(default_factory=list)
    order: Annotated[
        dict[str, Literal["ASC", "DESC"]],
        field("Order", "By which fields, and whether upwards or down.", examples=[{"id": "DESC"}]),
    ] = msgspec.field(default_factory=dict)
    pages: Pages = 1
    start: Start = 0


@portal_handler
async def list_items(config: ListItemsConfig, context: Context) -> Listed:
    """The items of the pages that were asked for."""
    asked: dict[str, Any] = {
        **about(config.type),
        "filter": config.filter,
        # Without an order of its own a page could hold what stood on the one before.
        "order": config.order or {"id": "ASC"},
    }
    if config.select:
        asked["select"] = config.select
    return await read_pages(context, "crm.item.list", asked, config.start, config.pages)


module = Module(
    name="bitrix24.list-items",
    version=1,
    summary="List items of any type by conditions.",
    description=f"What `crm.item.list` gives.{NAMES} {MORE}",
    category="crm",
    icon="list",
    effect="idempotent",
    on_repeat="It reads again.",
    connection=KIND,
    config=ListItemsConfig,
    output=Listed,
    handler=list_items,
    requests=MOST_PAGES,
    examples=(
        Example(
            "Large deals, the newest first",
            {"type": 2, "filter": {">opportunity": 100000}, "order": {"id": "DESC"}},
        ),
    ),
)
