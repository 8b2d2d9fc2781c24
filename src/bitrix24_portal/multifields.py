"""Phones, e-mails, sites and messengers of leads, contacts and companies.

Each value is a row with an id of its own. Beside the value stands the key by which duplicates are
found: the digits of a phone in one notation, an e-mail in small letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitrix24_portal.fields import MULTIFIELD_TYPES
from bitrix24_portal.php_forms import php_list, php_true
from bitrix24_portal.storage import Row, Storage

MAX_VALUES = 100  # of one entity in one call
MAX_VALUE_CHARS = 250
_EXTENSION = re.compile(r"[#*,;].*|(?:ext|доб)\.?.*", re.IGNORECASE | re.DOTALL)
_RUSSIAN_DIGITS = 11


@dataclass(frozen=True, slots=True)
class MultifieldEdit:
    """One value to add (no id), to change, or to remove (an id and no value)."""

    type_id: str
    value: str
    value_type: str | None
    id: int | None = None


def match_key(type_id: str, value: str) -> str:
    """The key by which equal communications are found; empty when the value has none."""
    if type_id == "PHONE":
        return phone_key(value)
    return value.strip().casefold()


def phone_key(phone: str) -> str:
    """Digits without extension and international prefix, a Russian number beginning with 7."""
    digits = re.sub(r"\D", "", _EXTENSION.sub("", phone.strip()))
    for prefix in ("00", "011"):
        if digits.startswith(prefix):
            return digits.removeprefix(prefix)
    if len(digits) == _RUSSIAN_DIGITS and digits.startswith("8"):
        return "7" + digits[1:]
    return digits


def read_older(type_id: str, value: object) -> list[MultifieldEdit]:
    """The edits in `PHONE: [{ID, VALUE, VALUE_TYPE, DELETE}]`.

    Raises:
        ValueError: not a list of objects, or too many.
    """
    edits = []
    for one in _objects(value, "[{VALUE, VALUE_TYPE}]"):
        given = {str(key).upper(): part for key, part in one.items()}
        text = "" if php_true(given.get("DELETE", "N")) else _text(given.get("VALUE"))
        id = given.get("ID")
        edits.append(
            MultifieldEdit(
                type_id,
                text,
                _text(given.get("VALUE_TYPE")) or None,
                int(str(id)) if re.fullmatch(r"\d{1,15}", str(id)) else None,
            )
        )
    return edits


def read_item(value: object) -> list[MultifieldEdit]:
    """The additions in `fm: [{typeId, valueType, value}]`; this face cannot change or remove.

    Raises:
        ValueError: not a list of objects, too many, or a type that is not known.
    """
    edits = []
    for one in _objects(value, "[{typeId, valueType, value}]"):
        type_id = _text(one.get("typeId")).upper()
        if type_id not in MULTIFIELD_TYPES:
            raise ValueError(f"typeId is one of {', '.join(MULTIFIELD_TYPES)}")
        edits.append(
            MultifieldEdit(type_id, _text(one.get("value")), _text(one.get("valueType")) or None)
        )
    return edits


def apply_edits(
    storage: Storage, entity_type: str, element_id: int, edits: list[MultifieldEdit]
) -> None:
    """Writes the edits; an id that belongs to another element changes nothing."""
    for edit in edits:
        if edit.id is None:
            if edit.value:
                storage.insert(
                    "multifield",
                    {
                        "ENTITY_TYPE": entity_type,
                        "ELEMENT_ID": element_id,
                        "TYPE_ID": edit.type_id,
                        "VALUE_TYPE": edit.value_type or "WORK",
                        "VALUE": edit.value,
                        "MATCH_KEY": match_key(edit.type_id, edit.value),
                    },
                )
            continue
        owner = (edit.id, entity_type, element_id, edit.type_id)
        own = '"ID" = ? AND "ENTITY_TYPE" = ? AND "ELEMENT_ID" = ? AND "TYPE_ID" = ?'
        if not edit.value:
            storage.run(f'DELETE FROM "multifield" WHERE {own}', owner)  # noqa: S608 - constants
        else:
            storage.run(
                'UPDATE "multifield" SET "VALUE" = ?, "MATCH_KEY" = ?, '  # noqa: S608 - constants
                f'"VALUE_TYPE" = coalesce(?, "VALUE_TYPE") WHERE {own}',
                (edit.value, match_key(edit.type_id, edit.value), edit.value_type, *owner),
            )


def of_elements(
    storage: Storage, entity_type: str, ids: list[int]
) -> dict[int, dict[str, list[Row]]]:
    """All values of the given elements: by element, then by type, in the order of adding."""
    found: dict[int, dict[str, list[Row]]] = {id: {} for id in ids}
    marks = ", ".join("?" * len(ids))
    for row in storage.rows(
        f'SELECT * FROM "multifield" WHERE "ENTITY_TYPE" = ? '  # noqa: S608 - marks only
        f'AND "ELEMENT_ID" IN ({marks}) ORDER BY "ID"',
        (entity_type, *ids),
    ):
        found[row["ELEMENT_ID"]].setdefault(row["TYPE_ID"], []).append(row)
    return found


def show_older(rows: list[Row]) -> list[dict[str, str]]:
    """Values as the older methods give them."""
    return [
        {
            "ID": str(row["ID"]),
            "VALUE_TYPE": row["VALUE_TYPE"],
            "VALUE": row["VALUE"],
            "TYPE_ID": row["TYPE_ID"],
        }
        for row in rows
    ]


def show_item(rows: list[Row]) -> list[dict[str, Any]]:
    """Values as `crm.item.*` gives them."""
    return [
        {
            "id": row["ID"],
            "valueType": row["VALUE_TYPE"],
            "value": row["VALUE"],
            "typeId": row["TYPE_ID"],
        }
        for row in rows
    ]


def _objects(value: object, shape: str) -> list[Mapping[str, Any]]:
    items = php_list(value)
    if not all(isinstance(one, Mapping) for one in items):
        raise ValueError(f"a list {shape} is expected")
    if len(items) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    return items


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise ValueError("a text is expected, a list or an object was given")
    return str(value).strip()[:MAX_VALUE_CHARS]
