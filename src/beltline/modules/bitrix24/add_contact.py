"""Add a contact, and not a second one when the attempt is repeated.

As with leads, the contact carries the key of its visit as its origin. The older method
`crm.contact.add` has no place for an origin, so this module speaks `crm.item.*`, and turns the
portal's usual names of fields into the ones of those methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.bitrix24.client import ORIGINATOR, call, call_whole, portal_handler
from beltline.modules.bitrix24.single import MOST, Asked, SingleMethod
from beltline.sdk import Config, Context, Example, Module, Output, Reject, field
from beltline.sdk.bitrix24 import KIND

_CONTACT_TYPE_ID = 3
_MULTIFIELDS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")


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


class AddContactOutput(Output):
    """The contact."""

    ID: Annotated[str, field("ID", "The id of the contact.")]
    repeated: Annotated[
        bool,
        field("Repeated", "Whether an earlier attempt had added the contact already."),
    ]


@portal_handler
async def add_contact(config: AddContactConfig, context: Context) -> AddContactOutput | Reject:
    """Adds the contact, or finds the one that an earlier attempt added."""
    asked = _ask(config, context)
    if isinstance(asked, Reject):
        return asked
    if context.is_repeat:
        fields = asked.params["fields"]
        origin = {
            f"={name}": fields[name] for name in ("originatorId", "originId") if name in fields
        }
        listed = await call(
            context,
            "crm.item.list",
            {"entityTypeId": _CONTACT_TYPE_ID, "filter": origin, "select": ["id"]},
        )
        if listed["items"]:
            return AddContactOutput(ID=str(listed["items"][0]["id"]), repeated=True)
    return _read(config, await call_whole(context, asked.method, asked.params))


def _ask(config: AddContactConfig, context: Context) -> Asked | Reject:
    fields = _item_fields(config)
    if not fields:
        return Reject("the contact has no fields: give at least a name or a phone")
    if not {"originatorId", "originId"} & fields.keys():
        fields |= {"originatorId": ORIGINATOR, "originId": context.key}
    params = {"entityTypeId": _CONTACT_TYPE_ID, "fields": fields, "useOriginalUfNames": "Y"}
    return Asked("crm.item.add", params)


def _read(config: AddContactConfig, answer: Mapping[str, Any]) -> AddContactOutput:
    return AddContactOutput(ID=str(answer["result"]["item"]["id"]), repeated=False)


def _item_fields(config: AddContactConfig) -> dict[str, Any]:
    """The fields under the names of `crm.item.*`; phones and the like become `fm`."""
    fields: dict[str, Any] = {}
    ways: list[dict[str, str]] = []
    if config.name:
        fields["name"] = config.name
    if config.last_name:
        fields["lastName"] = config.last_name
    for kind, value in (("PHONE", config.phone), ("EMAIL", config.email)):
        if value and str(value).strip():
            ways.append({"typeId": kind, "valueType": "WORK", "value": str(value).strip()})
    for name, value in config.fields.items():
        if name in _MULTIFIELDS:
            ways.extend(_ways(name, value))
        else:
            fields[_item_name(name)] = value
    return fields | ({"fm": ways} if ways else {})


def _ways(kind: str, value: Any) -> list[dict[str, str]]:
    """A multiple field of the older form, `[{VALUE, VALUE_TYPE}]`, in the newer one."""
    return [
        {
            "typeId": kind,
            "valueType": str(one.get("VALUE_TYPE", "WORK")),
            "value": str(one.get("VALUE", "")),
        }
        if isinstance(one, dict)
        else {"typeId": kind, "valueType": "WORK", "value": str(one)}
        for one in (value if isinstance(value, list) else [value])
    ]


def _item_name(name: str) -> str:
    """`ASSIGNED_BY_ID` as `assignedById`; users' fields and camel case stay as they are."""
    if name.startswith("UF_") or name != name.upper():
        return name
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)


# Contacts that are surely new; of others each looks for its first one, by itself.
NEW: SingleMethod[AddContactConfig, AddContactOutput] = SingleMethod(_ask, _read)
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
    output=AddContactOutput,
    handler=add_contact,
    requests=2,
    batch=NEW.batch,
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
