"""What comes for a run from outside the node that moves it."""

from __future__ import annotations

import apsw

from beltline.engine.ports import NotFound
from beltline.engine.records import Message, NewMessage

# Tells whether there is such a run, and makes it ready unless it is owned.
WAKE = (
    "UPDATE run SET ready_at = CASE WHEN owner IS NULL THEN min(coalesce(ready_at, ?1), ?1)"
    " ELSE ready_at END WHERE key = ?2"
)

# Appends a message.
ADD_MESSAGE = "INSERT INTO inbox (run, at, body) VALUES (?, ?, ?)"

# Reads on from a message, of runs that are owned.
MESSAGES_AFTER = (
    "SELECT id, run, body FROM inbox CROSS JOIN run ON run.key = inbox.run"
    " WHERE id > ? AND owner IS NOT NULL ORDER BY id LIMIT ?"
)


def post(db: apsw.Connection, key: bytes, body: bytes, at: int) -> int:
    """See `Store.post`."""
    db.execute(WAKE, (at, key))
    if not db.changes():
        raise NotFound("there is no such run")
    db.execute(ADD_MESSAGE, (key, at, body))
    return db.last_insert_rowid()


def tell(db: apsw.Connection, message: NewMessage) -> None:
    """A message of one run for another, in the commit of the one."""
    db.execute(WAKE, (message.at, message.key))
    if db.changes():
        db.execute(ADD_MESSAGE, (message.key, message.at, message.body))


def messages_after(db: apsw.Connection, id: int, limit: int) -> list[Message]:
    """See `Store.messages_after`."""
    return [Message(*row) for row in db.execute(MESSAGES_AFTER, (id, limit))]
