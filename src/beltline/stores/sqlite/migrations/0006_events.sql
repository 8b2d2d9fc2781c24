-- What runs wait for from outside. Names and keys may hold any character.
CREATE TABLE awaited (
    run BLOB NOT NULL,
    step TEXT NOT NULL,
    visit INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name BLOB NOT NULL,
    key BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (run, step, visit)
) STRICT;
CREATE INDEX awaited_by_event ON awaited (name, key) WHERE kind = 'event';

-- Events from outside, by their ids. One that is still kept for a run has its body, the message.
CREATE TABLE event (
    id BLOB PRIMARY KEY,
    name BLOB NOT NULL,
    key BLOB NOT NULL,
    at INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    forget_at INTEGER NOT NULL,
    hash BLOB NOT NULL,
    runs INTEGER NOT NULL,
    body BLOB
) STRICT;
CREATE INDEX event_kept ON event (name, key, at) WHERE body IS NOT NULL;
CREATE INDEX event_by_end ON event (forget_at);
