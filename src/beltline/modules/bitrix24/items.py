"""What the modules of `crm.item.*` share: entries of any type, smart processes and invoices too.

Their fields are named in camel case (`stageId`), but for those of users, which the portal is asked
to name as everywhere else (`UF_CRM_…`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id
from beltline.sdk import field

TypeId = Annotated[
    int,
    field(
        "Type",
        "The number of the type: 1 leads, 2 deals, 3 contacts, 4 companies, 31 invoices; smart"
        " processes have numbers of their own, from 128 on.",
        examples=[1042],
        ge=1,
    ),
]
ItemId = Annotated[Id, field("Id", "The id of the item.", examples=["{{ find-item.id }}"])]
ItemFields = Annotated[
    Mapping[str, Any],
    field(
        "Fields",
        "The fields, by their names in camel case; those of users as `UF_CRM_…`. Phones and e-mail"
        " addresses stand in `fm`.",
        examples=[{"title": "Order", "stageId": "NEW", "UF_CRM_1720697698689": "site"}],
    ),
]
ItemFilter = Annotated[
    Mapping[str, Any],
    field(
        "Filter",
        "The conditions, in the notation of the portal: a sign (`>=`, `@`, `%`, `!`, …) before the"
        " name of a field. The portal refuses a field that it does not know.",
        examples=[{">opportunity": 1000, "@stageId": ["NEW", "PREPARATION"]}],
    ),
]
ItemSelect = Annotated[
    list[str],
    field("Fields", "The fields to give. Without it all.", examples=[["id", "title"]]),
]

NAMES = " Fields have the names of `crm.item.*`, in camel case; those of users are `UF_CRM_…`."
