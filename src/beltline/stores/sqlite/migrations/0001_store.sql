-- The first shape of the store. Times are Unix milliseconds; a `key` is a UUIDv7 as 16 bytes, so
-- that keys rise with time and the indexes of the hot tables grow at their right edge.
-- The hot tables are plain row tables that are only appended to, each with one unique index:
-- measured, they cost less per step than tables clustered by their key.

-- What came in; never changed afterwards.
CREATE TABLE request (
    key BLOB NOT NULL,
    source TEXT NOT NULL,
    process TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    meta BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX request_by_key ON request (key);

-- Whose identity is taken, and until when.
CREATE TABLE identity (
    source TEXT NOT NULL,
    identity TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    until INTEGER NOT NULL,
    key BLOB NOT NULL,
    body_hash BLOB NOT NULL,
    PRIMARY KEY (source, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_by_until ON identity (until);

-- Requests that wait in their source's buffer and have no run.
CREATE TABLE held (
    source TEXT NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;

-- A narrow row per run, for finding and scheduling; its state is the fold of its journal.
-- `owner` is the node that moves it, `epoch` fences the commits of nodes that share a store.
CREATE TABLE run (
    key BLOB NOT NULL,
    version_id INTEGER NOT NULL,
    status TEXT NOT NULL,
    ready_at INTEGER,
    owner INTEGER,
    epoch INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX run_by_key ON run (key);
CREATE INDEX run_ready ON run (crashes, ready_at) WHERE owner IS NULL AND ready_at IS NOT NULL;
CREATE INDEX run_owned ON run (owner) WHERE owner IS NOT NULL;
CREATE INDEX run_stopped ON run (key) WHERE status = 'stopped';

-- The decisions; `seq` is the number of the first event of the row.
CREATE TABLE journal (
    run BLOB NOT NULL,
    seq INTEGER NOT NULL,
    entry BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_by_run ON journal (run, seq);

-- What came for a run from outside its node. An id is never given twice.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run BLOB NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX inbox_by_run ON inbox (run);

-- The published versions of the processes.
CREATE TABLE version (
    id INTEGER PRIMARY KEY,
    process TEXT NOT NULL,
    version INTEGER NOT NULL,
    format TEXT NOT NULL,
    text TEXT NOT NULL,
    hash TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    UNIQUE (process, version)
) STRICT;

-- What modules remember.
CREATE TABLE remembered (
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    expires_at INTEGER
) STRICT;
CREATE UNIQUE INDEX remembered_by_key ON remembered (space, key);
CREATE INDEX remembered_by_expiry ON remembered (expires_at) WHERE expires_at IS NOT NULL;

-- Access tokens: their SHA-256, never the token.
CREATE TABLE token (
    hash BLOB PRIMARY KEY,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What people set on sources.
CREATE TABLE source_state (
    source TEXT PRIMARY KEY,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
