"""A field of a CRM table: declared once, it gives the column and both faces of the REST API.

The older methods name fields in capitals and read everything back as text; `crm.item.*` names them
in camel case and keeps numbers. What a value may be, how it is stored and how each face shows it
follows from the field's kind, which is the portal's own name of the type.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from bitrix24_portal.php_forms import php_list, php_true

INTEGER_KINDS = frozenset(
    {"integer", "user", "location"}
    | {f"crm_{name}" for name in ("company", "contact", "lead", "quote", "category", "entity")}
)
LINK_KINDS = frozenset({"crm_company", "crm_contact"})
MULTIFIELD_TYPES = ("PHONE", "EMAIL", "WEB", "IM", "LINK")
LONG_TEXTS = frozenset({"COMMENTS", "SOURCE_DESCRIPTION", "STATUS_DESCRIPTION", "BANKING_DETAILS"})
MAX_INTEGER = 2**53  # beyond it a JSON number is no longer exact everywhere
_DOTTED_DATE = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?")

Stored = str | int | float | None


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `item_name` is its name in `crm.item.*`; None keeps it out of that face."""

    name: str
    kind: str
    title: str
    item_name: str | None = None
    read_only: bool = False
    required: bool = False
    immutable: bool = False
    multiple: bool = False
    deprecated: bool = False
    status_type: str | None = None
    parent_type_id: int | None = None
    default: Stored = None
    older: bool = True  # whether the older methods know it

    @property
    def is_multifield(self) -> bool:
        """Phones, e-mails and the like live in a table of their own."""
        return self.kind == "crm_multifield"

    @property
    def column_type(self) -> str:
        """The SQLite type; lists are stored as JSON text."""
        if self.multiple:
            return "TEXT"
        if self.kind in INTEGER_KINDS:
            return "INTEGER"
        return "REAL" if self.kind == "double" else "TEXT"

    def describe(self, *, item: bool) -> dict[str, Any]:
        """The entry of this field in the answer of a `fields` method."""
        kind = self.kind
        if item and kind == "char":
            kind = "boolean"
        elif item and self.name in LONG_TEXTS:
            kind = "text"
        entry: dict[str, Any] = {
            "type": kind,
            "isRequired": self.required,
            "isReadOnly": self.read_only,
            "isImmutable": self.immutable,
            "isMultiple": self.multiple,
            "isDynamic": False,
        }
        if self.deprecated:
            entry["isDeprecated"] = True
        if self.status_type is not None:
            entry["statusType"] = self.status_type
        if self.parent_type_id is not None:
            entry["settings"] = {"parentEntityTypeId": self.parent_type_id}
        entry["title"] = self.title
        if item:
            entry["upperName"] = snake(self.item_name or self.name)
        return entry

    def accept(self, value: object, zone: tzinfo) -> Stored:
        """The stored form of a value that a caller wrote.

        Raises:
            ValueError: the value does not fit the field's kind; the text says what is expected.
        """
        if self.multiple:
            return json.dumps([_integer(one) for one in php_list(value)])
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            raise ValueError("one value is expected, a list or an object was given")
        if self.kind in INTEGER_KINDS:
            return _integer(value)
        return self._accept_scalar(value, zone)

    def _accept_scalar(self, value: object, zone: tzinfo) -> Stored:
        match self.kind:
            case "double":
                return _number(value)
            case "char" | "boolean":
                return "Y" if php_true(value) else "N"
            case "date":
                return read_date(value, zone)
            case "datetime":
                return read_datetime(value, zone)
            case "file":
                raise ValueError("the stand-in keeps no files")
            case _:
                return ("1" if value else "") if isinstance(value, bool) else str(value)

    def show_older(self, stored: Stored, zone: tzinfo) -> Any:
        """The value as the older methods give it: text, null, or an empty text for no date."""
        if self.multiple:
            return [str(one) for one in json.loads(str(stored or "[]"))]
        if self.kind in {"date", "datetime"}:
            return _show_time(stored, self.kind, zone) or ""
        if stored is None:
            return None
        return f"{float(stored):.2f}" if self.kind == "double" else str(stored)

    def show_item(self, stored: Stored, zone: tzinfo) -> Any:
        """The value as `crm.item.*` gives it: numbers as numbers, no link as 0."""
        if self.multiple:
            return json.loads(str(stored or "[]"))
        if self.kind in {"date", "datetime"}:
            return _show_time(stored, self.kind, zone)
        if stored is None:
            return 0 if self.kind in LINK_KINDS else None
        if self.kind == "double":
            return json_number(float(stored))
        return stored


