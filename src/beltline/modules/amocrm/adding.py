"""Adding an entry, and, where the account has a field for it, not a second one at a repeat.

amoCRM knows no idempotency keys and no origins. But an account can have a text field that
carries the key of the visit: then every attempt after the first searches for it before it adds. The
search finds what was added some moments ago, so that an attempt that follows at once may miss it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.amocrm.client import call, embedded, rejected
from beltline.modules.amocrm.fields import own_fields, values_of
from beltline.sdk import Context, Output, field

KeyField = Annotated[
    int | None,
    field(
        "Field of the key",
        "The number of a text field of the account that carries the key of the visit, so that a"
        " repeated attempt finds what the first one added.",
        examples=[412399],
    ),
]
ON_REPEAT = (
    "With `key_field` it searches for the entry that carries the key of the visit, and adds none"
    " where there is one. Without it the entry is added again."
)


class AddedOutput(Output):
    """The entry."""

    id: Annotated[int, field("Id", "The id of the entry.")]
    repeated: Annotated[
        bool, field("Repeated", "Whether an earlier attempt had added the entry already.")
    ]


async def add(
    context: Context,
    kind: str,
    entry: Mapping[str, Any],
    fields: Mapping[str, Any],
    key_field: int | None,
) -> AddedOutput:
    """Adds an entry of the kind (`contacts`, …), or finds that of an earlier attempt."""
    if not entry and not fields:
        raise rejected("the entry is empty: give at least a name")
    carried = {**fields, str(key_field): context.key} if key_field is not None else fields
    if key_field is not None and context.is_repeat:
        found = await call(context, "GET", f"/{kind}", query=[("query", context.key)])
        for one in embedded(found, kind):
            if context.key in values_of(one, str(key_field)):
                return AddedOutput(id=int(one["id"]), repeated=True)
    body = dict(entry)
    if carried:
        body["custom_fields_values"] = own_fields(carried)
    added = embedded(await call(context, "POST", f"/{kind}", body=[body]), kind)
    if not added:
        raise rejected(f"/{kind}: the answer tells of no entry")
    return AddedOutput(id=int(added[0]["id"]), repeated=False)
