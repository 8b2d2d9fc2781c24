"""The four kinds of entries that have methods of their own: what their modules are made from.

A verb that means the same for all of them stands in one file, which declares a module for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

OWNED = Literal["deal", "lead", "contact", "company"]  # what comments and activities belong to


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of entry.

    `name` is the middle part of its methods (`crm.deal.get`), `type_id` its number in
    `crm.item.*`. `has_ways` holds where phones and e-mail addresses belong to it, `has_order` where
    its list can be ordered, `has_origin` where its own methods have a place for an origin. The
    examples of its modules have an id and fields to change.
    """

    name: OWNED
    plural: str
    type_id: int
    example_id: str
    example_fields: Mapping[str, Any]
    has_ways: bool = True
    has_order: bool = True
    has_origin: bool = False


LEAD = Entity(
    name="lead",
    plural="leads",
    type_id=1,
    example_id="77",
    example_fields={"STATUS_ID": "IN_PROCESS", "PHONE": "79161234567"},
    has_origin=True,
    has_order=False,  # the portal's documentation has none for the list of leads
)
DEAL = Entity(
    name="deal",
    plural="deals",
    type_id=2,
    example_id="410",
    example_fields={"STAGE_ID": "PREPARATION", "OPPORTUNITY": 1500},
    has_ways=False,
    has_origin=True,
)
CONTACT = Entity(
    name="contact",
    plural="contacts",
    type_id=3,
    example_id="84",
    example_fields={"POST": "Director", "EMAIL": "anna@site.example"},
)
COMPANY = Entity(
    name="company",
    plural="companies",
    type_id=4,
    example_id="12",
    example_fields={"COMMENTS": "Pays in advance.", "PHONE": ["74951234567", "74951234568"]},
)

ENTITIES = (LEAD, DEAL, CONTACT, COMPANY)
TYPE_IDS = {entity.name: entity.type_id for entity in ENTITIES}
