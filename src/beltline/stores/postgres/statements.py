"""The statements off the hot path, each with what it is for. Those that change something are one
transaction each.
"""

from __future__ import annotations

# Nodes

JOIN = "SELECT * FROM beltline.join_1($1, $2, $3, $4, $5)"
BEAT = "SELECT * FROM beltline.beat_1($1)"
HAND_OVER = "SELECT beltline.hand_over_1($1)"

# The belt

CLAIM = "SELECT * FROM beltline.claim_1($1, $2, $3, $4, $5, $6)"
CLAIM_ONE = "SELECT beltline.claim_one_1($1, $2)"
LOAD = "SELECT * FROM beltline.load_1($1)"

# The earliest time of a sound run that nobody owns: one look at the index.
NEXT_READY_AT = (
    "SELECT ready_at FROM beltline.run WHERE owner IS NULL AND ready_at IS NOT NULL"
    " AND least(crashes, 5) = 0 ORDER BY ready_at LIMIT 1"
)

# The inbox

POST = "SELECT beltline.post_1($1, $2, $3, $4)"

# Messages for the runs of one membership.
MESSAGES_AFTER = (
    "SELECT inbox.id, inbox.run, inbox.body FROM beltline.inbox"
    " JOIN beltline.run ON run.key = inbox.run"
    " WHERE inbox.id > $1 AND run.owner = $2 ORDER BY inbox.id LIMIT $3"
)

# Buffers

RELEASE = "SELECT * FROM beltline.release_1($1, $2, $3::bigint[], $4, $5, $6, $7, $8, $9, $10, $11)"
LET_GO = "SELECT beltline.let_go_1($1, $2, $3::bigint[], $4, $5)"
COLLECT = (
    "SELECT beltline.collect_1($1, $2::bigint[], $3, $4, $5::integer[], $6,"
    " $7, $8, $9, $10, $11, $12, $13, $14, $15)"
)
PUT_FIRST = "SELECT beltline.put_first_1($1, $2)"
# The oldest is found by the keys of all: comparing a million takes a third of a second.
COUNT_HELD = (
    "SELECT source, number, oldest.key FROM (SELECT source, count(*) AS number FROM beltline.held"
    " WHERE $1::text IS NULL OR source = $1 GROUP BY source) AS counted"
    " CROSS JOIN LATERAL (SELECT key FROM beltline.held WHERE held.source = counted.source"
    " ORDER BY key LIMIT 1) AS oldest"
)
HELD = (
    "SELECT held.key, held.source, process, held.line, place, expires_at,"
    " CASE WHEN NOT is_head THEN line.head END FROM beltline.held"
    " LEFT JOIN beltline.line ON line.source = held.source AND line.line = held.line"
)
LAST_IN_LINE = "SELECT key FROM beltline.held WHERE line <> '' ORDER BY key DESC LIMIT 1"
REQUESTS = (
    "SELECT key, source, process, accepted_at, body, meta FROM beltline.request"
    " WHERE key = ANY ($1) ORDER BY key"
)
EXPIRED = f"{HELD} WHERE expires_at <= $1 AND process = ANY ($2) ORDER BY expires_at LIMIT $3"

# What all nodes share

ALLOW = "SELECT * FROM beltline.allow_1($1, $2, $3, $4)"
FIRE = "SELECT beltline.fire_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
FIRED_AT = "SELECT due_at FROM beltline.firing WHERE schedule = $1"

# Processes

_VERSION = (
    "SELECT id, process, version, format, text, hash, published_at FROM beltline.version WHERE"
)
PUBLISH = "SELECT * FROM beltline.publish_1($1, $2, $3, $4, $5)"
NEWEST_VERSION = f"{_VERSION} process = $1 ORDER BY version DESC LIMIT 1"
NUMBERED_VERSION = f"{_VERSION} process = $1 AND version = $2"
VERSION_BY_ID = f"{_VERSION} id = $1"
NEWEST_VERSIONS = (
    f"{_VERSION} (process, version) IN"
    " (SELECT process, max(version) FROM beltline.version GROUP BY process) ORDER BY process"
)

# What modules remember

VALUE = (
    "SELECT value FROM beltline.remembered WHERE space = $1 AND key = $2"
    " AND (expires_at IS NULL OR expires_at > $3)"
)
VALUES = (
    "SELECT key, value FROM beltline.remembered WHERE space = $1"
    " AND (expires_at IS NULL OR expires_at > $2)"
)
PUT_VALUE = (
    "INSERT INTO beltline.remembered (space, key, value, expires_at) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value,"
    " expires_at = excluded.expires_at"
)
# Always an update, so that the row is locked and the newest is seen: nodes ask at once.
PUT_VALUE_IF_ABSENT = (
    "INSERT INTO beltline.remembered AS r (space, key, value, expires_at) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (space, key) DO UPDATE SET"
    " value = CASE WHEN r.expires_at <= $5 THEN excluded.value ELSE r.value END,"
    " expires_at = CASE WHEN r.expires_at <= $5 THEN excluded.expires_at ELSE r.expires_at END"
    " RETURNING value"
)
DELETE_VALUE = (
    "DELETE FROM beltline.remembered WHERE space = $1 AND key = $2"
    " RETURNING expires_at IS NULL OR expires_at > $3"
)

# Expired values, the longest expired first; what another node removes right now is left to it.
PURGE_VALUES = (
    "WITH gone AS (DELETE FROM beltline.remembered WHERE (space, key) IN (SELECT space, key"
    " FROM beltline.remembered WHERE expires_at IS NOT NULL AND expires_at <= $1"
    " ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1) SELECT count(*) FROM gone"
)

# Whose an identity is.
TAKEN_BY = (
    "SELECT key, body_hash FROM beltline.identity"
    " WHERE source = $1 AND identity = $2 AND until > $3"
)

# Identities that are free again, in the same way.
PURGE_IDENTITIES = (
    "WITH gone AS (DELETE FROM beltline.identity WHERE (source, identity) IN"
    " (SELECT source, identity FROM beltline.identity WHERE until <= $1"
    " ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1) SELECT count(*) FROM gone"
)

# Who may do what, and what people set on sources

TOKENS = "SELECT hash, role, name, created_at FROM beltline.token ORDER BY created_at, hash"
ADD_ACCESS = (
    "INSERT INTO beltline.token (hash, role, name, created_at) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (hash) DO UPDATE SET role = excluded.role, name = excluded.name"
)
SOURCE_STATES = "SELECT source, state FROM beltline.source_state"
SET_SOURCE_STATE = (
    "INSERT INTO beltline.source_state (source, state) VALUES ($1, $2)"
    " ON CONFLICT (source) DO UPDATE SET state = excluded.state"
)
