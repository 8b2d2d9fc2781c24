-- The uses of a window that still count, and the last stamp of each name: stamps never go back.
CREATE TABLE allowance (
    name TEXT PRIMARY KEY,
    last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE allowance_use (
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    uses INTEGER NOT NULL
) STRICT;
CREATE INDEX allowance_use_by_name ON allowance_use (name, at);

-- The latest time for which each schedule fired.
CREATE TABLE firing (
    schedule TEXT PRIMARY KEY,
    due_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