def json_number(value: float) -> float | int:
    """A whole number without its `.0`, as PHP writes it."""
    return int(value) if value.is_integer() else value


def _integer(value: object) -> int:
    text = str(int(value)) if isinstance(value, bool) else str(value).strip()
    if not re.fullmatch(r"[+-]?\d{1,16}(\.0+)?", text):
        raise ValueError(f"a whole number is expected, not {str(value)[:40]!r}")
    number = int(float(text)) if "." in text else int(text)
    if abs(number) > MAX_INTEGER:
        raise ValueError("the whole number is beyond 2^53")
    return number


def _number(value: object) -> float:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", text):
        raise ValueError(f"a number is expected, not {str(value)[:40]!r}")
    return float(text)


def read_datetime(value: object, zone: tzinfo) -> str:
    """An ISO or a DD.MM.YYYY moment as ISO text in the portal's zone, to the second."""
    text = str(value).strip()
    if match := _DOTTED_DATE.fullmatch(text):
        day, month, year, time_of_day = match.groups()
        text = f"{year}-{month}-{day}T{time_of_day or '00:00:00'}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"a date in ISO 8601 is expected, not {text[:40]!r}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    try:
        return moment.astimezone(zone).replace(microsecond=0).isoformat()
    except OverflowError as error:
        raise ValueError("the date is out of range") from error


def read_date(value: object, zone: tzinfo) -> str:
    """A day as ISO text; the time of a moment is dropped as the caller wrote it."""
    text = str(value).strip()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ].*)?", text):
        try:
            return date.fromisoformat(text[:10]).isoformat()
        except ValueError as error:
            raise ValueError(f"a date in ISO 8601 is expected, not {text[:40]!r}") from error
    return read_datetime(value, zone)[:10]


def _show_time(stored: Stored, kind: str, zone: tzinfo) -> str | None:
    if not stored:
        return None
    if kind == "datetime":
        return str(stored)
    # A day is shown as its midnight in UTC, moved into the portal's zone, as the portal does.
    midnight = datetime.fromisoformat(str(stored)).replace(tzinfo=UTC)
    return midnight.astimezone(zone).isoformat()


def iso_moment(now: float, zone: tzinfo) -> str:
    """A moment in the form in which the tables keep it."""
    return datetime.fromtimestamp(int(now), zone).isoformat()


def snake(name: str) -> str:
    """`assignedById` as `ASSIGNED_BY_ID`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=\d)", "_", name).upper()


def camel(name: str) -> str:
    """`ASSIGNED_BY_ID` as `assignedById`."""
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)


def is_dynamic(name: str) -> bool:
    """Whether a name in capitals is that of a user field or of a link to a parent."""
    return re.fullmatch(r"UF_[A-Z0-9_]{1,60}|PARENT_ID_\d{1,9}", name) is not None


def dynamic_to_item(name: str) -> str:
    """`UF_CRM_2_1639` as `ufCrm2_1639`, `UF_CRM_1639` as `ufCrm_1639`, `PARENT_ID_7` as its own."""
    if name.startswith("PARENT_ID_"):
        return "parentId" + name.removeprefix("PARENT_ID_")
    if not name.startswith("UF_CRM_"):
        return camel(name)
    rest = name.removeprefix("UF_CRM_")
    if match := re.fullmatch(r"(\d+)_(.+)", rest):
        return f"ufCrm{match[1]}_{match[2]}"
    return f"ufCrm_{rest}" if rest[:1].isdigit() else "ufCrm" + camel("X_" + rest)[1:]


def dynamic_from_item(name: str) -> str:
    """The reverse of `dynamic_to_item`; a name that is no dynamic one comes back in capitals."""
    if match := re.fullmatch(r"ufCrm(\d*)_(\w+)", name):
        middle = f"{match[1]}_" if match[1] else ""
        return f"UF_CRM_{middle}{match[2]}".upper()
    return snake(name)
