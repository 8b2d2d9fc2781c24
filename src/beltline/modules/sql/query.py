"""Ask a database and give its rows.

The statement is written in the process and takes no expressions; what comes in goes along as
parameters, apart from it. The database itself refuses every change: the transaction is read-only
and is undone at its end.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from beltline.modules.sql.fields import Parameters, Timeout
from beltline.sdk import (
    Config,
    Context,
    Example,
    Module,
    Output,
    Reject,
    Retry,
    field,
)


class QueryConfig(Config):
    """What to ask."""

    statement: Annotated[
        str,
        field(
            "Statement",
            "The statement, with `:name` for each parameter. It takes no expressions.",
            examples=["select id, name from customers where phone = :phone"],
            min_length=1,
            constant="value",
        ),
    ]
    parameters: Parameters = msgspec.field(default_factory=dict)
    limit: Annotated[
        int,
        field(
            "Limit",
            "The most rows that the answer may have. One that has more fails, so that nothing is"
            " left out unseen.",
            examples=[100],
            ge=1,
            le=10_000,
        ),
    ] = 100
    timeout: Timeout = "20s"


class QueryOutput(Output):
    """The answer."""

    rows: Annotated[
        list[dict[str, Any]], field("Rows", "Each row as an object by the names of its columns.")
    ]
    first: Annotated[
        dict[str, Any] | None, field("First", "The first row; null where there is none.")
    ]
    count: Annotated[int, field("Count", "How many rows there are.")]


def query(config: QueryConfig, context: Context) -> QueryOutput | Retry | Reject:
    """Asks in a read-only transaction."""
    from beltline.modules.sql.asking import answering, bound, row_bounds, time_s
    from beltline.sdk.database import query_rows, transaction

    def ask() -> QueryOutput:
        statement, values = bound(config.statement, config.parameters)
        timeout_s = time_s(config.timeout, context)
        with transaction(context.connection, writes=False, timeout_s=timeout_s) as database:
            rows = query_rows(database, statement, values, **row_bounds(config.limit, context))
        return QueryOutput(rows=rows, first=rows[0] if rows else None, count=len(rows))

    return answering(ask)


module = Module(
    name="sql.query",
    version=1,
    summary="Ask a database and give its rows.",
    description=(
        "For SQLite, PostgreSQL, MariaDB and MySQL, by the address of the connection. Values go"
        " along as parameters, never as a part of the statement. The transaction only reads. Exact"
        " decimals are texts, times are texts in ISO 8601, lengths of time are H:MM:SS, bytes are"
        " base64; whole numbers beyond 64 bits are texts. A deadlock, a conflict, a lock or a"
        " statement that took too long, and a database that is away are tried again; what the"
        " database refuses (syntax, a name, a value, a right) ends the visit in its own words."
    ),
    category="data",
    icon="database",
    effect="idempotent",
    on_repeat="It asks again, and may find what has changed meanwhile.",
    connection="sql",
    config=QueryConfig,
    output=QueryOutput,
    handler=query,
    examples=(
        Example(
            "The customer of a phone number",
            {
                "statement": "select id, name from customers where phone = :phone",
                "parameters": {"phone": "79161234567"},
                "limit": 1,
            },
        ),
        Example(
            "The orders of several ids",
            {
                "statement": "select id, total from orders where id in :ids order by id",
                "parameters": {"ids": [7, 9]},
            },
        ),
    ),
)
