"""Put rows into a table: those that are not there are added, the others are changed.

Names of the table and its columns are written in the process; what comes in can only be values. All
rows go in one transaction: all of them are there afterwards, or none.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from beltline.modules.sql.fields import Timeout
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

_NAME = r"^[^\x00-\x1f\x7f]{1,100}$"
Column = Annotated[str, field("Column", "The name of a column.", pattern=_NAME)]


class UpsertConfig(Config):
    """What to put where."""

    table: Annotated[
        str,
        field(
            "Table",
            "The table, with its schema where it needs one.",
            examples=["customers", "sales.customers"],
            pattern=r"^[^\x00-\x1f\x7f]{1,200}$",
            constant="value",
        ),
    ]
    key: Annotated[
        list[Column],
        field(
            "Key",
            "The columns that tell a row from the others. The table needs a primary key or a"
            " unique index over exactly these.",
            examples=[["phone"]],
            min_length=1,
            max_length=20,
            constant="value",
        ),
    ]
    columns: Annotated[
        list[Column],
        field(
            "Columns",
            "The other columns to fill. Whatever else a row has is left out.",
            examples=[["name", "source"]],
            max_length=500,
            constant="value",
        ),
    ]
    rows: Annotated[
        dict[str, Any] | list[dict[str, Any]],
        field(
            "Rows",
            "A row as an object by the names of its columns, or a list of rows. Each has all of"
            " the columns; null empties one.",
            examples=[{"phone": "79161234567", "name": "Anna", "source": None}],
        ),
    ]
    existing: Annotated[
        Literal["change", "keep"],
        field("Existing", "What becomes of a row that is there: it is changed, or kept as it is."),
    ] = "change"
    timeout: Timeout = "20s"

    def __post_init__(self) -> None:
        names = [*self.key, *self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a column stands twice in `key` and `columns`")


class UpsertOutput(Output):
    """What was put."""

    count: Annotated[int, field("Count", "How many rows were given.")]


def upsert(config: UpsertConfig, context: Context) -> UpsertOutput | Retry | Reject:
    """Puts all rows in one transaction."""
    from beltline.modules.sql.asking import answering, time_s
    from beltline.modules.sql.putting import check_key, statement_of, values_of
    from beltline.sdk.database import transaction

    def ask() -> UpsertOutput:
        given = config.rows if isinstance(config.rows, list) else [config.rows]
        rows = values_of(given, config.key, config.columns, context.bounds.module_rows)
        timeout_s = time_s(config.timeout, context)
        with transaction(context.connection, writes=True, timeout_s=timeout_s) as database:
            check_key(database, config.table, config.key)
            if rows:
                statement = statement_of(
                    database.dialect, config.table, config.key, config.columns, config.existing
                )
                database.exec_driver_sql(statement, rows)
        return UpsertOutput(count=len(rows))

    return answering(ask)


module = Module(
    name="sql.upsert",
    version=1,
    summary="Put rows into a table of a database.",
    description=(
        "For SQLite, PostgreSQL, MariaDB and MySQL. Rows are told apart by `key`; in MariaDB and"
        " MySQL any other unique index of the table tells them apart, too. All rows are put in one"
        " transaction. Errors are sorted as in `sql.query`."
    ),
    category="data",
    icon="database",
    effect="idempotent",
    on_repeat=(
        "It puts the same rows again, which leaves the table as it was, unless others have changed"
        " them in between: then the older values are back."
    ),
    connection="sql",
    config=UpsertConfig,
    output=UpsertOutput,
    handler=upsert,
    examples=(
        Example(
            "Keep a customer by the phone number",
            {
                "table": "customers",
                "key": ["phone"],
                "columns": ["name"],
                "rows": {"phone": "79161234567", "name": "Anna"},
            },
        ),
    ),
)
