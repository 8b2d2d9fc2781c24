"""Add a company, and not a second one when the attempt is repeated (`origin.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.entities import COMPANY
from beltline.modules.bitrix24.origin import AddedOutput, Adding
from beltline.modules.bitrix24.single import MOST
from beltline.modules.bitrix24.ways import named_ways
from beltline.sdk import Config, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class AddCompanyConfig(Config):
    """The company's fields: the usual ones by name, any others in `fields`."""

    title: Annotated[
        str, field("Title", "The company's name.", examples=["Veter Ltd"], min_length=1)
    ]
    phone: Annotated[
        str | int | None,
        field("Phone", "The phone number.", examples=["{{ $phone(request.phone) }}"]),
    ] = None
    email: Annotated[str | None, field("E-mail", "The e-mail address.")] = None
    fields: Annotated[
        Mapping[str, Any],
        field(
            "Fields",
            "Further fields, by the portal's names in capitals. One that is also given by name"
            " above stands.",
            examples=[{"COMPANY_TYPE": "CUSTOMER", "INDUSTRY": "IT"}],
        ),
    ] = {}


def _fields(config: AddCompanyConfig) -> dict[str, Any]:
    return {"TITLE": config.title, **named_ways(config.phone, config.email), **config.fields}


ADDING = Adding(COMPANY, _fields)
module = Module(
    name="bitrix24.add-company",
    version=1,
    summary="Add a company.",
    description=(
        "The company carries the step's idempotency key as its origin, so that a repeated attempt"
        " finds it and adds no second one. It is added by `crm.item.add`, which has no place for"
        " addresses: fields of these are refused."
    ),
    category="crm",
    icon="building",
    effect="at-least-once",
    on_repeat=(
        "It looks for the company that carries the key of the visit as its origin, and adds none"
        " where there is one."
    ),
    connection=KIND,
    config=AddCompanyConfig,
    output=AddedOutput,
    handler=ADDING.handler,
    requests=2,
    batch=ADDING.batch,
    batch_most=MOST,
    examples=(
        Example(
            "A customer",
            {
                "title": "Veter Ltd",
                "phone": "74951234567",
                "fields": {"COMMENTS": "Pays in advance."},
            },
        ),
    ),
)
