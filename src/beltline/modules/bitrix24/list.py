"""List leads, deals, contacts or companies: pages of fifty, up to ten of them at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from beltline.modules.bitrix24.client import portal_handler
from beltline.modules.bitrix24.entities import ENTITIES, Entity
from beltline.modules.bitrix24.paging import MORE, MOST_PAGES, Listed, Pages, Start, read_pages
from beltline.sdk import Config, Context, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class ListConfig(Config):
    """Which entries to list, and what of them."""

    filter: Annotated[
        Mapping[str, Any],
        field(
            "Filter",
            "The conditions, in the notation of the portal: a sign (`>=`, `@`, `%`, `!`, …) before"
            " the name of a field.",
            examples=[{">=DATE_CREATE": "2026-01-01", "@SOURCE_ID": ["WEB", "CALL"]}],
        ),
    ] = {}
    select: Annotated[
        list[str],
        field(
            "Fields",
            "The fields to give; `*` stands for all but those of users and those with several"
            " values, `UF_*` for those of users. Without it the portal chooses.",
            examples=[["ID", "TITLE", "UF_*"]],
        ),
    ] = msgspec.field(default_factory=list)
    pages: Pages = 1
    start: Start = 0


class OrderedListConfig(ListConfig):
    """Which entries to list, what of them, and in which order."""

    order: Annotated[
        dict[str, Literal["ASC", "DESC"]],
        field("Order", "By which fields, and whether upwards or down.", examples=[{"ID": "DESC"}]),
    ] = msgspec.field(default_factory=dict)


def _declared(entity: Entity) -> Module[Any, Listed]:
    method = f"crm.{entity.name}.list"

    @portal_handler
    async def list_entries(config: ListConfig, context: Context) -> Listed:
        """The entries of the pages that were asked for."""
        asked: dict[str, Any] = {"filter": config.filter}
        if config.select:
            asked["select"] = config.select
        if isinstance(config, OrderedListConfig):
            # Without an order of its own a page could hold what stood on the one before.
            asked["order"] = config.order or {"ID": "ASC"}
        return await read_pages(context, method, asked, config.start, config.pages)

    order = "" if entity.has_order else " The portal's list of leads takes no order."
    return Module(
        name=f"bitrix24.list-{entity.plural}",
        version=1,
        summary=f"List {entity.plural} by conditions.",
        description=f"What `{method}` gives.{order} {MORE}",
        category="crm",
        icon="list",
        effect="idempotent",
        on_repeat="It reads again.",
        connection=KIND,
        config=OrderedListConfig if entity.has_order else ListConfig,
        output=Listed,
        handler=list_entries,
        requests=MOST_PAGES,
        examples=(
            Example(
                "Those of an advertisement",
                {"filter": {"=UTM_CAMPAIGN": "spring"}, "select": ["ID", "UTM_TERM"]},
            ),
            Example("The next five hundred", {"start": 500, "pages": 10}),
        ),
    )


modules = [_declared(entity) for entity in ENTITIES]
leads, deals, contacts, companies = modules
