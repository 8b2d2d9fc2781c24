"""Adding an entry, and not a second one when the attempt is repeated.

The portal has no idempotency keys. So an entry carries the key of its visit as its origin, and
every attempt that may be a repeat looks for an entry of this origin before it adds one. What
remains is an attempt that is still on its way to the portal while the next one looks: that is why
these modules are at-least-once.

Leads and deals have a place for an origin in their own methods. Contacts, companies and whatever
else there is have it only in `crm.item.*`, which has other names for the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic

from beltline.modules.bitrix24.client import C, PortalFailed, call, rejected
from beltline.modules.bitrix24.entities import Entity
from beltline.modules.bitrix24.single import Asked, SingleMethod
from beltline.modules.bitrix24.ways import WAYS, item_ways, older_fields
from beltline.sdk import Answer, Context, Output, field

ORIGINATOR = "beltline"
# Of `crm.item.*`: entries of other types carry their origin in the key of outside systems.
ORIGIN_TYPES = (1, 2, 3, 4)
ORIGIN_FIELDS = ("originatorId", "originId")
OUTSIDE_KEY = "xmlId"
_OLDER_ORIGIN = ("ORIGINATOR_ID", "ORIGIN_ID")
# Where the two families differ in more than the spelling of a name.
_ITEM_NAMES = {"COMPANY_TYPE": "typeId"}
_NO_ITEM_FIELD = ("ADDRESS", "REG_ADDRESS")


class AddedOutput(Output):
    """The entry."""

    ID: Annotated[str, field("ID", "The id of the entry.")]
    repeated: Annotated[
        bool,
        field("Repeated", "Whether an earlier attempt had added the entry already."),
    ]


class Adding(Generic[C]):
    """How entries of a kind are added: `fields_of` gives the fields of a step, in capitals.

    What is surely new goes with others in one request (`batch`); a repeat looks for its first one,
    by itself.
    """

    def __init__(self, entity: Entity, fields_of: Callable[[C], Mapping[str, Any]]) -> None:
        self._entity = entity
        self._fields_of = fields_of
        self._new: SingleMethod[C, AddedOutput] = SingleMethod(self._ask, self._read)
        self.batch = self._new.batch

    async def handler(self, config: C, context: Context) -> Answer[AddedOutput]:
        """Adds the entry, or finds the one that an earlier attempt added."""
        if context.is_repeat:
            try:
                earlier = await self._earlier(self._ask(config, context), context)
            except PortalFailed as failed:
                return failed.outcome
            if earlier is not None:
                return earlier
        return await self._new.handler(config, context)

    def _ask(self, config: C, context: Context) -> Asked:
        given = self._fields_of(config)
        if not given:
            raise rejected(
                f"the {self._entity.name} has no fields: give at least a title or a name"
            )
        if self._entity.has_origin:
            fields = _marked(context, older_fields(given), _OLDER_ORIGIN)
            return Asked(f"crm.{self._entity.name}.add", {"fields": fields})
        fields = _marked(context, item_fields(given), ORIGIN_FIELDS)
        return Asked("crm.item.add", {**about(self._entity.type_id), "fields": fields})

    def _read(self, _config: C, answer: Mapping[str, Any]) -> AddedOutput:
        result = answer["result"]
        id = result if self._entity.has_origin else result["item"]["id"]
        return AddedOutput(ID=str(id), repeated=False)

    async def _earlier(self, asked: Asked, context: Context) -> AddedOutput | None:
        fields = asked.params["fields"]
        if self._entity.has_origin:
            filter = of_origin(fields, _OLDER_ORIGIN)
            params = {"filter": filter, "select": ["ID"]}
            listed = await call(context, f"crm.{self._entity.name}.list", params)
            return AddedOutput(ID=str(listed[0]["ID"]), repeated=True) if listed else None
        item = await earlier_item(context, self._entity.type_id, fields, ORIGIN_FIELDS)
        return None if item is None else AddedOutput(ID=str(item["id"]), repeated=True)


async def earlier_item(
    context: Context, type_id: int, fields: Mapping[str, Any], carriers: tuple[str, ...]
) -> dict[str, Any] | None:
    """The item that an earlier attempt added: `carriers` are the fields that tell its origin.
    Raises `PortalFailed`.
    """
    params = {**about(type_id), "filter": of_origin(fields, carriers)}
    listed = await call(context, "crm.item.list", params)
    return dict(listed["items"][0]) if listed["items"] else None


def about(type_id: int) -> dict[str, Any]:
    """The parameters of every call of `crm.item.*`: the type, and users' fields by their own
    names.
    """
    return {"entityTypeId": type_id, "useOriginalUfNames": "Y"}


def item_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields named in capitals under the names of `crm.item.*`; phones and the like become `fm`.
    Raises `PortalFailed` for one that has no place there: the portal would leave it out unseen.
    """
    for name in given:
        if name.startswith(_NO_ITEM_FIELD):
            raise rejected(
                f"`{name}` cannot be given when the entry is added: an address belongs to its"
                " requisites (crm.address.add, by bitrix24.call)"
            )
    fields = {_item_name(name): value for name, value in given.items() if name not in WAYS}
    ways = item_ways(given)
    return fields | ({"fm": ways} if ways else {})


def of_origin(fields: Mapping[str, Any], carriers: tuple[str, ...]) -> dict[str, Any]:
    """The condition that finds an entry of the same origin."""
    return {f"={name}": fields[name] for name in carriers if name in fields}


def _item_name(name: str) -> str:
    """`ASSIGNED_BY_ID` as `assignedById`; users' fields and camel case stay as they are."""
    if name.startswith("UF_") or name != name.upper():
        return name
    first, *rest = name.lower().split("_")
    return _ITEM_NAMES.get(name) or first + "".join(part.capitalize() for part in rest)


def _marked(context: Context, fields: dict[str, Any], origin: tuple[str, ...]) -> dict[str, Any]:
    """The fields with the key of the visit as origin, unless the author gave one."""
    if any(name in fields for name in origin):
        return fields
    return {**fields, origin[0]: ORIGINATOR, origin[1]: context.key}
