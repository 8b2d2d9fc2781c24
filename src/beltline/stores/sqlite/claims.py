"""Taking runs and letting go of them, and reading what their state is folded from.

What is read for the belt comes packed, many rows in one text of hexadecimal numbers: one step of a
statement instead of one for every row (`many_rows.py` says why).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw

from beltline.engine.ports import Message, StoredRun
from beltline.stores.sqlite.commits import NODE
from beltline.stores.sqlite.connection import snapshot
from beltline.stores.sqlite.many_rows import blobs, integers

MANY_CRASHES = 5  # asking for this number asks for all greater ones too
LOADED_AT_ONCE = 128  # runs; bounds the memory that packed rows take

# Finds the runs that may be taken, with a number of crashes below `MANY_CRASHES`.
FIND_READY = (
    "SELECT group_concat(rowid || ':' || hex(key)) FROM (SELECT rowid, key FROM run"
    " WHERE owner IS NULL AND ready_at IS NOT NULL AND crashes = ? AND ready_at <= ?"
    " ORDER BY ready_at, rowid LIMIT ?)"
)

# The same for those with more crashes.
FIND_READY_AND_CRASHED = (
    "SELECT group_concat(rowid || ':' || hex(key)) FROM (SELECT rowid, key FROM run"
    " WHERE owner IS NULL AND ready_at IS NOT NULL AND crashes >= ? AND ready_at <= ?"
    " ORDER BY ready_at, rowid LIMIT ?)"
)

# Takes runs.
TAKE = "UPDATE run SET owner = ? WHERE rowid IN (SELECT value FROM carray(?))"

# Takes one run by its key unless it is owned.
TAKE_ONE = "UPDATE run SET owner = ? WHERE key = ? AND owner IS NULL"

# The earliest time at which a sound run is ready: one look at the index.
NEXT_READY_AT = (
    "SELECT min(ready_at) FROM run WHERE owner IS NULL AND ready_at IS NOT NULL AND crashes = 0"
)

# Lets go of the runs that a dead process still owns, and counts the crash.
RECOVER = "UPDATE run SET owner = NULL, ready_at = 0, crashes = crashes + 1 WHERE owner IS NOT NULL"

# Lets go of the owned runs.
HAND_OVER = "UPDATE run SET owner = NULL, ready_at = 0 WHERE owner IS NOT NULL"

# Runs with their requests, packed.
LOAD_RUNS = (
    "SELECT group_concat(hex(run.key) || ':' || version_id || ':' || crashes || ':' || hex(body)"
    " || ':' || hex(meta)) FROM run JOIN request ON request.key = run.key"
    " WHERE run.key IN (SELECT value FROM carray(?))"
)

# Their journals, packed, each in order.
LOAD_JOURNALS = (
    "SELECT group_concat(hex(run) || ':' || hex(entry)) FROM (SELECT run, entry FROM journal"
    " WHERE run IN (SELECT value FROM carray(?)) ORDER BY run, seq)"
)

# Their messages, in order.
LOAD_MESSAGES = (
    "SELECT id, run, body FROM inbox WHERE run IN (SELECT value FROM carray(?)) ORDER BY id"
)


def claim(db: apsw.Connection, now: int, limit: int, crashes: int) -> list[bytes]:
    """Takes runs; gives their keys, the earliest `ready_at` first."""
    find = FIND_READY if crashes < MANY_CRASHES else FIND_READY_AND_CRASHED
    packed = db.execute(find, (crashes, now, limit)).get
    if not packed:
        return []
    found = [row.split(":") for row in packed.split(",")]
    db.execute(TAKE, (NODE, integers(int(rowid) for rowid, _ in found)))
    return [bytes.fromhex(key) for _, key in found]


def claim_one(db: apsw.Connection, key: bytes) -> list[bytes]:
    """Takes one run; gives its key, or nothing if it is owned or there is none."""
    db.execute(TAKE_ONE, (NODE, key))
    return [key] if db.changes() else []


def next_ready_at(db: apsw.Connection) -> int | None:
    """See `Store.next_ready_at`."""
    at: int | None = db.execute(NEXT_READY_AT).get
    return at


def recover(db: apsw.Connection) -> int:
    """See `Store.recover`."""
    db.execute(RECOVER)
    return db.changes()


def hand_over(db: apsw.Connection) -> int:
    """See `Store.hand_over`."""
    db.execute(HAND_OVER)
    return db.changes()


def load(db: apsw.Connection, keys: Sequence[bytes]) -> list[StoredRun]:
    """The runs with these keys, in this order, as of one moment for every `LOADED_AT_ONCE`."""
    loaded: list[StoredRun] = []
    for start in range(0, len(keys), LOADED_AT_ONCE):
        some = keys[start : start + LOADED_AT_ONCE]
        with snapshot(db):
            loaded += load_some(db, some)
    return loaded


def load_some(db: apsw.Connection, keys: Sequence[bytes]) -> list[StoredRun]:
    """Reads runs set by set: their rows and requests, journals, messages."""
    wanted = (blobs(keys),)
    entries: dict[bytes, list[bytes]] = {key: [] for key in keys}
    for run, entry in unpack(db.execute(LOAD_JOURNALS, wanted).get):
        entries[bytes.fromhex(run)].append(bytes.fromhex(entry))
    messages: dict[bytes, list[Message]] = {key: [] for key in keys}
    for row in db.execute(LOAD_MESSAGES, wanted):
        message = Message(*row)
        messages[message.key].append(message)
    runs: dict[bytes, StoredRun] = {}
    for run, version_id, crashes, body, meta in unpack(db.execute(LOAD_RUNS, wanted).get):
        key = bytes.fromhex(run)
        runs[key] = StoredRun(
            key=key,
            version_id=int(version_id),
            crashes=int(crashes),
            body=bytes.fromhex(body),
            meta=bytes.fromhex(meta),
            entries=entries[key],
            messages=messages[key],
        )
    return [runs[key] for key in keys]


def unpack(packed: str | None) -> Iterator[list[str]]:
    """The rows of a packed text, as texts."""
    return (row.split(":") for row in packed.split(",")) if packed else iter(())
