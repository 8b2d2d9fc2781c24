"""Who has to act on an error of a database: the world, which is tried again, or a person.

the world       no connection, or it broke; a deadlock or a conflict between transactions; a
                lock or a statement that took too long; no room; too many connections
a person        all else: syntax, a name that is not there, a value or a constraint that does
                not hold, a right that is missing
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from beltline.sdk.outcome import Reject, Retry

_WORDS = 300
# SQLSTATE: connection, transaction rolled back, resources, intervention of an operator.
_PG_CLASSES = frozenset(("08", "40", "53", "57", "58"))
_PG_STATES = frozenset(("55P03", "25P03"))  # a lock that is not free; idle for too long
_PG_FOR_A_PERSON = frozenset(("57P04",))  # the database was dropped
_SQLITE = frozenset((5, 6, 9, 10, 13, 15))  # busy, locked, interrupt, input/output, full, protocol
_MARIADB = frozenset(
    (
        *(1040, 1203, 1226),  # too many connections
        *(1020, 1205, 1213, 1614),  # conflicts, deadlocks, waits for locks
        *(1021, 1041, 1114),  # no room, no memory
        *(1053, 1077, 1317, 1927, 1969, 3024),  # shut down, interrupted, took too long
        *(1158, 1159, 1160, 1161, 2002, 2003, 2006, 2013, 2014, 2055),  # the connection
    )
)


def outcome_of(error: SQLAlchemyError) -> Retry | Reject:
    """What a step answers for the error, in the database's own words."""
    words = f"the database says: {words_of(error)}"
    return Retry(words) if _is_of_the_world(error) else Reject(words)


def words_of(error: SQLAlchemyError) -> str:
    """The first line of what the database says, without the statement and its values."""
    said: Any = getattr(error, "orig", None) or error
    arguments: tuple[Any, ...] = getattr(said, "args", ())
    if len(arguments) == 2 and isinstance(arguments[0], int):  # of pymysql: (number, words)
        said = f"{arguments[1]} ({arguments[0]})"
    return str(said).strip().partition("\n")[0][:_WORDS]


def _is_of_the_world(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    raised: Any = error.orig
    driver = type(raised).__module__.partition(".")[0]
    if driver == "sqlite3":
        return (getattr(raised, "sqlite_errorcode", 0) & 0xFF) in _SQLITE
    if driver == "pymysql":
        return bool(raised.args) and raised.args[0] in _MARIADB
    state = getattr(raised, "sqlstate", None)
    if state is not None:
        is_bad = state[:2] in _PG_CLASSES or state in _PG_STATES
        return is_bad and state not in _PG_FOR_A_PERSON
    # Without a state the server was not reached, or has gone; what the driver itself refuses
    # (a value that it cannot send) is of another class.
    return type(raised).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
