-- The first shape of the store. Times are Unix milliseconds, but for those of the node's lease, which
-- this server's clock alone decides. A `key` is a UUIDv7, so that keys rise with time: what is only
-- appended to is partitioned by ranges of keys, and goes, a range of time at once, by dropping its
-- partitions. What is not covered by a partition lies in the default ones.
-- Every operation is one call of one function, so that no lock outlives a node that is paused. The
-- number in a function's name is that of the migration that made it: versions of the hub that run
-- side by side each call their own.

-- What came in; never changed afterwards.
CREATE TABLE beltline.request (
    key uuid NOT NULL,
    source text NOT NULL,
    process text NOT NULL,
    accepted_at bigint NOT NULL,
    body bytea NOT NULL,
    meta bytea NOT NULL,
    PRIMARY KEY (key)
) PARTITION BY RANGE (key);
CREATE INDEX request_by_process ON beltline.request (process, key);
CREATE INDEX request_by_source ON beltline.request (source, key);
CREATE TABLE beltline.request_default PARTITION OF beltline.request DEFAULT;

-- The decisions; `seq` is the number of the first event of the row.
CREATE TABLE beltline.journal (
    run uuid NOT NULL,
    seq integer NOT NULL,
    entry bytea NOT NULL,
    PRIMARY KEY (run, seq)
) PARTITION BY RANGE (run);
CREATE TABLE beltline.journal_default PARTITION OF beltline.journal DEFAULT;

-- Runs that have ended and wait for nothing.
CREATE TABLE beltline.finished (
    key uuid NOT NULL,
    version_id bigint NOT NULL,
    status text NOT NULL,
    PRIMARY KEY (key)
) PARTITION BY RANGE (key);
CREATE INDEX finished_cancelled ON beltline.finished (key) WHERE status = 'cancelled';
CREATE TABLE beltline.finished_default PARTITION OF beltline.finished DEFAULT;

-- A narrow row for each run that has not ended, for finding and scheduling; its state is the fold of
-- its journal. `owner` is the membership of the node that moves it, `claim` the number of the claim
-- that took it. Its rows come and go with the runs, so it is vacuumed early and at full speed.
CREATE TABLE beltline.run (
    key uuid NOT NULL,
    version_id bigint NOT NULL,
    status text NOT NULL,
    ready_at bigint,
    owner bigint,
    claim bigint NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    PRIMARY KEY (key)
) WITH (
    fillfactor = 85,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.1
);
CREATE INDEX run_ready ON beltline.run (least(crashes, 5), ready_at, key)
    WHERE owner IS NULL AND ready_at IS NOT NULL;
CREATE INDEX run_owned ON beltline.run (owner) WHERE owner IS NOT NULL;
CREATE INDEX run_by_status ON beltline.run (status, key);

-- Every run, for those that look for one.
CREATE VIEW beltline.any_run AS
    SELECT key, version_id, status, ready_at, owner, crashes FROM beltline.run
    UNION ALL
    SELECT key, version_id, status, NULL::bigint, NULL::bigint, 0 FROM beltline.finished;

-- The memberships of nodes. `commits` and `claims` number what each did, so that what is asked again
-- after its answer was lost happens once.
CREATE TABLE beltline.node (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    schema_version integer NOT NULL,
    lease_ms bigint NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL,
    ended_at timestamptz,
    commits bigint NOT NULL DEFAULT 0
) WITH (
    fillfactor = 10,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);

