"""What the modules of databases share: parameters, bounds, and what an error means for a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.exc import SQLAlchemyError

from beltline.sdk import Context, Reject, Retry, duration_s
from beltline.sdk.database import BadValue, NoDatabase, TooMuch, outcome_of

T = TypeVar("T")
# Room for the end of a transaction and the way back, before the step's own time has run out.
_END_S = 0.5


def answering(ask: Callable[[], T]) -> T | Retry | Reject:
    """What `ask` gives, or what its error means."""
    try:
        return ask()
    except SQLAlchemyError as wrong:
        return outcome_of(wrong)
    except (NoDatabase, BadValue, TooMuch) as wrong:
        return Reject(str(wrong))
    except (OverflowError, UnicodeError) as wrong:  # a driver that cannot send a value
        return Reject(f"a value cannot be sent to the database: {wrong}")


def time_s(timeout: str, context: Context) -> float:
    """How long a statement may take: the step's own time bounds it, so that a statement does not
    go on when its attempt has already failed.
    """
    return max(0.1, min(duration_s(timeout), context.time_left_s() - _END_S))


def bound(statement: str, parameters: Mapping[str, Any]) -> tuple[TextClause, dict[str, Any]]:
    """A statement with its parameters: a list takes the place of what stands in `in :names`. A
    parameter that the statement does not have, and one that is not given, are refused by name.
    Raises `BadValue`.
    """
    clause = text(statement)
    wanted = set(clause.compile().params)
    for name in sorted(wanted - set(parameters)):
        raise BadValue(
            f"the statement has a parameter :{name}, and `parameters` has none of this name (a"
            " missing field gives nothing: write a default for it, or null); where it is none,"
            f" write \\:{name}"
        )
    for name in sorted(set(parameters) - wanted):
        raise BadValue(f"`parameters` has {name!r}, which the statement does not use")
    lists = [name for name, value in parameters.items() if isinstance(value, list)]
    for name in lists:
        if not parameters[name]:
            raise BadValue(
                f"`{name}` is an empty list, which databases do not take after `in`: do not come"
                " here without one (a condition on `empty`)"
            )
        for value in parameters[name]:
            scalar(name, value)
    if lists:
        clause = clause.bindparams(*(bindparam(name, expanding=True) for name in lists))
    given = {
        name: value if isinstance(value, list) else scalar(name, value)
        for name, value in parameters.items()
    }
    return clause, given


def scalar(name: str, value: Any) -> Any:
    """A value that a column can hold. Raises `BadValue`."""
    if isinstance(value, dict | list):
        raise BadValue(
            f"`{name}` is {'an object' if isinstance(value, dict) else 'a list in a list'}, which"
            " no column holds: give one of its members, or its text by $string()"
        )
    if isinstance(value, str) and "\x00" in value:
        raise BadValue(f"`{name}` holds a NUL, which databases do not take")
    return value


class RowBounds(TypedDict):
    """What `read_rows` and `query_rows` are told."""

    most: int
    most_bytes: int
    more: str
    bytes_limit: str


def row_bounds(limit: int, context: Context) -> RowBounds:
    """How many rows are taken, and what bounds them."""
    bounds = context.bounds
    is_own = limit < bounds.module_rows
    return RowBounds(
        most=min(limit, bounds.module_rows),
        most_bytes=bounds.result_bytes,
        more="raise `limit`, or add a `limit` to the statement"
        if is_own
        else "limit module_rows: add a `limit` to the statement",
        bytes_limit="limit result_bytes: ask for fewer rows or columns",
    )


def quoted(names: Sequence[str], quote: Callable[[str], str]) -> str:
    """Names for a statement, separated by commas."""
    return ", ".join(quote(name) for name in names)
