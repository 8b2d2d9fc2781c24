"""Add a contact, and not a second one when the attempt is repeated (`origin.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.entities import CONTACT
from beltline.modules.bitrix24.origin import AddedOutput, Adding
from beltline.modules.bitrix24.single import MOST
from beltline.modules.bitrix24.ways import named_ways
from beltline.sdk import Config, Example, Module, field
from beltline.sdk.bitrix24 import KIND


class AddContactConfig(Config):
    """The contact's fields: the usual ones by name, any others in `fields`."""

    name: Annotated[str | None, field("Name", "The first name.", examples=["Anna"])] = None
    last_name: Annotated[str | None, field("Last name", "The last name.")] = None
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
            examples=[{"SOURCE_ID": "WEB", "POST": "Director"}],
        ),
    ] = {}


def _fields(config: AddContactConfig) -> dict[str, Any]:
    named = {"NAME": config.name, "LAST_NAME": config.last_name}
    return {
        **{name: value for name, value in named.items() if value},
        **named_ways(config.phone, config.email),
        **config.fields,
    }


ADDING = Adding(CONTACT, _fields)
module = Module(
    name="bitrix24.add-contact",
    version=1,
    summary="Add a contact.",
    description=(
        "The contact carries the step's idempotency key as its origin, so that a repeated attempt"
        " finds it and adds no second one."
    ),
    category="crm",
    icon="contact",
    effect="at-least-once",
    on_repeat=(
        "It looks for the contact that carries the key of the visit as its origin, and adds"
        " none where there is one."
    ),
    connection=KIND,
    config=AddContactConfig,
    output=AddedOutput,
    handler=ADDING.handler,
    requests=2,
    batch=ADDING.batch,
    batch_most=MOST,
    examples=(
        Example(
            "A person who called",
            {
                "name": "Anna",
                "last_name": "Orlova",
                "phone": "79161234567",
                "fields": {"SOURCE_ID": "CALL", "EMAIL": [{"VALUE": "anna@site.example"}]},
            },
        ),
    ),
)
