"""What an error on the way to the database means, by who must act."""

from __future__ import annotations

import asyncpg

from beltline.engine.ports import LeaseLost, StoreAway, StoreBroken, StoreFull
from beltline.stores.errors import StoreTooNew

# What the store's own functions raise.
MEMBERSHIP_ENDED = "BL001"
NOT_OWNED = "BL002"
TOO_OLD = "BL003"

# The connection, the server, or its readiness to write has gone: it will be back.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # shutting down, starting up, crashed
    asyncpg.ReadOnlySQLTransactionError,  # a server that was the primary until just now
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InvalidSQLStatementNameError,
    OSError,
    EOFError,
    TimeoutError,
)

# Nothing happened, and the same may be tried at once: two transactions waited for each other.
COLLISIONS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

# No room: the disk, or a quota.
FULL = (asyncpg.DiskFullError, asyncpg.ConfigurationLimitExceededError)


def told(error: BaseException) -> BaseException:
    """The error as the port tells it; what is the mistake of one call stays as it is."""
    code = getattr(error, "sqlstate", None)
    if code == MEMBERSHIP_ENDED:
        return LeaseLost(
            f"{error}: this node was silent for longer than its lease, and others took over"
        )
    if code == NOT_OWNED:
        return StoreBroken(f"the store refused a decision: {error}")
    if code == TOO_OLD:
        return StoreTooNew(f"{error}: install the newer hub")
    if isinstance(error, FULL):
        return StoreFull(f"the database has no room left ({error}): free some space on its disk")
    if is_away(error):
        said = str(error) or type(error).__name__
        return StoreAway(f"the database cannot be reached ({said})")
    return error


def is_away(error: BaseException) -> bool:
    """Whether the way to the database is in doubt. asyncpg counts values of a wrong type among the
    errors of its interface; those are the caller's.
    """
    return isinstance(error, AWAY) and not isinstance(error, ValueError)
