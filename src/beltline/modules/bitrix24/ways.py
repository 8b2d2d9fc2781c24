"""Phones, e-mail addresses, sites and messengers: fields of several values, each with a type.

The older methods take them as `PHONE: [{VALUE, VALUE_TYPE}]`, `crm.item.*` all together as `fm:
[{typeId, valueType, value}]`. In a step's fields each may also be a plain text, or a list of texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

WAYS = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
_TYPE = "WORK"


def older_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with all ways as the older methods take them."""
    return {name: _entries(value) if name in WAYS else value for name, value in fields.items()}


def item_ways(fields: Mapping[str, Any]) -> list[dict[str, str]]:
    """The ways among the fields as `crm.item.*` takes them."""
    return [
        {
            "typeId": kind,
            "valueType": str(one.get("VALUE_TYPE") or _TYPE),
            "value": str(one.get("VALUE", "")),
        }
        for kind in fields
        if kind in WAYS
        for one in _entries(fields[kind])
    ]


def named_ways(phone: str | int | None, email: str | None) -> dict[str, Any]:
    """What a step gives by name; nothing for what is empty."""
    given = {"PHONE": str(phone or "").strip(), "EMAIL": (email or "").strip()}
    return {kind: _entries(value) for kind, value in given.items() if value}


def without_known(fields: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without the values that the entry has already: the portal would add them again.

    What names the id of a value changes or removes that one, and goes along as it is.
    """
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in WAYS:
            kept[name] = value
            continue
        there = {_compared(name, one.get("VALUE")) for one in _entries(known.get(name))}
        new = [
            one for one in value if one.get("ID") or _compared(name, one.get("VALUE")) not in there
        ]
        if new:
            kept[name] = new
    return kept


def _entries(value: Any) -> list[dict[str, Any]]:
    several = value if isinstance(value, list) else [] if value in (None, "") else [value]
    return [
        dict(one) if isinstance(one, Mapping) else {"VALUE": str(one), "VALUE_TYPE": _TYPE}
        for one in several
    ]


def _compared(kind: str, value: Any) -> str:
    """A phone by its digits, whatever stands between them; anything else in small letters."""
    text = str(value or "").strip().casefold()
    if kind != "PHONE":
        return text
    digits = re.sub(r"[^0-9]", "", text)
    return "7" + digits[1:] if len(digits) == 11 and digits.startswith("8") else digits
