"""The published versions of the processes."""

from __future__ import annotations

import hashlib
from typing import Any

import apsw

from beltline.engine.ports import NotFound
from beltline.engine.records import Format, StoredVersion

# The newest version of one process.
NEWEST = (
    "SELECT id, process, version, format, text, hash, published_at FROM version"
    " WHERE process = ? ORDER BY version DESC LIMIT 1"
)

# One version of one process.
NUMBERED = (
    "SELECT id, process, version, format, text, hash, published_at FROM version"
    " WHERE process = ? AND version = ?"
)

# The version with this id.
BY_ID = "SELECT id, process, version, format, text, hash, published_at FROM version WHERE id = ?"

# The newest of each process.
ALL_NEWEST = (
    "SELECT id, process, version, format, text, hash, published_at FROM version"
    " WHERE (process, version) IN (SELECT process, max(version) FROM version GROUP BY process)"
    " ORDER BY process"
)

# Adds a version.
ADD_VERSION = (
    "INSERT INTO version (process, version, format, text, hash, published_at)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


def publish(db: apsw.Connection, process: str, format: Format, text: str, at: int) -> StoredVersion:
    """See `Store.publish`."""
    row = db.execute(NEWEST, (process,)).fetchone()
    newest = StoredVersion(*row) if row else None
    if newest and newest.text == text:
        return newest
    number = newest.version + 1 if newest else 1
    digest = hashlib.sha256(text.encode()).hexdigest()
    db.execute(ADD_VERSION, (process, number, format, text, digest, at))
    return StoredVersion(db.last_insert_rowid(), process, number, format, text, digest, at)


def newest_versions(db: apsw.Connection) -> list[StoredVersion]:
    """See `Store.newest_versions`."""
    return [StoredVersion(*row) for row in db.execute(ALL_NEWEST)]


def version(db: apsw.Connection, process: str, number: int | None) -> StoredVersion:
    """See `Store.version`."""
    if number is None:
        row = db.execute(NEWEST, (process,)).fetchone()
    else:
        row = db.execute(NUMBERED, (process, number)).fetchone()
    return found(row, f"process {process!r} has no version {number or 'yet'}")


def version_by_id(db: apsw.Connection, id: int) -> StoredVersion:
    """See `Store.version_by_id`."""
    return found(db.execute(BY_ID, (id,)).fetchone(), f"there is no process version with id {id}")


def found(row: tuple[Any, ...] | None, otherwise: str) -> StoredVersion:
    """The version in a row. Raises `NotFound`."""
    if row is None:
        raise NotFound(otherwise)
    return StoredVersion(*row)
