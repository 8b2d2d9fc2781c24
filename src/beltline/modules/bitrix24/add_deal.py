"""Add a deal, and not a second one when the attempt is repeated (`origin.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import Id, optional_id
from beltline.modules.bitrix24.entities import DEAL
from beltline.modules.bitrix24.origin import AddedOutput, Adding
from beltline.modules.bitrix24.single import MOST
from beltline.sdk import Config, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class AddDealConfig(Config):
    """The deal's fields: the usual ones by name, any others in `fields`."""

    title: Annotated[
        str | None,
        field("Title", "What the deal is called.", examples=["Order {{ request.number }}"]),
    ] = None
    contact: Annotated[
        Id | None,
        field("Contact", "The id of the contact that it is with; empty for none."),
    ] = None
    company: Annotated[
        Id | None,
        field("Company", "The id of the company that it is with; empty for none."),
    ] = None
    fields: Annotated[
        Mapping[str, Any],
        field(
            "Fields",
            "Further fields, by the portal's names. One that is also given by name above stands.",
            examples=[{"CATEGORY_ID": 0, "STAGE_ID": "NEW", "OPPORTUNITY": 1500}],
        ),
    ] = {}


def _fields(config: AddDealConfig) -> dict[str, Any]:
    return {
        **({"TITLE": config.title} if config.title else {}),
        **optional_id(config.contact, "CONTACT_ID"),
        **optional_id(config.company, "COMPANY_ID"),
        **config.fields,
    }


ADDING = Adding(DEAL, _fields)
module = Module(
    name="bitrix24.add-deal",
    version=1,
    summary="Add a deal.",
    description=(
        "The deal carries the step's idempotency key as its origin, so that a repeated attempt"
        " finds it and adds no second one. Where `fields` gives an origin of its own"
        " (`ORIGINATOR_ID`, `ORIGIN_ID`), a repeated attempt takes a deal of that origin for its"
        " own."
    ),
    category="crm",
    icon="handshake",
    effect="at-least-once",
    on_repeat=(
        "It looks for the deal that carries the key of the visit as its origin, and adds none"
        " where there is one."
    ),
    connection=KIND,
    config=AddDealConfig,
    output=AddedOutput,
    handler=ADDING.handler,
    requests=2,
    batch=ADDING.batch,
    batch_most=MOST,
    examples=(
        Example(
            "An order of a contact",
            {
                "title": "Order 1204",
                "contact": "84",
                "fields": {"STAGE_ID": "NEW", "OPPORTUNITY": 1500, "CURRENCY_ID": "RUB"},
            },
        ),
    ),
)
