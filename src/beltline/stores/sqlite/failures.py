"""What an error of SQLite means: try again, no room, broken, or the mistake of one call."""

from __future__ import annotations

import apsw

from beltline.engine.ports import StoreBroken, StoreFull

# Another connection holds what is needed: waiting helps.
BUSY = (apsw.BusyError, apsw.LockedError)

# The call was wrong, the file is not: only the caller has to hear of it.
MISTAKES = (
    apsw.BindingsError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.RangeError,
    apsw.SQLError,
    apsw.TooBigError,
)


def store_failure(error: BaseException) -> StoreFull | StoreBroken | None:
    """The store's own failure behind an error; None where only the call itself failed.

    What is not known to be harmless counts as broken: after a failed write or sync nobody knows
    what the file holds.
    """
    if isinstance(error, StoreFull | StoreBroken):
        return error
    if isinstance(error, apsw.FullError):
        return StoreFull(f"the store has no room left ({error}): free some space on its disk")
    if isinstance(error, MemoryError) or (
        isinstance(error, apsw.Error) and not isinstance(error, MISTAKES)
    ):
        return StoreBroken(f"the store failed ({type(error).__name__}: {error}): restart the hub")
    return None
