"""Fields of an account's own, and phones and e-mail addresses, as amoCRM takes and gives them.

A step names a field by its number, or by its code (`PHONE`, `EMAIL`), and gives it a value or a
list of them. amoCRM has them as `custom_fields_values: [{field_id, values: [{value}]}]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from beltline.modules.amocrm.client import rejected
from beltline.sdk import field

_TYPED = ("PHONE", "EMAIL")  # each of their values has a type
_TYPE = "WORK"

OwnFields = Annotated[
    Mapping[str, Any],
    field(
        "Fields",
        "Fields of the account's own, by their numbers or codes, each with a value or a list of"
        " values. The values of a field take the place of all that it had.",
        examples=[{"412345": "{{ request.page }}", "PHONE": ["79161234567"]}],
    ),
]
More = Annotated[
    Mapping[str, Any],
    field(
        "More",
        "Further properties of the entry, as the API names them.",
        examples=[{"responsible_user_id": 504141}],
    ),
]


def own_fields(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields as the API takes them. Raises `ClientFailed` for a name that is none."""
    return [
        {**_name(name), "values": [_value(name, one) for one in _several(value)]}
        for name, value in given.items()
    ]


def with_ways(
    fields: Mapping[str, Any], phone: str | int | None, email: str | None
) -> dict[str, Any]:
    """The fields with the phone and the address that a step gives by name; fields stand."""
    named = {"PHONE": str(phone or "").strip(), "EMAIL": (email or "").strip()}
    return {**{code: value for code, value in named.items() if value}, **fields}


def values_of(entry: Mapping[str, Any], name: str) -> list[str]:
    """What an entry has in a field, by its number or code, as texts."""
    return [
        str(value.get("value", ""))
        for one in entry.get("custom_fields_values") or ()
        if name in (str(one.get("field_id")), one.get("field_code"))
        for value in one.get("values") or ()
    ]


def _name(name: str) -> dict[str, Any]:
    if name.isascii() and name.isdigit():
        return {"field_id": int(name)}
    if re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        return {"field_code": name}
    raise rejected(f"{name[:60]!r} is no field: write its number, or its code in capitals")


def _several(value: Any) -> list[Any]:
    if value in (None, ""):
        return []
    return value if isinstance(value, list) else [value]


def _value(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    return {"value": value, "enum_code": _TYPE} if name in _TYPED else {"value": value}
