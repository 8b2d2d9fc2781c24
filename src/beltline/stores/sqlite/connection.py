"""Connections to the database file, with the settings that durability and memory rest on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from beltline.stores.errors import NotAStore, StoreUnavailable

BUSY_TIMEOUT_MS = 5_000  # how long one try waits for another process; then it is tried again
WRITER_CACHE_KIB = 16_384  # the right edges of the hot indexes, with air
READER_CACHE_KIB = 4_096
KEPT_WAL_BYTES = 67_108_864  # a write-ahead log that grew beyond this is cut when it starts anew


def create_file(path: Path) -> None:
    """Makes an empty file that only its owner may read, unless there is one.

    The log and index files beside it get the same rights from SQLite.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreUnavailable(
            f"the store {path} cannot be opened ({error.strerror}):"
            " its folder must exist and be writable"
        ) from error


def open_writer(path: Path, *, durable: bool, vfs: str | None) -> apsw.Connection:
    """The connection that writes. Raises `NotAStore` for a file that is no database.

    Every commit is synced to the disk (`synchronous=FULL`) unless `durable` is False. SQLite does
    no checkpoints by itself there: the writer does them, so that it sees their errors.
    """
    db = apsw.Connection(str(path), vfs=vfs, statementcachesize=200)
    try:
        db.set_busy_timeout(BUSY_TIMEOUT_MS)
        use_log(db, path)
        db.pragma("synchronous", "FULL" if durable else "OFF")
        db.pragma("wal_autocheckpoint", 0)
        db.pragma("cache_size", -WRITER_CACHE_KIB)
        db.pragma("journal_size_limit", KEPT_WAL_BYTES)
        set_common(db)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        db.close()
        raise NotAStore(
            f"the file {path} is not a store of the hub, or it is damaged ({error}):"
            " put a backup in its place, or give the store another path"
        ) from error
    except BaseException:
        db.close()
        raise
    return db


def use_log(db: apsw.Connection, path: Path) -> None:
    """Switches to the write-ahead log. Raises `StoreUnavailable` where that cannot be."""
    if db.pragma("journal_mode", "WAL") != "wal":
        raise StoreUnavailable(
            f"the store {path} cannot use a write-ahead log: its folder must be on a disk"
            " of this machine, not on a network"
        )


def open_reader(path: Path, *, vfs: str | None) -> apsw.Connection:
    """A connection that reads beside the writer."""
    db = apsw.Connection(str(path), vfs=vfs, statementcachesize=100)
    db.set_busy_timeout(BUSY_TIMEOUT_MS)
    db.pragma("cache_size", -READER_CACHE_KIB)
    db.pragma("query_only", True)
    set_common(db)
    return db


def set_common(db: apsw.Connection) -> None:
    """What every connection has.

    Memory maps stay off: a failed read of one kills the process. Automatic indexes stay off: every
    statement has its index, and the planner, which cannot know how short a list of rows is, would
    else scan a table of a million rows to save the looking up of some hundred.
    """
    db.pragma("automatic_index", False)
    db.pragma("foreign_keys", False)
    db.pragma("mmap_size", 0)
    db.pragma("temp_store", "MEMORY")
    db.pragma("trusted_schema", False)


@contextmanager
def snapshot(db: apsw.Connection) -> Iterator[None]:
    """Everything read inside is as of one moment."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:  # an error may have ended it
            db.execute("ROLLBACK")


def make_durable(db: apsw.Connection) -> None:
    """Syncs what an earlier process wrote and may not have synced before it ended.

    Otherwise this process could act on decisions that a power loss takes back.
    """
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def sync_folder(path: Path) -> None:
    """Makes the name of the file at `path` survive a power loss."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
