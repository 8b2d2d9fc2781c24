"""Filters and orders of list methods, turned into SQL.

A filter's key is an operator followed by a field's name: `>=DATE_CREATE`, `!@STAGE_ID`, `%TITLE`.
The older methods overlook names that they do not know; the newer ones refuse them, and take nested
groups with `logic`. Every value is bound, and every name comes from a declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from bitrix24_portal.errors import RestError, invalid_argument, plain
from bitrix24_portal.fields import Field, Stored, is_dynamic
from bitrix24_portal.php_forms import php_list

# Longest first, so that `!=%` is not read as `!` and a name that begins with `=%`.
OPERATORS = ("!=%", "!%=", ">=", "<=", "!@", "!%", "!=", "=%", "%=", ">", "<", "@", "%", "=", "!")
MAX_CONDITIONS = 500
MAX_DEPTH = 20
MAX_VALUES = 2_000  # of one `@` list
_NEGATIONS = {"!": "=", "!=": "=", "!@": "@", "!%": "%", "!=%": "=%", "!%=": "=%"}
_VALUE = Field("VALUE", "string", "")


@dataclass(frozen=True, slots=True)
class Clause:
    """A piece of SQL and the values bound to it."""

    sql: str
    values: tuple[Stored, ...] = ()


@dataclass(slots=True)
class FilterReader:
    """Reads filters and orders over one table.

    `names` maps what callers may write to fields; `dynamic` maps a user field's name as callers
    write it to its name in capitals. `strict` is the manner of the newer methods.
    """

    table: str
    names: Mapping[str, Field]
    zone: tzinfo
    strict: bool = False
    dynamic: Callable[[str], str] = str.upper
    owner_type: str | None = None  # the entity whose multifields may be filtered by
    _count: int = field(default=0)

    def where(self, asked: object) -> Clause:
        """The condition for a filter; always true for an empty one.

        Raises:
            RestError: not an object, too many conditions, a value that does not fit its field,
                or, when strict, a field that is not known.
        """
        if asked in (None, "", [], {}):
            return Clause("1")
        if not isinstance(asked, Mapping):
            raise self._refusal("Parameter 'filter' must be array.")
        self._count = 0
        return self._group(asked, 1)

    def order_by(self, asked: object) -> str:
        """The `ORDER BY` list; by id where nothing usable is asked."""
        if asked in (None, "", [], {}):
            return '"ID" ASC'
        if not isinstance(asked, Mapping):
            raise self._refusal("Parameter 'order' must be array.")
        parts: list[str] = []
        for name, direction in asked.items():
            column = self._column(str(name))
            way = str(direction).upper()
            if column is None:
                if self.strict:
                    raise self._refusal(f"Invalid order: field '{name}' is not allowed in order")
                continue
            if way not in {"ASC", "DESC"}:
                if self.strict:
                    raise self._refusal(
                        "Invalid order: allowed sort directions are `ASC, DESC`. "
                        f"But got '{direction}' for field '{name}'"
                    )
                way = "ASC"
            parts.append(f"{column[0]} {way}")
        return ", ".join([*parts, '"ID" ASC'])

    def _refusal(self, text: str) -> RestError:
        return invalid_argument(text) if self.strict else plain(text)

    def _group(self, asked: Mapping[Any, Any], depth: int) -> Clause:
        if depth > MAX_DEPTH:
            raise self._refusal(f"Invalid filter: nested deeper than {MAX_DEPTH}")
        word = " AND "
        clauses: list[Clause] = []
        for key, value in asked.items():
            if self.strict and str(key).lower() == "logic":
                word = " OR " if str(value).upper() == "OR" else " AND "
            elif self.strict and str(key).isdigit() and isinstance(value, Mapping):
                clauses.append(self._group(value, depth + 1))
            else:
                clauses.extend(self._condition(str(key), value))
        if not clauses:
            return Clause("1")
        return Clause(
            "(" + word.join(clause.sql for clause in clauses) + ")",
            tuple(one for clause in clauses for one in clause.values),
        )

    def _condition(self, key: str, value: object) -> list[Clause]:
        self._count += 1
        if self._count > MAX_CONDITIONS:
            raise self._refusal(f"Invalid filter: more than {MAX_CONDITIONS} conditions")
        operator = next((sign for sign in OPERATORS if key.startswith(sign)), "")
        name = key[len(operator) :]
        column = self._column(name)
        if column is None:
            if self.strict:
                raise self._refusal(f"Invalid filter: field '{name}' is not allowed in filter")
            return []
        negated = operator in _NEGATIONS
        try:
            clause = self._compare(column, _NEGATIONS.get(operator, operator or "="), value)
        except ValueError as error:
            raise self._refusal(
                f"Invalid filter: field '{name}' has invalid value: {error}"
            ) from error
        # A comparison with NULL is neither true nor false, and its negation must hold.
        return [Clause(f"NOT coalesce({clause.sql}, 0)", clause.values) if negated else clause]

    def _column(self, name: str) -> tuple[str, Field] | None:
        field_ = self.names.get(name if self.strict else name.upper())
        if field_ is not None:
            if field_.is_multifield and (self.strict or self.owner_type is None):
                return None
            return f'"{field_.name}"', field_
        upper = self.dynamic(name)
        if self.owner_type is not None and is_dynamic(upper):
            return f"""json_extract("EXTRA", '$."{upper}"')""", Field(upper, "string", upper)
        return None

    def _compare(self, column: tuple[str, Field], operator: str, value: object) -> Clause:
        expression, field_ = column
        if field_.is_multifield:
            return self._within_multifields(field_, operator, value)
        if field_.multiple:
            return self._within_list(expression, field_, operator, value)
        return self._single(expression, field_, operator, value)

    def _within_multifields(self, field_: Field, operator: str, value: object) -> Clause:
        rows = (
            'SELECT 1 FROM "multifield" WHERE '  # noqa: S608 - the table's name is declared
            '"multifield"."ENTITY_TYPE" = ? AND '
            f'"multifield"."ELEMENT_ID" = "{self.table}"."ID" AND "multifield"."TYPE_ID" = ?'
        )
        key = (self.owner_type, field_.name)
        if operator == "=" and value in (None, ""):
            return Clause(f"NOT EXISTS ({rows})", key)
        inner = self._single('"multifield"."VALUE"', _VALUE, operator, value)
        return Clause(f"EXISTS ({rows} AND {inner.sql})", (*key, *inner.values))

    def _within_list(self, expression: str, field_: Field, operator: str, value: object) -> Clause:
        if operator not in {"=", "@"}:
            raise ValueError("a list can be searched with =, @ and their negations only")
        if operator == "=" and value in (None, ""):
            return Clause(f"coalesce({expression}, '[]') = '[]'")
        element = Field(field_.name, "integer", field_.title)
        inner = self._single("one.value", element, operator, value)
        elements = f"SELECT 1 FROM json_each({expression}) AS one"  # noqa: S608 - declared
        return Clause(f"EXISTS ({elements} WHERE {inner.sql})", inner.values)

    def _single(self, expression: str, field_: Field, operator: str, value: object) -> Clause:
        if operator == "@" or (operator == "=" and isinstance(value, list | dict)):
            return self._one_of(expression, field_, php_list(value))
        if isinstance(value, list | dict):
            raise ValueError("one value is expected")
        if operator in {"%", "=%", "%="}:
            pattern = _escape(str(value if value is not None else ""))
            bound = f"%{pattern.replace('%', chr(92) + '%')}%" if operator == "%" else pattern
            return Clause(f"fold({expression}) LIKE fold(?) ESCAPE '\\'", (bound,))
        stored = field_.accept(value, self.zone)
        if stored is None:
            if operator != "=":
                raise ValueError("an empty value has no order")
            return Clause(f"coalesce({expression}, '') = ''")
        if _is_text(field_):
            return Clause(f"fold({expression}) {operator} fold(?)", (stored,))
        return Clause(f"{expression} {operator} ?", (stored,))

    def _one_of(self, expression: str, field_: Field, values: list[object]) -> Clause:
        if len(values) > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values")
        stored = tuple(field_.accept(value, self.zone) for value in values)
        given = tuple(value for value in stored if value is not None)
        mark, subject = (
            ("fold(?)", f"fold({expression})") if _is_text(field_) else ("?", expression)
        )
        clause = f"{subject} IN ({', '.join([mark] * len(given))})"
        if len(given) < len(stored):
            clause = f"({clause} OR coalesce({expression}, '') = '')"
        return Clause(clause, given)


def _is_text(field_: Field) -> bool:
    return field_.column_type == "TEXT" and field_.kind not in {"date", "datetime"}


def _escape(text: str) -> str:
    """Only `%` is a wildcard for callers; SQL's underscore is taken literally."""
    return text.replace("\\", "\\\\").replace("_", "\\_")
