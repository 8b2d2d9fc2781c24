"""Change a database by one statement, in a transaction of its own.

A call is repeated when its answer was lost: the transaction may have been committed, and nobody
knows. So a statement that adds happens twice, unless it is `once`: then the step's idempotency key
is put into a table of the same database, in the same transaction. Either both are there or none,
and a repeat finds the key and gives what the first call gave.

    begin
      insert the key into the table ── there already ──> give the stored result, change nothing
      the statement
      store its result beside the key
    commit
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

TableName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")
]


class ExecuteConfig(Config):
    """What to do."""

    statement: Annotated[
        str,
        field(
            "Statement",
            "The statement, with `:name` for each parameter. It takes no expressions.",
            examples=["insert into calls (phone) values (:phone)"],
            min_length=1,
            constant="value",
        ),
    ]
    parameters: Parameters = msgspec.field(default_factory=dict)
    once: Annotated[
        TableName | None,
        field(
            "Once",
            "A table of idempotency keys in the same database: a repeated call finds its key there"
            " and changes nothing. Without it a repeated call changes again.",
            examples=["beltline_calls"],
            constant="value",
        ),
    ] = None
    limit: Annotated[
        int,
        field(
            "Limit",
            "The most rows that the statement may give by `returning`. More undo it.",
            ge=1,
            le=10_000,
        ),
    ] = 100
    timeout: Timeout = "20s"


class ExecuteOutput(Output):
    """What was done."""

    count: Annotated[int | None, field("Count", "How many rows were changed; null if not told.")]
    rows: Annotated[list[dict[str, Any]], field("Rows", "What the statement gave by `returning`.")]
    repeated: Annotated[
        bool, field("Repeated", "Whether an earlier call had done it, and this one did nothing.")
    ] = False


def execute(config: ExecuteConfig, context: Context) -> ExecuteOutput | Retry | Reject:
    """Does it in one transaction; see the module's docstring for `once`."""
    from beltline.modules.sql.asking import answering, bound, row_bounds, time_s
    from beltline.modules.sql.keys import Keys
    from beltline.sdk.database import read_rows, transaction

    def ask() -> ExecuteOutput:
        statement, values = bound(config.statement, config.parameters)
        timeout_s = time_s(config.timeout, context)
        bounds = row_bounds(config.limit, context)
        with transaction(context.connection, writes=True, timeout_s=timeout_s) as database:
            keys = None if config.once is None else Keys(database, config.once)
            if keys is not None and not keys.take(context.key):
                earlier = keys.result(context.key, ExecuteOutput)
                return ExecuteOutput(count=earlier.count, rows=earlier.rows, repeated=True)
            result = database.execute(statement, values)
            changed = result.rowcount
            rows = read_rows(result, **bounds) if result.returns_rows else []
            done = ExecuteOutput(count=changed if changed >= 0 else None, rows=rows)
            if keys is not None:
                keys.store(context.key, done)
        return done

    return answering(ask)


module = Module(
    name="sql.execute",
    version=1,
    summary="Change a database by one statement.",
    description=(
        "For SQLite, PostgreSQL, MariaDB and MySQL. Values go along as parameters, never as a part"
        " of the statement, and errors are sorted as in `sql.query`. `once` names a table that you"
        " make: `create table beltline_calls (call_key char(32) primary key, done_at timestamp not"
        " null default current_timestamp, result text)`, with `longtext` and `engine=InnoDB` in"
        " MariaDB. Keys of more than some weeks ago can be deleted. Statements that change the"
        " schema end a transaction of MariaDB by themselves: `once` does not hold for them."
    ),
    category="data",
    icon="database",
    effect="at-least-once",
    on_repeat=(
        "Without `once` the statement is executed again, which may change the data twice: write it"
        " so that this does no harm. With `once` the key of the visit is committed together with"
        " the change, and a repeated call gives the first result with `repeated` true."
    ),
    connection="sql",
    config=ExecuteConfig,
    output=ExecuteOutput,
    handler=execute,
    examples=(
        Example(
            "Note a call, once",
            {
                "statement": "insert into calls (phone) values (:phone)",
                "parameters": {"phone": "79161234567"},
                "once": "beltline_calls",
            },
        ),
        Example(
            "Close the old orders of a customer",
            {
                "statement": "update orders set state = 'closed' where customer = :id",
                "parameters": {"id": 42},
                "timeout": "5s",
            },
        ),
    ),
)
