"""Taking runs and letting go of them, and reading what their state is folded from.

What is read for the belt comes packed, many rows in one text of hexadecimal numbers: one step of a
statement instead of one for every row (`many_rows.py` says why). On its way a packed byte takes
about seven bytes of memory, so packs are bounded, and large runs are read row by row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import apsw
import msgspec

from beltline.engine.records import Claimed, Message, StoredRun
from beltline.stores.sqlite.commits import ANY_MESSAGE, NODE
from beltline.stores.sqlite.connection import snapshot
from beltline.stores.sqlite.many_rows import blobs, integers

MANY_CRASHES = 5  # asking for this number asks for all greater ones too
FIRST_LOOK = 64  # candidates; by their sizes it is known how many more are worth a look
PACKED_RUNS = 128  # at most in one pack
PACKED_BYTES = 1_048_576  # to be loaded by one pack

# Which runs may be taken, with a number of crashes below `MANY_CRASHES`.
READY = " WHERE owner IS NULL AND ready_at IS NOT NULL AND crashes = ? AND ready_at <= ?"

# The same for those with more crashes.
READY_AND_CRASHED = (
    " WHERE owner IS NULL AND ready_at IS NOT NULL AND crashes >= ? AND ready_at <= ?"
)

# Runs with how much is to be loaded of them, and whether they have a journal. Lengths stand in the
# heads of rows: nothing of a long body is read.
CANDIDATES = (
    " group_concat(number || ':' || hex(key) || ':' || (request + coalesce(journal, 0))"
    " || ':' || (journal IS NOT NULL)) FROM (SELECT run.rowid AS number, run.key,"
    " length(body) + length(meta) AS request,"
    " (SELECT sum(length(entry)) FROM journal WHERE run = request.key) AS journal"
    " FROM run CROSS JOIN request ON request.key = run.key"
)
FIRST = " ORDER BY ready_at, run.rowid LIMIT ?)"
FIND_READY = "SELECT" + CANDIDATES + READY + FIRST
FIND_READY_AND_CRASHED = "SELECT" + CANDIDATES + READY_AND_CRASHED + FIRST

# Whether there is any.
ANY = " EXISTS (SELECT 1 FROM run"
ANY_READY = "SELECT" + ANY + READY + ")"
ANY_READY_AND_CRASHED = "SELECT" + ANY + READY_AND_CRASHED + ")"

# How much is to be loaded of one run.
MEASURE = (
    "SELECT run.rowid, length(body) + length(meta),"
    " (SELECT sum(length(entry)) FROM journal WHERE run = request.key)"
    " FROM run JOIN request ON request.key = run.key WHERE run.key = ?"
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
    "SELECT group_concat(run.rowid || ':' || version_id || ':' || crashes || ':' || hex(body)"
    " || ':' || hex(meta)) FROM run JOIN request ON request.key = run.key"
    " WHERE run.rowid IN (SELECT value FROM carray(?))"
)

# Their journals, packed, each in order.
LOAD_JOURNALS = (
    "SELECT group_concat(hex(run) || ':' || hex(entry)) FROM (SELECT run, entry FROM journal"
    " WHERE run IN (SELECT value FROM carray(?)) ORDER BY run, seq)"
)

# A large run with its request.
LOAD_RUN = (
    "SELECT version_id, crashes, body, meta FROM run JOIN request ON request.key = run.key"
    " WHERE run.key = ?"
)

# Its journal, in order.
LOAD_JOURNAL = "SELECT entry FROM journal WHERE run = ? ORDER BY seq"

# Messages of runs, in order.
LOAD_MESSAGES = (
    "SELECT id, run, body FROM inbox WHERE run IN (SELECT value FROM carray(?)) ORDER BY id"
)


class ToLoad(msgspec.Struct, frozen=True, gc=False):
    """A run that was taken: its row, how many bytes are to be loaded, whether it has a journal."""

    rowid: int
    key: bytes
    size: int
    has_journal: bool


class Taken(NamedTuple):
    """What a claim took in the writer, and whether it left runs that it could have taken."""

    runs: list[ToLoad]
    more: bool


def claim(db: apsw.Connection, now: int, limit: int, crashes: int, max_bytes: int) -> Taken | None:
    """Takes runs as `Store.claim` says; None where there is none.

    Their sizes cost a look at every journal row, so few runs are looked at first, and then about as
    many as will fit.
    """
    is_many = crashes >= MANY_CRASHES
    find = FIND_READY_AND_CRASHED if is_many else FIND_READY
    taken: list[ToLoad] = []
    left, look = max_bytes, min(limit, FIRST_LOOK)
    while look:
        packed = db.execute(find, (crashes, now, look)).get
        if not packed:
            return Taken(taken, more=False) if taken else None
        found = [
            ToLoad(int(rowid), bytes.fromhex(key), int(size), has_journal == "1")
            for rowid, key, size, has_journal in unpack(packed)
        ]
        totals = list(accumulate([run.size for run in found]))
        fitting = bisect_right(totals, left)
        if not taken:
            fitting = max(1, fitting)
        some = found[:fitting]
        if some:
            db.execute(TAKE, (NODE, integers([run.rowid for run in some])))
            taken += some
            left -= totals[fitting - 1]
        if fitting < len(found):
            return Taken(taken, more=True)
        if len(found) < look:
            return Taken(taken, more=False)
        by_average = 1 + 2 * max(0, left) * len(taken) // max(1, max_bytes - left)
        look = min(limit - len(taken), by_average)
    any_ready = ANY_READY_AND_CRASHED if is_many else ANY_READY
    return Taken(taken, more=bool(db.execute(any_ready, (crashes, now)).get))


def claim_one(db: apsw.Connection, key: bytes) -> list[ToLoad]:
    """Takes one run; gives it, or nothing if it is owned or there is none."""
    db.execute(TAKE_ONE, (NODE, key))
    return [measure(db, key)] if db.changes() else []


def measure(db: apsw.Connection, key: bytes) -> ToLoad:
    """How much there is to load of a run."""
    rowid, request, journal = db.execute(MEASURE, (key,)).get
    return ToLoad(rowid, key, request + (journal or 0), journal is not None)


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


def load_taken(db: apsw.Connection, taken: Taken) -> Claimed:
    """What a claim took, with all that is to be loaded of it."""
    return Claimed(load(db, taken.runs), taken.more)


def load(db: apsw.Connection, runs: Sequence[ToLoad]) -> list[StoredRun]:
    """These runs, in this order; those of one pack as of one moment."""
    loaded: list[StoredRun] = []
    for pack in packs(runs):
        with snapshot(db):
            loaded += load_some(db, pack)
    return loaded


def packs(runs: Sequence[ToLoad]) -> Iterator[list[ToLoad]]:
    """The runs cut into packs; one that is too large for any is alone."""
    pack: list[ToLoad] = []
    size = 0
    for run in runs:
        if pack and (len(pack) == PACKED_RUNS or size + run.size > PACKED_BYTES):
            yield pack
            pack, size = [], 0
        pack.append(run)
        size += run.size
    if pack:
        yield pack


def load_some(db: apsw.Connection, runs: Sequence[ToLoad]) -> list[StoredRun]:
    """One pack of runs, in this order."""
    messages: dict[bytes, list[Message]] = {}
    if db.execute(ANY_MESSAGE).get:
        for row in db.execute(LOAD_MESSAGES, (blobs(run.key for run in runs),)):
            message = Message(*row)
            messages.setdefault(message.key, []).append(message)
    if runs[0].size > PACKED_BYTES:
        return [load_large(db, run.key, messages.get(run.key, [])) for run in runs]
    entries: dict[bytes, list[bytes]] = {run.key: [] for run in runs if run.has_journal}
    if entries:
        for hex_key, entry in unpack(db.execute(LOAD_JOURNALS, (blobs(entries),)).get):
            entries[bytes.fromhex(hex_key)].append(bytes.fromhex(entry))
    keys = {run.rowid: run.key for run in runs}
    stored: dict[bytes, StoredRun] = {}
    packed = db.execute(LOAD_RUNS, (integers(keys),)).get
    for rowid, version_id, crashes, body, meta in unpack(packed):
        key = keys[int(rowid)]
        stored[key] = StoredRun(
            key,
            int(version_id),
            int(crashes),
            bytes.fromhex(body),
            bytes.fromhex(meta),
            entries.get(key, []),
            messages.get(key, []),
        )
    return [stored[run.key] for run in runs]


def load_large(db: apsw.Connection, key: bytes, messages: list[Message]) -> StoredRun:
    """One run, row by row."""
    version_id, crashes, body, meta = db.execute(LOAD_RUN, (key,)).get
    entries = [entry for (entry,) in db.execute(LOAD_JOURNAL, (key,))]
    return StoredRun(key, version_id, crashes, body, meta, entries, messages)


def unpack(packed: str | None) -> Iterator[list[str]]:
    """The rows of a packed text, as texts."""
    return (row.split(":") for row in packed.split(",")) if packed else iter(())
