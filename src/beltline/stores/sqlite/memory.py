"""What modules remember, who may do what, and what people set on sources."""

from __future__ import annotations

from typing import Any

import apsw

from beltline.engine.records import NewRequest, Repeat, TokenRecord

# A value that has not expired.
VALUE = (
    "SELECT value FROM remembered WHERE space = ? AND key = ?"
    " AND (expires_at IS NULL OR expires_at > ?)"
)

# All of one space.
VALUES = (
    "SELECT key, value FROM remembered WHERE space = ? AND (expires_at IS NULL OR expires_at > ?)"
)

# Remembers a value in place of an earlier one.
PUT_VALUE = (
    "INSERT INTO remembered (space, key, value, expires_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value,"
    " expires_at = excluded.expires_at"
)

# Remembers a value unless there is one that has not expired; gives the one that is there now.
PUT_VALUE_IF_ABSENT = (
    "INSERT INTO remembered (space, key, value, expires_at) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (space, key) DO UPDATE SET"
    " value = CASE WHEN expires_at <= ?5 THEN excluded.value ELSE value END,"
    " expires_at = CASE WHEN expires_at <= ?5 THEN excluded.expires_at ELSE expires_at END"
    " RETURNING value"
)

# Forgets a value; gives when it expired or would have.
DELETE_VALUE = "DELETE FROM remembered WHERE space = ? AND key = ? RETURNING expires_at"

# Removes expired values, the longest expired first.
PURGE_VALUES = (
    "DELETE FROM remembered WHERE rowid IN (SELECT rowid FROM remembered"
    " WHERE expires_at IS NOT NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?)"
)

# Whose an identity is.
TAKEN_BY = "SELECT key, body_hash FROM identity WHERE source = ? AND identity = ? AND until > ?"

# Removes identities that are free again, the longest free first.
PURGE_IDENTITIES = (
    "DELETE FROM identity WHERE (source, identity) IN (SELECT source, identity FROM identity"
    " WHERE until <= ? ORDER BY until LIMIT ?)"
)

# All access tokens, the oldest first.
TOKENS = "SELECT hash, role, name, created_at FROM token ORDER BY created_at, hash"

# Adds an access token.
ADD_ACCESS = (
    "INSERT INTO token (hash, role, name, created_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (hash) DO UPDATE SET role = excluded.role, name = excluded.name"
)

# What people set on sources.
SOURCE_STATES = "SELECT source, state FROM source_state"

# Sets it.
SET_SOURCE_STATE = (
    "INSERT INTO source_state (source, state) VALUES (?, ?)"
    " ON CONFLICT (source) DO UPDATE SET state = excluded.state"
)


def value(db: apsw.Connection, space: str, key: str, now: int) -> bytes | None:
    """See `Store.value`."""
    row = db.execute(VALUE, (space, key, now)).fetchone()
    return row[0] if row else None


def values(db: apsw.Connection, space: str, now: int) -> dict[str, bytes]:
    """See `Store.values`."""
    rows: Any = db.execute(VALUES, (space, now)).fetchall()
    return dict(rows)


def put_value(
    db: apsw.Connection, space: str, key: str, value: bytes, expires_at: int | None
) -> None:
    """See `Store.put_value`."""
    db.execute(PUT_VALUE, (space, key, value, expires_at))


def put_value_if_absent(
    db: apsw.Connection, space: str, key: str, value: bytes, expires_at: int | None, now: int
) -> bytes:
    """See `Store.put_value_if_absent`."""
    rows: list[Any] = db.execute(
        PUT_VALUE_IF_ABSENT, (space, key, value, expires_at, now)
    ).fetchall()
    first: bytes = rows[0][0]
    return first


def delete_value(db: apsw.Connection, space: str, key: str, now: int) -> bool:
    """See `Store.delete_value`."""
    rows: list[Any] = db.execute(DELETE_VALUE, (space, key)).fetchall()
    return any(expires_at is None or expires_at > now for (expires_at,) in rows)


def purge_values(db: apsw.Connection, now: int, limit: int) -> int:
    """See `Store.purge_values`."""
    db.execute(PURGE_VALUES, (now, limit))
    return db.changes()


def repeated(db: apsw.Connection, request: NewRequest) -> Repeat | None:
    """See `Store.repeated`."""
    asked = (request.source, request.identity, request.accepted_at)
    row = db.execute(TAKEN_BY, asked).fetchone()
    return None if row is None else Repeat(row[0], row[1] == request.body_hash)


def purge_identities(db: apsw.Connection, now: int, limit: int) -> int:
    """See `Store.purge_identities`."""
    db.execute(PURGE_IDENTITIES, (now, limit))
    return db.changes()


def tokens(db: apsw.Connection) -> list[TokenRecord]:
    """See `Store.tokens`."""
    return [TokenRecord(*row) for row in db.execute(TOKENS)]


def put_token(db: apsw.Connection, token: TokenRecord) -> None:
    """See `Store.put_token`."""
    db.execute(ADD_ACCESS, (token.hash, token.role, token.name, token.created_at))


def source_state(db: apsw.Connection) -> dict[str, str]:
    """See `Store.source_state`."""
    rows: Any = db.execute(SOURCE_STATES).fetchall()
    return dict(rows)


def set_source_state(db: apsw.Connection, source: str, state: str) -> None:
    """See `Store.set_source_state`."""
    db.execute(SET_SOURCE_STATE, (source, state))
