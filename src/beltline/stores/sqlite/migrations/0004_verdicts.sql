-- Requests that started nothing, kept for a while to be seen. `of` is the request that one repeats,
-- `settled_as` the one that a person made of it.
CREATE TABLE verdict (
    key BLOB PRIMARY KEY,
    source TEXT NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    of BLOB,
    meta BLOB NOT NULL,
    size INTEGER,
    content_type TEXT NOT NULL,
    encoding TEXT NOT NULL,
    body BLOB,
    settled_as BLOB,
    settled_by TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_by_source ON verdict (source, key);
