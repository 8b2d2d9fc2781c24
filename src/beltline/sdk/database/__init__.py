"""Databases that a connection of the kind `sql` names, for plain handlers: it blocks.

    with transaction(context.connection, writes=False, timeout_s=20) as database:
        rows = query_rows(database, text("select …"), values, most=100, …)

It needs the libraries of `beltline[sql]`, so it is imported where it is used.
"""

from beltline.sdk.database.failures import outcome_of, words_of
from beltline.sdk.database.opening import CONNECT_S, NoDatabase, engine_of, transaction
from beltline.sdk.database.values import BadValue, TooMuch, as_json, query_rows, read_rows

__all__ = [
    "CONNECT_S",
    "BadValue",
    "NoDatabase",
    "TooMuch",
    "as_json",
    "engine_of",
    "outcome_of",
    "query_rows",
    "read_rows",
    "transaction",
    "words_of",
]
