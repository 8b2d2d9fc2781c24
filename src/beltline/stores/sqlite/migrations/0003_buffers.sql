-- How requests wait in their source's buffer. Of one `line` (where it has any) they go one after the
-- other: `is_head` tells which may go. What goes first is by `place`, then by key.
ALTER TABLE held RENAME TO held_before;
CREATE TABLE held (
    key BLOB PRIMARY KEY,
    source TEXT NOT NULL,
    process TEXT NOT NULL,
    line TEXT NOT NULL,
    place INTEGER NOT NULL,
    expires_at INTEGER,
    is_head INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO held
    SELECT request.key, request.source, request.process, '', request.accepted_at, NULL, 1
    FROM held_before JOIN request ON request.key = held_before.key;
DROP TABLE held_before;
CREATE INDEX held_in_order ON held (source, place, key);
CREATE INDEX held_heads ON held (source, place, key) WHERE is_head;
CREATE INDEX held_by_line ON held (source, line, key) WHERE line <> '';
CREATE INDEX held_by_expiry ON held (expires_at) WHERE expires_at IS NOT NULL;

-- Each line that is in use: the request or run that the others of it are behind.
CREATE TABLE line (
    source TEXT NOT NULL,
    line TEXT NOT NULL,
    head BLOB NOT NULL,
    passes_stopped INTEGER NOT NULL,
    PRIMARY KEY (source, line)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX line_by_head ON line (head);

-- The due time that a source's schedule reached last, and how many may still go for it.
CREATE TABLE due (
    source TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    remaining INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How long the window is that a name was last counted in.
ALTER TABLE allowance ADD COLUMN every_ms INTEGER NOT NULL DEFAULT 0;
