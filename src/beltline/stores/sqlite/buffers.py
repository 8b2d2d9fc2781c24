"""Requests that wait in their source's buffer: who goes next, and what people do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import msgspec

from beltline.engine.ids import key_at
from beltline.engine.records import (
    Collection,
    Due,
    HeldCount,
    HeldFilter,
    HeldRequest,
    Released,
    ReleaseOrder,
    StoredRequest,
)
from beltline.stores.sqlite import shared
from beltline.stores.sqlite.commits import ADD_RUNS, accept, append
from beltline.stores.sqlite.inbox import ADD_MESSAGE
from beltline.stores.sqlite.lines import move_lines_on
from beltline.stores.sqlite.many_rows import blobs

WITHOUT_BOUND = 2**62
LAST_KEY = b"\xff" * 16

# Whether a person has paused a source.
IS_PAUSED = "SELECT EXISTS (SELECT 1 FROM source_state WHERE source = ? AND state = 'paused')"

# Who goes next, of some processes.
NEXT = (
    "SELECT key, process FROM held WHERE source = ? AND is_head AND key < ?"
    " AND process IN (SELECT value FROM json_each(?)) ORDER BY place, key LIMIT ?"
)

# Those of these requests that are held.
THESE = (
    "SELECT key, process FROM held WHERE key IN (SELECT value FROM carray(?))"
    " AND process IN (SELECT value FROM json_each(?)) ORDER BY key"
)
LEAVE_BUFFER = "DELETE FROM held WHERE key IN (SELECT value FROM carray(?))"

HOW_MANY = "SELECT count(*) FROM held WHERE key IN (SELECT value FROM carray(?))"

# For which time a source's schedule lets requests go, and how many more.
REACH_DUE = (
    "INSERT INTO due (source, at, remaining) VALUES (?, ?, ?) ON CONFLICT (source)"
    " DO UPDATE SET at = excluded.at, remaining = excluded.remaining WHERE due.at < excluded.at"
)
LEFT_OF_DUE = "SELECT remaining FROM due WHERE source = ? AND at = ?"
USE_DUE = "UPDATE due SET remaining = remaining - ? WHERE source = ?"

# The ends of a source's buffer.
FIRST_PLACE = "SELECT min(place) FROM held WHERE source = ?"
LAST_PLACE = "SELECT max(place) FROM held WHERE source = ?"
ORDER_OF = (
    "SELECT source, key FROM held WHERE key IN (SELECT value FROM carray(?))"
    " ORDER BY source, place, key"
)
SET_PLACE = "UPDATE held SET place = ? WHERE key = ?"

# What sources hold.
COUNT_HELD = "SELECT source, count(*), min(key) FROM held GROUP BY source"
COUNT_HELD_BY = "SELECT source, count(*), min(key) FROM held WHERE source = ? GROUP BY source"

_COLUMNS = (
    " held.key, held.source, process, held.line, place, expires_at,"
    " CASE WHEN is_head THEN NULL ELSE line.head END"
)
_WITH_LINE = " LEFT JOIN line ON line.source = held.source AND line.line = held.line"
REQUESTS = (
    "SELECT key, source, process, accepted_at, body, meta FROM request"
    " WHERE key IN (SELECT value FROM carray(?)) ORDER BY key"
)
LAST_IN_LINE = "SELECT max(key) FROM held INDEXED BY held_by_line WHERE line <> ''"
EXPIRED = (
    f"SELECT{_COLUMNS} FROM held{_WITH_LINE} WHERE expires_at <= ?"
    " AND process IN (SELECT value FROM json_each(?)) ORDER BY expires_at LIMIT ?"
)


def release(db: apsw.Connection, order: ReleaseOrder, now: int) -> Released:
    """See `Store.release`."""
    if db.execute(IS_PAUSED, (order.source,)).get:
        return Released(0)
    window, due = order.window, order.due
    before = LAST_KEY if due is None else key_at(due.at)
    processes = msgspec.json.encode(list(order.versions)).decode()
    rows: list[Any] = db.execute(NEXT, (order.source, before, processes, order.limit)).fetchall()
    if not rows:
        return Released(0)  # and nothing is written
    if due is not None:
        rows = rows[: _left_of(db, order.source, due)]
    if window is not None:
        rows = rows[: shared.room(db, window).left]
    _start(db, rows, order.versions, now)
    if due is not None:
        db.execute(USE_DUE, (len(rows), order.source))
    if window is None:
        return Released(len(rows))
    used = shared.use(db, window, len(rows))
    return Released(len(rows), used.next_at - used.at)


def _left_of(db: apsw.Connection, source: str, due: Due) -> int:
    """How many may still go for a due time; none for one before the last."""
    most = WITHOUT_BOUND if due.at_most is None else due.at_most
    db.execute(REACH_DUE, (source, due.at, most))
    return int(db.execute(LEFT_OF_DUE, (source, due.at)).get or 0)


def let_go(
    db: apsw.Connection,
    keys: Sequence[bytes],
    versions: Mapping[str, int],
    now: int,
    message: bytes | None,
) -> int:
    """See `Store.let_go`."""
    processes = msgspec.json.encode(list(versions)).decode()
    rows: list[Any] = db.execute(THESE, (blobs(keys), processes)).fetchall()
    _start(db, rows, versions, now)
    if message is not None:
        for key, _ in rows:
            db.execute(ADD_MESSAGE, (key, now, message))
    return len(rows)


def _start(db: apsw.Connection, rows: list[Any], versions: Mapping[str, int], now: int) -> None:
    """Takes requests out of their buffers and gives them runs."""
    if rows:
        db.execute(LEAVE_BUFFER, (blobs(key for key, _ in rows),))
        values = [
            value
            for key, process in rows
            for value in (key, versions[process], "waiting", now, None)
        ]
        ADD_RUNS.run(db, values)


def collect(db: apsw.Connection, collection: Collection) -> bool:
    """See `Store.collect`."""
    members = collection.members
    keys = [run.key for run in members]
    if db.execute(HOW_MANY, (blobs(keys),)).get != len(keys):
        return False
    db.execute(LEAVE_BUFFER, (blobs(keys),))
    ADD_RUNS.run(
        db,
        [
            value
            for run in members
            for value in (run.key, run.version_id, run.status, run.ready_at, None)
        ],
    )
    append(db, collection.rows)
    move_lines_on(db, [(run.key, run.status, run.owned) for run in members])
    accept(db, [collection.acceptance])
    return True


def put_first(db: apsw.Connection, keys: Sequence[bytes], *, first: bool) -> int:
    """See `Store.put_first`."""
    rows: list[Any] = db.execute(ORDER_OF, (blobs(keys),)).fetchall()
    by_source: dict[str, list[bytes]] = {}
    for source, key in rows:
        by_source.setdefault(source, []).append(key)
    for source, own in by_source.items():
        if first:
            begin = db.execute(FIRST_PLACE, (source,)).get - len(own)
        else:
            begin = db.execute(LAST_PLACE, (source,)).get + 1
        for number, key in enumerate(own):
            db.execute(SET_PLACE, (begin + number, key))
    return len(rows)


def held(db: apsw.Connection, source: str | None) -> dict[str, HeldCount]:
    """See `Store.held`."""
    rows: Any = db.execute(COUNT_HELD) if source is None else db.execute(COUNT_HELD_BY, (source,))
    return {name: HeldCount(number, oldest) for name, number, oldest in rows}


def waiting(
    db: apsw.Connection, filter: HeldFilter, limit: int, after: tuple[int, bytes] | None
) -> list[HeldRequest]:
    """See `Store.waiting`."""
    return [HeldRequest(*row) for row in db.execute(*listed(filter, limit, after))]


def listed(
    filter: HeldFilter, limit: int, after: tuple[int, bytes] | None
) -> tuple[str, tuple[Any, ...]]:
    """The statement of `Store.waiting`, and its values."""
    index, tests = _found_by(filter)
    values: list[Any] = [filter.source]
    for test, value in (
        ("process = ?", filter.process),
        ("line = ?", filter.line),
        ("key >= ?", None if filter.since is None else key_at(filter.since)),
        ("key < ?", None if filter.until is None else key_at(filter.until)),
    ):
        if value is not None:
            tests.append(test)
            values.append(value)
    if filter.may_go:
        tests.append("is_head")
    if filter.keys is not None:
        tests.append("key IN (SELECT value FROM carray(?))")
        values.append(blobs(filter.keys))
    if after is not None:
        tests.append("(place, key) > (?, ?)")
        values += after
    # Who they are comes out of an index alone, however many are passed over; a million in 60 ms.
    # Their rows are looked up afterwards, which of a million would take ten times that.
    statement = (
        f"SELECT{_COLUMNS} FROM (SELECT key FROM held {index}"
        f" WHERE {' AND '.join(tests)} ORDER BY place, key LIMIT ?) AS page"
        f" CROSS JOIN held ON held.key = page.key{_WITH_LINE} ORDER BY place, held.key"
    )
    return statement, (*values, limit)


def _found_by(filter: HeldFilter) -> tuple[str, list[str]]:
    """The index by which those of a source are found that a filter asks for, told since no
    statistics are kept; and the first tests, which it needs.
    """
    if filter.keys is not None:
        return "", ["+source = ?"]  # by these keys, and not by the source
    if filter.line:
        return "INDEXED BY held_by_line", ["line <> ''", "source = ?"]
    if filter.may_go:
        return "INDEXED BY held_heads", ["source = ?"]
    if filter.process is not None:
        return "INDEXED BY held_by_process", ["source = ?"]
    return "INDEXED BY held_in_order", ["source = ?"]


def last_in_line(db: apsw.Connection) -> bytes | None:
    """See `Store.last_in_line`."""
    key: bytes | None = db.execute(LAST_IN_LINE).get
    return key


def requests(db: apsw.Connection, keys: Sequence[bytes]) -> list[StoredRequest]:
    """See `Store.requests`."""
    return [StoredRequest(*row) for row in db.execute(REQUESTS, (blobs(keys),))]


def expired(
    db: apsw.Connection, processes: Sequence[str], now: int, limit: int
) -> list[HeldRequest]:
    """See `Store.expired`."""
    names = msgspec.json.encode(processes).decode()
    return [HeldRequest(*row) for row in db.execute(EXPIRED, (now, names, limit))]