-- How many claims each membership made; apart, so that a claim holds up no commit.
CREATE TABLE beltline.node_claims (
    node bigint PRIMARY KEY,
    claims bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

-- Requests that wait in their source's buffer and have no run. Of one `line` (where it has any; it may
-- hold any character, which text may not) they go one after the other: `is_head` tells which may go.
-- What goes first is by `place`, then by key.
CREATE TABLE beltline.held (
    key uuid PRIMARY KEY,
    source text NOT NULL,
    process text NOT NULL,
    line bytea NOT NULL,
    place bigint NOT NULL,
    expires_at bigint,
    is_head boolean NOT NULL
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX held_in_order ON beltline.held (source, place, key);
CREATE INDEX held_by_process ON beltline.held (source, process, place, key);
CREATE INDEX held_heads ON beltline.held (source, place, key) WHERE is_head;
CREATE INDEX held_by_line ON beltline.held (source, line, key) WHERE line <> '';
CREATE INDEX held_by_expiry ON beltline.held (expires_at) WHERE expires_at IS NOT NULL;

-- Each line that is in use: the request or run that the others of it are behind. Who adds to a line
-- or moves it on holds its row.
CREATE TABLE beltline.line (
    source text NOT NULL,
    line bytea NOT NULL,
    head uuid NOT NULL,
    passes_stopped boolean NOT NULL,
    PRIMARY KEY (source, line)
) WITH (
    fillfactor = 70, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02
);
CREATE INDEX line_by_head ON beltline.line (head);

-- The due time that a source's schedule reached last, and how many may still go for it.
CREATE TABLE beltline.due (
    source text PRIMARY KEY,
    at bigint NOT NULL,
    remaining bigint NOT NULL
);

-- Whose identity is taken, and until when. An identity may hold any character, which text may not.
CREATE TABLE beltline.identity (
    source text NOT NULL,
    identity bytea NOT NULL,
    until bigint NOT NULL,
    key uuid NOT NULL,
    body_hash bytea NOT NULL,
    PRIMARY KEY (source, identity)
) WITH (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX identity_by_until ON beltline.identity (until);

-- What came for a run from outside its node.
CREATE TABLE beltline.inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token uuid NOT NULL UNIQUE,
    run uuid NOT NULL,
    at bigint NOT NULL,
    body bytea NOT NULL
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX inbox_by_run ON beltline.inbox (run);

-- The uses of a window that still count. `allowance` has one row a name, to be locked, with the
-- length of the window that it was last counted in.
CREATE TABLE beltline.allowance (
    name text PRIMARY KEY,
    last_at bigint NOT NULL,
    every_ms bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
CREATE TABLE beltline.allowance_use (
    name text NOT NULL,
    at bigint NOT NULL,
    uses integer NOT NULL
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX allowance_use_by_name ON beltline.allowance_use (name, at);

-- The latest time for which each schedule fired.
CREATE TABLE beltline.firing (
    schedule text PRIMARY KEY,
    due_at bigint NOT NULL
);

-- The published versions of the processes.
CREATE TABLE beltline.version (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    process text NOT NULL,
    version integer NOT NULL,
    format text NOT NULL,
    text text NOT NULL,
    hash text NOT NULL,
    published_at bigint NOT NULL,
    UNIQUE (process, version)
);

-- What modules remember.
CREATE TABLE beltline.remembered (
    space bytea NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    expires_at bigint,
    PRIMARY KEY (space, key)
) WITH (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX remembered_by_expiry ON beltline.remembered (expires_at)
    WHERE expires_at IS NOT NULL;

-- Access tokens: their SHA-256, never the token.
CREATE TABLE beltline.token (
    hash bytea PRIMARY KEY,
    role text NOT NULL,
    name text NOT NULL,
    created_at bigint NOT NULL
);

-- What people set on sources.
CREATE TABLE beltline.source_state (
    source text PRIMARY KEY,
    state text NOT NULL
);

-- Requests that started nothing, kept for a while to be seen. `of` is the request that one repeats,
-- `settled_as` the one that a person made of it.
CREATE TABLE beltline.verdict (
    key uuid PRIMARY KEY,
    source text NOT NULL,
    outcome text NOT NULL,
    status integer NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL,
    of uuid,
    meta bytea NOT NULL,
    size bigint,
    content_type text NOT NULL,
    encoding text NOT NULL,
    body bytea,
    settled_as uuid,
    settled_by text NOT NULL
);
CREATE INDEX verdict_by_source ON beltline.verdict (source, key);

-- The time of all nodes.
CREATE FUNCTION beltline.now_ms() RETURNS bigint LANGUAGE sql VOLATILE
RETURN floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- Wakes the nodes that listen.
CREATE FUNCTION beltline.wake() RETURNS void LANGUAGE sql
RETURN pg_notify('beltline', '');

-- Whether a run is of those that wait for nothing.
CREATE FUNCTION beltline.has_ended(status text, ready_at bigint, owned boolean) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN status IN ('completed', 'cancelled') AND ready_at IS NULL AND NOT owned;

-- Ends memberships whose nodes are silent for longer than their lease, and `also`; gives their runs
-- back, each with one crash more. A lease does not run while the server itself is down. What a
-- silent node still has under way holds a lock on its row: it is left to the next beat then.
CREATE FUNCTION beltline.recover_1(also bigint, but_not bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    gone bigint[];
    recovered bigint;
BEGIN
    IF NOT EXISTS (
        SELECT FROM beltline.node
        WHERE ended_at IS NULL AND id IS DISTINCT FROM but_not
            AND (id = also OR lease_until < clock_timestamp())
    ) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(id) INTO gone FROM (
        SELECT id FROM beltline.node
        WHERE ended_at IS NULL AND id IS DISTINCT FROM but_not AND (
            id = also
            OR greatest(lease_until, pg_postmaster_start_time() + lease_ms * interval '1 ms')
                < clock_timestamp()
        )
        FOR UPDATE SKIP LOCKED
    ) AS silent;
    UPDATE beltline.node SET ended_at = clock_timestamp() WHERE id = ANY (gone);
    -- What a window let go and was perhaps not called for (at most its start was decided) goes now.
    IF EXISTS (SELECT FROM beltline.allowance WHERE name LIKE 'release %') THEN
        INSERT INTO beltline.allowance_use (name, at, uses)
            SELECT allowance.name, greatest(allowance.last_at, beltline.now_ms()), count(*)
            FROM beltline.run
            JOIN beltline.request ON request.key = run.key
            JOIN beltline.allowance ON allowance.name = 'release ' || request.source
            WHERE run.owner = ANY (gone) AND (
                SELECT count(*) FROM (
                    SELECT FROM beltline.journal WHERE journal.run = run.key LIMIT 2
                ) AS decided
            ) < 2
            GROUP BY allowance.name;
    END IF;
    UPDATE beltline.run SET owner = NULL, ready_at = 0, crashes = crashes + 1
        WHERE owner = ANY (gone);
    GET DIAGNOSTICS recovered = ROW_COUNT;
    -- Memberships that ended long ago are of no use to anyone.
    DELETE FROM beltline.node_claims WHERE node = ANY (gone);
    DELETE FROM beltline.node WHERE ended_at < clock_timestamp() - interval '7 days';
    IF recovered > 0 THEN
        PERFORM beltline.wake();
    END IF;
    RETURN recovered;
END $$;

-- A new membership, in the place of `before`; gives its id and what was recovered.
CREATE FUNCTION beltline.join_1(
    before bigint, its_name text, its_version text, its_schema integer, its_lease_ms bigint
) RETURNS TABLE (id bigint, recovered bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- A contraction of the schema waits for this, or this for it: see schema.py.
    PERFORM pg_advisory_xact_lock_shared(hashtext('beltline migrations'));
    IF EXISTS (
        SELECT FROM beltline.migration WHERE phase = 'contract' AND number > its_schema
    ) THEN
        RAISE EXCEPTION 'the database no longer carries hubs that know version % of its schema',
            its_schema USING ERRCODE = 'BL003';
    END IF;
    recovered := beltline.recover_1(before, NULL);
    INSERT INTO beltline.node (name, version, schema_version, lease_ms, lease_until)
        VALUES (its_name, its_version, its_schema, its_lease_ms,
            clock_timestamp() + its_lease_ms * interval '1 ms')
        RETURNING node.id INTO join_1.id;
    INSERT INTO beltline.node_claims (node) VALUES (join_1.id);
    RETURN NEXT;
END $$;

-- The node lives; looks after those that do not. One that was silent for longer than its own lease,
-- and that nobody ended, was not the only one: the database was away (a failover, say). The others
-- are given the time until its next beat.
CREATE FUNCTION beltline.beat_1(me bigint) RETURNS TABLE (
    now_ms bigint, recovered bigint, has_suspects boolean
) LANGUAGE plpgsql AS $$
DECLARE
    was_silent boolean;
BEGIN
    SELECT lease_until < clock_timestamp() INTO was_silent FROM beltline.node WHERE id = me;
    UPDATE beltline.node SET lease_until = clock_timestamp() + lease_ms * interval '1 ms'
        WHERE id = me AND ended_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the membership % has ended', me USING ERRCODE = 'BL001';
    END IF;
    recovered := CASE WHEN was_silent THEN 0 ELSE beltline.recover_1(NULL, me) END;
    has_suspects := EXISTS (
        SELECT FROM beltline.run
        WHERE owner IS NULL AND ready_at IS NOT NULL AND least(crashes, 5) IN (1, 2, 3, 4, 5)
    );
    now_ms := beltline.now_ms();
    RETURN NEXT;
END $$;

-- The node leaves.
CREATE FUNCTION beltline.hand_over_1(me bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    handed_over bigint;
BEGIN
    PERFORM FROM beltline.node WHERE id = me FOR UPDATE;
    UPDATE beltline.node SET ended_at = clock_timestamp() WHERE id = me AND ended_at IS NULL;
    UPDATE beltline.run SET owner = NULL, ready_at = 0 WHERE owner = me;
    GET DIAGNOSTICS handed_over = ROW_COUNT;
    DELETE FROM beltline.node_claims WHERE node = me;
    IF handed_over > 0 THEN
        PERFORM beltline.wake();
    END IF;
    RETURN handed_over;
END $$;

-- Puts requests into their buffers. The rows of their lines are locked first, so that whoever moves one
-- of these on sees what was added.
CREATE FUNCTION beltline.hold_1(
    h_key uuid[], h_source text[], h_process text[], h_line bytea[], h_passes_stopped boolean[],
    h_place bigint[], h_expires_at bigint[], but_not uuid[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO beltline.line (source, line, head, passes_stopped)
        SELECT DISTINCT ON (source, line) source, line, key, passes_stopped
        FROM unnest(h_key, h_source, h_line, h_passes_stopped)
            AS asked (key, source, line, passes_stopped)
        WHERE line <> '' AND key <> ALL (but_not)
        ORDER BY source, line, key
        ON CONFLICT (source, line) DO UPDATE SET passes_stopped = excluded.passes_stopped;
    INSERT INTO beltline.held (key, source, process, line, place, expires_at, is_head)
        SELECT key, source, process, line, place, expires_at, line = '' OR EXISTS (
            SELECT FROM beltline.line WHERE line.source = asked.source
                AND line.line = asked.line AND line.head = asked.key
        )
        FROM unnest(h_key, h_source, h_process, h_line, h_place, h_expires_at)
            AS asked (key, source, process, line, place, expires_at)
        WHERE key <> ALL (but_not);
END $$;

-- Lets the next of each line go whose head is among the ended runs, or the stopped ones where these are
-- passed. The row of a line is locked first, and what is behind its head looked for after that.
CREATE FUNCTION beltline.move_lines_on_1(ended uuid[], stopped uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    moved record;
    following uuid;
BEGIN
    FOR moved IN
        SELECT source, line FROM beltline.line
        WHERE head = ANY (ended) OR (passes_stopped AND head = ANY (stopped))
        ORDER BY source, line FOR UPDATE
    LOOP
        SELECT key INTO following FROM beltline.held
            WHERE held.source = moved.source AND held.line = moved.line AND held.line <> ''
            ORDER BY key LIMIT 1;
        IF FOUND THEN
            UPDATE beltline.held SET is_head = true WHERE key = following;
            UPDATE beltline.line SET head = following
                WHERE line.source = moved.source AND line.line = moved.line;
        ELSE
            DELETE FROM beltline.line
                WHERE line.source = moved.source AND line.line = moved.line;
        END IF;
    END LOOP;
END $$;

-- What one batch of the belt writes: the hot path. `r_`: requests, `h_`: those that are held, `i_`: their
-- identities (sorted, so that two nodes never wait for each other), `s_`: started runs, `j_`: journal rows, `c_`: changes
-- of runs, `done`: messages. Gives the requests that were refused since their identity is taken.
-- The first statement is the fence: it locks the node's row, so a takeover comes before or after.
CREATE FUNCTION beltline.commit_1(
    me bigint, number bigint,
    r_key uuid[], r_source text[], r_process text[], r_accepted_at bigint[],
    r_body bytea[], r_meta bytea[],
    h_key uuid[], h_source text[], h_process text[], h_line bytea[], h_passes_stopped boolean[],
    h_place bigint[], h_expires_at bigint[],
    i_key uuid[], i_source text[], i_identity bytea[], i_accepted_at bigint[], i_until bigint[],
    i_body_hash bytea[], i_one_by_one boolean,
    s_key uuid[], s_version_id bigint[], s_status text[], s_ready_at bigint[], s_owned boolean[],
    j_run uuid[], j_seq integer[], j_entry bytea[],
    c_key uuid[], c_status text[], c_ready_at bigint[], c_owned boolean[],
    done bigint[]
) RETURNS TABLE (refused uuid, first uuid, same_body boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    committed bigint;
    turned_away uuid[] := '{}';
    changed bigint := 0;
    counted bigint;
    expected bigint;
BEGIN
    UPDATE beltline.node SET commits = number
        WHERE id = me AND commits = number - 1 AND ended_at IS NULL;
    IF NOT FOUND THEN
        SELECT commits INTO committed FROM beltline.node WHERE id = me;
        IF committed IS NULL OR committed < number THEN
            RAISE EXCEPTION 'the membership % has ended', me USING ERRCODE = 'BL001';
        END IF;
        -- It happened, and its answer was lost. Something is written all the same: a standby may
        -- not have the first yet, and only who writes waits for it.
        UPDATE beltline.node SET commits = commits WHERE id = me;
        RETURN QUERY
            SELECT asked.key, taken.key, taken.body_hash = asked.body_hash
            FROM unnest(i_key, i_source, i_identity, i_body_hash)
                AS asked (key, source, identity, body_hash)
            JOIN beltline.identity AS taken
                ON taken.source = asked.source AND taken.identity = asked.identity
            WHERE taken.key <> asked.key
                AND NOT EXISTS (SELECT FROM beltline.request WHERE request.key = asked.key);
        RETURN;
    END IF;

    IF cardinality(i_key) > 0 THEN
        -- Of two under one identity the second meets the first, so these are asked one by one.
        FOR place IN 1 .. CASE WHEN i_one_by_one THEN cardinality(i_key) ELSE 1 END LOOP
            INSERT INTO beltline.identity AS taken (source, identity, until, key, body_hash)
                SELECT asked.source, asked.identity, asked.until, asked.key, asked.body_hash
                FROM unnest(i_key, i_source, i_identity, i_accepted_at, i_until, i_body_hash)
                    WITH ORDINALITY
                    AS asked (key, source, identity, accepted_at, until, body_hash, number)
                WHERE NOT i_one_by_one OR asked.number = place
                ORDER BY asked.number
                ON CONFLICT (source, identity) DO UPDATE
                    SET until = excluded.until, key = excluded.key,
                        body_hash = excluded.body_hash
                    WHERE taken.until <= i_accepted_at[array_position(i_key, excluded.key)];
            FOR refused, first, same_body IN
                SELECT asked.key, taken.key, taken.body_hash = asked.body_hash
                FROM unnest(i_key, i_source, i_identity, i_body_hash)
                    WITH ORDINALITY AS asked (key, source, identity, body_hash, number)
                JOIN beltline.identity AS taken
                    ON taken.source = asked.source AND taken.identity = asked.identity
                WHERE taken.key <> asked.key AND (NOT i_one_by_one OR asked.number = place)
            LOOP
                turned_away := turned_away || refused;
                RETURN NEXT;
            END LOOP;
        END LOOP;
    END IF;

    IF cardinality(r_key) > 0 THEN
        INSERT INTO beltline.request (key, source, process, accepted_at, body, meta)
            SELECT key, source, process, accepted_at, body, meta
            FROM unnest(r_key, r_source, r_process, r_accepted_at, r_body, r_meta)
                AS asked (key, source, process, accepted_at, body, meta)
            WHERE key <> ALL (turned_away);
    END IF;
    IF cardinality(h_key) > 0 THEN
        PERFORM beltline.hold_1(h_key, h_source, h_process, h_line, h_passes_stopped, h_place,
            h_expires_at, turned_away);
    END IF;
    IF cardinality(s_key) > 0 THEN
        INSERT INTO beltline.finished (key, version_id, status)
            SELECT key, version_id, status
            FROM unnest(s_key, s_version_id, s_status, s_ready_at, s_owned)
                AS started (key, version_id, status, ready_at, owned)
            WHERE beltline.has_ended(status, ready_at, owned) AND key <> ALL (turned_away);
        INSERT INTO beltline.run (key, version_id, status, ready_at, owner)
            SELECT key, version_id, status, ready_at, CASE WHEN owned THEN me END
            FROM unnest(s_key, s_version_id, s_status, s_ready_at, s_owned)
                AS started (key, version_id, status, ready_at, owned)
            WHERE NOT beltline.has_ended(status, ready_at, owned) AND key <> ALL (turned_away);
    END IF;
    IF cardinality(j_run) > 0 THEN
        INSERT INTO beltline.journal (run, seq, entry)
            SELECT run, seq, entry FROM unnest(j_run, j_seq, j_entry) AS decided (run, seq, entry)
            WHERE run <> ALL (turned_away);
    END IF;
    IF cardinality(done) > 0 THEN
        DELETE FROM beltline.inbox WHERE id = ANY (done);
    END IF;

    IF cardinality(c_key) > 0 THEN
        -- What has ended, by the one test for it, moves to `finished`; all else is changed in place.
        -- The owner is compared in a way that no index serves: by its own index every change would
        -- look through all runs of the node.
        UPDATE beltline.run
            SET status = change.status, ready_at = change.ready_at, crashes = 0,
                owner = CASE WHEN change.owned THEN me END
            FROM unnest(c_key, c_status, c_ready_at, c_owned)
                AS change (key, status, ready_at, owned)
            WHERE run.key = change.key AND run.owner IS NOT DISTINCT FROM me AND change.key <> ALL (turned_away)
                AND NOT beltline.has_ended(change.status, change.ready_at, change.owned);
        GET DIAGNOSTICS changed = ROW_COUNT;
        WITH gone AS (
            DELETE FROM beltline.run
            USING unnest(c_key, c_status, c_ready_at, c_owned)
                AS change (key, status, ready_at, owned)
            WHERE run.key = change.key AND run.owner IS NOT DISTINCT FROM me AND change.key <> ALL (turned_away)
                AND beltline.has_ended(change.status, change.ready_at, change.owned)
            RETURNING run.key, run.version_id, change.status
        )
        INSERT INTO beltline.finished (key, version_id, status)
            SELECT key, version_id, status FROM gone;
        GET DIAGNOSTICS counted = ROW_COUNT;
        changed := changed + counted;
        expected := cardinality(c_key);
        IF cardinality(turned_away) > 0 THEN
            SELECT count(*) INTO expected FROM unnest(c_key) AS change (key)
                WHERE key <> ALL (turned_away);
        END IF;
        IF changed <> expected THEN
            RAISE EXCEPTION '% runs were decided on that this node does not own',
                expected - changed USING ERRCODE = 'BL002';
        END IF;
        -- Looked at after the runs are let go of: a message that was posted before that is seen
        -- here, one that comes after it finds a run that nobody owns.
        IF EXISTS (SELECT FROM beltline.inbox) THEN
            UPDATE beltline.run SET ready_at = 0
                WHERE key = ANY (c_key) AND owner IS NULL
                    AND EXISTS (SELECT FROM beltline.inbox WHERE inbox.run = run.key);
            WITH back AS (
                DELETE FROM beltline.finished USING beltline.inbox
                WHERE finished.key = inbox.run AND finished.key = ANY (c_key)
                RETURNING finished.key, finished.version_id, finished.status
            )
            INSERT INTO beltline.run (key, version_id, status, ready_at)
                SELECT DISTINCT key, version_id, status, 0 FROM back;
        END IF;
        IF EXISTS (SELECT FROM beltline.line) THEN
            PERFORM beltline.move_lines_on_1(
                (SELECT array_agg(key) FROM unnest(c_key, c_status, c_owned)
                    AS change (key, status, owned)
                    WHERE status IN ('completed', 'cancelled') AND NOT owned),
                (SELECT array_agg(key) FROM unnest(c_key, c_status) AS change (key, status)
                    WHERE status = 'stopped'));
        END IF;
    END IF;
END $$;

-- What open runs are folded from, in the order of `keys`, of which `first` is the least and `last` the
-- greatest: so bounded, partitions without any of them are not opened. It becomes part of the query
-- that calls it, and gives one run after the other: who stops fetching reads no further. OFFSET 0
-- keeps the look-ups apart, so that no plan reads the runs in another order.
CREATE FUNCTION beltline.loaded_1(keys uuid[], first uuid, last uuid) RETURNS TABLE (
    key uuid, version_id bigint, crashes integer, body bytea, meta bytea,
    entries bytea[], message_ids bigint[], message_bodies bytea[], bytes bigint
)
LANGUAGE sql STABLE AS $$
    SELECT asked.key, run.version_id, run.crashes, request.body, request.meta,
        decided.entries, waiting.ids, waiting.bodies,
        octet_length(request.body) + octet_length(request.meta) + coalesce(decided.bytes, 0)
    FROM unnest(keys) AS asked (key)
    CROSS JOIN LATERAL (
        SELECT run.version_id, run.crashes FROM beltline.run WHERE run.key = asked.key OFFSET 0
    ) AS run
    CROSS JOIN LATERAL (
        SELECT request.body, request.meta FROM beltline.request
        WHERE request.key = asked.key AND request.key BETWEEN first AND last OFFSET 0
    ) AS request
    CROSS JOIN LATERAL (
        SELECT array_agg(entry ORDER BY seq) AS entries, sum(octet_length(entry)) AS bytes
        FROM beltline.journal WHERE journal.run = asked.key AND journal.run BETWEEN first AND last
    ) AS decided
    CROSS JOIN LATERAL (
        SELECT array_agg(id ORDER BY id) AS ids, array_agg(inbox.body ORDER BY id) AS bodies
        FROM beltline.inbox WHERE inbox.run = asked.key
    ) AS waiting
$$;

-- Runs that are open, with all that their state is folded from, in the order of `keys`. Planned once
-- for each connection: for every call anew, planning over the partitions would take most of the time.
CREATE FUNCTION beltline.load_1(keys uuid[]) RETURNS TABLE (
    key uuid, version_id bigint, crashes integer, body bytea, meta bytea,
    entries bytea[], message_ids bigint[], message_bodies bytea[]
)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    sorted uuid[];
BEGIN
    SELECT array_agg(asked.key ORDER BY asked.key) INTO sorted FROM unnest(keys) AS asked (key);
    RETURN QUERY SELECT key, version_id, crashes, body, meta, entries, message_ids, message_bodies
        FROM beltline.loaded_1(keys, sorted[1], sorted[cardinality(sorted)]);
END $$;

-- Takes runs that are ready, the earliest first, as far as they fit. Gives them in that order, with all
-- that their state is folded from, and a row without a key at the end if others are left. What claim
-- `number` took before is given again when it is repeated.
-- Runs are locked in a statement that reads no partitioned table: PostgreSQL 18.4 crashes where one
-- statement reads such tables and locks rows that change meanwhile (EvalPlanQual beside pruning).
CREATE FUNCTION beltline.claim_1(
    me bigint, number bigint, at_ms bigint, most integer, crash_count integer, max_bytes bigint
) RETURNS TABLE (
    key uuid, version_id bigint, crashes integer, body bytea, meta bytea,
    entries bytea[], message_ids bigint[], message_bodies bytea[]
)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    candidates uuid[];
    sorted uuid[];
    taken uuid[] := '{}';
    bytes bigint;
    taken_bytes bigint := 0;
    runs NO SCROLL CURSOR FOR SELECT *
        FROM beltline.loaded_1(candidates[:most], sorted[1], sorted[cardinality(sorted)]);
BEGIN
    PERFORM FROM beltline.node WHERE id = me AND ended_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the membership % has ended', me USING ERRCODE = 'BL001';
    END IF;
    UPDATE beltline.node_claims SET claims = number WHERE node = me AND claims = number - 1;
    IF NOT FOUND THEN
        SELECT array_agg(run.key ORDER BY run.ready_at, run.key) INTO candidates FROM beltline.run
            WHERE run.owner = me AND run.claim = number;
        IF cardinality(candidates) > 0 THEN
            RETURN QUERY SELECT * FROM beltline.load_1(candidates);
            RETURN NEXT;  -- others may be left: the next claim tells
        END IF;
        RETURN;
    END IF;
    SELECT array_agg(ready.key ORDER BY ready.ready_at, ready.key),
            array_agg(ready.key ORDER BY ready.key)
        INTO candidates, sorted
        FROM (
            SELECT run.key, run.ready_at FROM beltline.run
            WHERE run.owner IS NULL AND run.ready_at IS NOT NULL
                AND least(run.crashes, 5) = crash_count AND run.ready_at <= at_ms
            ORDER BY run.ready_at, run.key
            LIMIT most + 1
            FOR UPDATE SKIP LOCKED
        ) AS ready;
    OPEN runs;
    LOOP
        FETCH runs INTO key, version_id, crashes, body, meta,
            entries, message_ids, message_bodies, bytes;
        EXIT WHEN NOT FOUND;
        taken_bytes := taken_bytes + bytes;
        EXIT WHEN taken_bytes > max_bytes AND cardinality(taken) > 0;
        taken := taken || key;
        RETURN NEXT;
    END LOOP;
    CLOSE runs;
    UPDATE beltline.run SET owner = me, claim = number WHERE run.key = ANY (taken);
    IF cardinality(taken) < cardinality(candidates) THEN
        key := NULL; body := NULL; meta := NULL; entries := NULL; message_bodies := NULL;
        RETURN NEXT;
    END IF;
END $$;

-- Takes one run whatever its time, also one that has ended; tells whether it was there and free.
CREATE FUNCTION beltline.claim_one_1(me bigint, which uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM beltline.node WHERE id = me AND ended_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the membership % has ended', me USING ERRCODE = 'BL001';
    END IF;
    LOOP
        -- No claim took it, so none that is asked again gives it once more.
        UPDATE beltline.run SET owner = me, claim = 0 WHERE key = which AND owner IS NULL;
        IF FOUND THEN
            RETURN true;
        END IF;
        WITH back AS (
            DELETE FROM beltline.finished WHERE key = which RETURNING key, version_id, status
        )
        INSERT INTO beltline.run (key, version_id, status, owner)
            SELECT key, version_id, status, me FROM back;
        IF FOUND THEN
            RETURN true;
        END IF;
        -- Between the two looks a message may have brought it back.
        IF NOT EXISTS (SELECT FROM beltline.run WHERE key = which AND owner IS NULL) THEN
            RETURN false;
        END IF;
    END LOOP;
END $$;

-- Appends a message and makes the run ready unless it is owned; a run that has ended is looked at
-- once more. Gives the message's id, also when it was posted before under the same token.
CREATE FUNCTION beltline.post_1(its_token uuid, which uuid, its_body bytea, at_ms bigint)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    posted bigint;
BEGIN
    LOOP
        UPDATE beltline.run SET ready_at =
            CASE WHEN owner IS NULL THEN least(coalesce(ready_at, at_ms), at_ms) ELSE ready_at END
            WHERE key = which;
        EXIT WHEN FOUND;
        WITH back AS (
            DELETE FROM beltline.finished WHERE key = which RETURNING key, version_id, status
        )
        INSERT INTO beltline.run (key, version_id, status, ready_at)
            SELECT key, version_id, status, at_ms FROM back;
        EXIT WHEN FOUND;
        -- Between the two looks another message may have brought it back.
        IF NOT EXISTS (SELECT FROM beltline.any_run WHERE key = which) THEN
            RETURN NULL;
        END IF;
    END LOOP;
    SELECT id INTO posted FROM beltline.inbox WHERE token = its_token;
    IF NOT FOUND THEN
        INSERT INTO beltline.inbox (token, run, at, body)
            VALUES (its_token, which, at_ms, its_body) RETURNING id INTO posted;
        PERFORM beltline.wake();
    END IF;
    RETURN posted;
END $$;

-- How many uses a window has left now. Its row is locked from here to the commit; stamps never go back.
CREATE FUNCTION beltline.room_1(
    its_name text, at_most integer, its_every_ms bigint, OUT remaining integer, OUT at bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO beltline.allowance (name, last_at, every_ms) VALUES (its_name, 0, its_every_ms)
        ON CONFLICT DO NOTHING;
    UPDATE beltline.allowance
        SET last_at = greatest(last_at, beltline.now_ms()), every_ms = its_every_ms
        WHERE name = its_name RETURNING last_at INTO room_1.at;
    DELETE FROM beltline.allowance_use AS used
        WHERE used.name = its_name AND used.at <= room_1.at - its_every_ms;
    SELECT greatest(0, at_most - coalesce(sum(uses), 0)) INTO remaining
        FROM beltline.allowance_use WHERE name = its_name;
END $$;

-- Counts uses for which there is room; gives the time from which there may be room for another one.
CREATE FUNCTION beltline.use_1(
    its_name text, its_every_ms bigint, uses integer, remaining integer, its_at bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    IF uses > 0 THEN
        INSERT INTO beltline.allowance_use (name, at, uses) VALUES (its_name, its_at, use_1.uses);
    END IF;
    IF uses < remaining THEN
        RETURN its_at;
    END IF;
    RETURN its_every_ms + coalesce(
        (SELECT min(at) FROM beltline.allowance_use WHERE name = its_name), its_at);
END $$;

-- Counts uses of a window as far as there is room.
CREATE FUNCTION beltline.allow_1(
    its_name text, wanted integer, at_most integer, every_ms bigint
) RETURNS TABLE (granted integer, at bigint, next_at bigint) LANGUAGE plpgsql AS $$
DECLARE
    room record;
BEGIN
    room := beltline.room_1(its_name, at_most, every_ms);
    granted := greatest(0, least(wanted, room.remaining));
    at := room.at;
    next_at := beltline.use_1(its_name, every_ms, granted, room.remaining, room.at);
    RETURN NEXT;
END $$;

-- Gives held requests that may go a run, those with the least place first; `processes` and `versions`
-- belong together. A window (`every_ms`) or a due time of the source's schedule counts them.
CREATE FUNCTION beltline.release_1(
    its_source text, processes text[], versions bigint[], most integer, at_ms bigint,
    its_window text, at_most integer, every_ms bigint,
    its_due_at bigint, due_most bigint, due_key uuid
) RETURNS TABLE (released integer, wait_ms bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    room record;
    left_of_due bigint;
BEGIN
    released := 0;
    IF EXISTS (
        SELECT FROM beltline.source_state WHERE source = its_source AND state = 'paused'
    ) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    -- Mostly nothing waits: nothing is written then.
    IF most < 1 OR NOT EXISTS (
        SELECT FROM beltline.held WHERE source = its_source AND is_head
            AND process = ANY (processes) AND (due_key IS NULL OR key < due_key)
    ) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    IF its_due_at IS NOT NULL THEN
        INSERT INTO beltline.due AS reached (source, at, remaining)
            VALUES (its_source, its_due_at, due_most)
            ON CONFLICT (source) DO UPDATE SET at = excluded.at, remaining = excluded.remaining
            WHERE reached.at < excluded.at;
        SELECT remaining INTO left_of_due FROM beltline.due
            WHERE source = its_source AND at = its_due_at FOR UPDATE;
        most := least(most, coalesce(left_of_due, 0));
    END IF;
    IF its_window IS NOT NULL THEN
        room := beltline.room_1(its_window, at_most, every_ms);
        most := least(most, room.remaining);
    END IF;
    IF most > 0 THEN
        WITH chosen AS MATERIALIZED (
            SELECT key FROM beltline.held
            WHERE source = its_source AND is_head AND process = ANY (processes)
                AND (due_key IS NULL OR key < due_key)
            ORDER BY place, key LIMIT most
            FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM beltline.held USING chosen WHERE held.key = chosen.key
            RETURNING held.key, held.process
        )
        INSERT INTO beltline.run (key, version_id, status, ready_at)
            SELECT key, versions[array_position(processes, process)], 'waiting', at_ms FROM gone;
        GET DIAGNOSTICS released = ROW_COUNT;
    END IF;
    IF its_due_at IS NOT NULL AND released > 0 THEN
        UPDATE beltline.due SET remaining = remaining - released
            WHERE source = its_source AND at = its_due_at;
    END IF;
    IF its_window IS NOT NULL THEN
        wait_ms := beltline.use_1(its_window, every_ms, released, room.remaining, room.at) - room.at;
    END IF;
    IF released > 0 THEN
        PERFORM beltline.wake();
    END IF;
    RETURN NEXT;
END $$;

-- Gives these requests a run whatever their line and place, and a message where there is one.
CREATE FUNCTION beltline.let_go_1(
    keys uuid[], processes text[], versions bigint[], at_ms bigint, message bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone uuid[];
BEGIN
    WITH left_now AS (
        DELETE FROM beltline.held WHERE key = ANY (keys) AND process = ANY (processes)
        RETURNING key, process
    ), started AS (
        INSERT INTO beltline.run (key, version_id, status, ready_at)
            SELECT key, versions[array_position(processes, process)], 'waiting', at_ms
            FROM left_now RETURNING key
    )
    SELECT array_agg(key ORDER BY key) INTO gone FROM started;
    IF gone IS NULL THEN
        RETURN 0;
    END IF;
    IF message IS NOT NULL THEN
        INSERT INTO beltline.inbox (token, run, at, body)
            SELECT gen_random_uuid(), key, at_ms, message FROM unnest(gone) AS one (key);
    END IF;
    PERFORM beltline.wake();
    RETURN cardinality(gone);
END $$;

-- Makes held requests into one, or nothing where one of them is not held any more. `s_`: the runs with
-- which each of them ends; `j_`: their journals.
CREATE FUNCTION beltline.collect_1(
    s_key uuid[], s_version_id bigint[], s_status text[],
    j_run uuid[], j_seq integer[], j_entry bytea[],
    its_key uuid, its_source text, its_process text, its_accepted_at bigint,
    its_body bytea, its_meta bytea,
    its_version bigint, its_status text, its_ready_at bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found_keys bigint;
BEGIN
    SELECT count(*) INTO found_keys FROM (
        SELECT FROM beltline.held WHERE key = ANY (s_key) ORDER BY key FOR UPDATE
    ) AS there;
    IF found_keys < cardinality(s_key) THEN
        RETURN false;
    END IF;
    DELETE FROM beltline.held WHERE key = ANY (s_key);
    INSERT INTO beltline.finished (key, version_id, status)
        SELECT key, version_id, status FROM unnest(s_key, s_version_id, s_status)
            AS ended (key, version_id, status);
    INSERT INTO beltline.journal (run, seq, entry)
        SELECT run, seq, entry FROM unnest(j_run, j_seq, j_entry) AS decided (run, seq, entry);
    PERFORM beltline.move_lines_on_1(s_key, '{}');
    INSERT INTO beltline.request (key, source, process, accepted_at, body, meta)
        VALUES (its_key, its_source, its_process, its_accepted_at, its_body, its_meta);
    INSERT INTO beltline.run (key, version_id, status, ready_at)
        VALUES (its_key, its_version, its_status, its_ready_at);
    PERFORM beltline.wake();
    RETURN true;
END $$;

-- Moves held requests to the first places of their source, or to the last.
CREATE FUNCTION beltline.put_first_1(keys uuid[], first boolean) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    UPDATE beltline.held SET place = ordered.place FROM (
        SELECT key, CASE WHEN first
            THEN (SELECT min(place) FROM beltline.held AS other WHERE other.source = asked.source)
                - count(*) OVER (PARTITION BY source)
            ELSE (SELECT max(place) FROM beltline.held AS other WHERE other.source = asked.source)
                + 1
            END + row_number() OVER (PARTITION BY source ORDER BY place, key) - 1 AS place
        FROM beltline.held AS asked WHERE key = ANY (keys)
    ) AS ordered
    WHERE held.key = ordered.key;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END $$;

-- Accepts what a schedule makes at a time of its own, unless this time or a later one was fired.
CREATE FUNCTION beltline.fire_1(
    its_schedule text, its_due_at bigint,
    its_key uuid, its_source text, its_process text, its_accepted_at bigint,
    its_body bytea, its_meta bytea,
    its_line bytea, its_passes_stopped boolean, its_place bigint, its_expires_at bigint,
    its_version bigint, its_status text, its_ready_at bigint
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO beltline.firing AS last (schedule, due_at) VALUES (its_schedule, its_due_at)
        ON CONFLICT (schedule) DO UPDATE SET due_at = excluded.due_at
        WHERE last.due_at < excluded.due_at;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO beltline.request (key, source, process, accepted_at, body, meta)
        VALUES (its_key, its_source, its_process, its_accepted_at, its_body, its_meta);
    IF its_version IS NULL THEN
        PERFORM beltline.hold_1(ARRAY[its_key], ARRAY[its_source], ARRAY[its_process],
            ARRAY[its_line], ARRAY[its_passes_stopped], ARRAY[its_place], ARRAY[its_expires_at],
            '{}');
    ELSE
        INSERT INTO beltline.run (key, version_id, status, ready_at)
            VALUES (its_key, its_version, its_status, its_ready_at);
        PERFORM beltline.wake();
    END IF;
    RETURN true;
END $$;

-- A new version of a process, or the newest where its text is the same. Publishers wait for each
-- other, so that numbers have no gap.
CREATE FUNCTION beltline.publish_1(
    its_process text, its_format text, its_text text, its_hash text, at_ms bigint
) RETURNS SETOF beltline.version LANGUAGE plpgsql AS $$
DECLARE
    newest beltline.version;
BEGIN
    LOCK TABLE beltline.version IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO newest FROM beltline.version
        WHERE process = its_process ORDER BY version DESC LIMIT 1;
    IF FOUND AND newest.text = its_text THEN
        RETURN NEXT newest;
        RETURN;
    END IF;
    RETURN QUERY INSERT INTO beltline.version (process, version, format, text, hash, published_at)
        VALUES (its_process, coalesce(newest.version, 0) + 1, its_format, its_text, its_hash, at_ms)
        RETURNING *;
END $$;

-- Buckets of tokens, by the names of their rules, and what each membership holds of them. The row of
-- a bucket is locked while it is drawn from.
CREATE TABLE beltline.bucket (
    name text PRIMARY KEY,
    level double precision NOT NULL,
    at bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);
CREATE TABLE beltline.bucket_share (
    name text NOT NULL,
    node bigint NOT NULL,
    serial bigint NOT NULL,
    held bigint NOT NULL,
    calls bigint NOT NULL,
    spent bigint NOT NULL,
    PRIMARY KEY (name, node)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- A membership tells what it holds and has spent, and takes tokens for the longest run of `costs`
-- that the rule allows (NULL: no such limit). What memberships hold that have ended is spent now.
-- A question that comes late, or of a membership that has ended, changes nothing.
CREATE FUNCTION beltline.draw_1(
    me bigint, its_name text, rate double precision, burst integer, concurrency integer,
    its_serial bigint, its_held bigint, its_calls bigint, its_spent bigint, costs integer[]
) RETURNS TABLE (granted integer, wait_ms bigint, remaining double precision)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now bigint;
    its record;
    earlier record;
    others record;
    of_gone bigint;
    free double precision;
    room bigint;
    cost integer;
    taken bigint := 0;
BEGIN
    granted := 0;
    remaining := 0;
    INSERT INTO beltline.bucket (name, level, at) VALUES (its_name, 0, beltline.now_ms())
        ON CONFLICT DO NOTHING;
    SELECT * INTO its FROM beltline.bucket WHERE name = its_name FOR UPDATE;
    SELECT * INTO earlier FROM beltline.bucket_share WHERE name = its_name AND node = me;
    IF earlier.serial >= its_serial
        OR NOT EXISTS (SELECT FROM beltline.node WHERE id = me AND ended_at IS NULL)
    THEN
        RETURN NEXT;
        RETURN;
    END IF;
    now := greatest(its.at, beltline.now_ms());
    WITH gone AS (
        DELETE FROM beltline.bucket_share AS share WHERE share.name = its_name AND NOT EXISTS (
            SELECT FROM beltline.node WHERE node.id = share.node AND ended_at IS NULL
        ) RETURNING held
    ) SELECT coalesce(sum(held), 0) INTO of_gone FROM gone;
    SELECT coalesce(sum(held), 0) AS held, coalesce(sum(calls), 0) AS calls INTO others
        FROM beltline.bucket_share WHERE name = its_name AND node <> me;
    its.level := least(burst, its.level + (now - its.at) * coalesce(rate, 0) / 1000)
        - of_gone - (its_spent - coalesce(earlier.spent, its_spent));
    free := its.level - its_held - others.held;
    room := concurrency - its_calls - others.calls;
    wait_ms := 0;
    FOREACH cost IN ARRAY costs LOOP
        cost := least(cost, burst);
        IF granted >= room THEN
            wait_ms := NULL;
            EXIT;
        ELSIF rate IS NOT NULL AND cost > free THEN
            -- No bucket holds more than the burst: for the rest a call has to end.
            wait_ms := CASE WHEN burst - its.level >= cost - free
                THEN ceil((cost - free) * 1000 / rate) END;
            EXIT;
        END IF;
        free := free - cost;
        taken := taken + cost;
        granted := granted + 1;
    END LOOP;
    UPDATE beltline.bucket SET level = its.level, at = now WHERE name = its_name;
    INSERT INTO beltline.bucket_share (name, node, serial, held, calls, spent)
        VALUES (its_name, me, its_serial, its_held + taken, its_calls + granted, its_spent)
        ON CONFLICT (name, node) DO UPDATE SET serial = excluded.serial, held = excluded.held,
            calls = excluded.calls, spent = excluded.spent;
    IF rate IS NOT NULL THEN
        remaining := its.level;
    END IF;
    RETURN NEXT;
END $$;
