"""The hot path: what one batch of the belt writes."""

from __future__ import annotations

from itertools import chain

import apsw
from msgspec.structs import astuple

from beltline.engine.ports import StoreBroken
from beltline.engine.records import (
    Acceptance,
    Batch,
    JournalRow,
    Repeat,
    RunChange,
)
from beltline.stores.sqlite import events, inbox
from beltline.stores.sqlite.lines import hold, move_lines_on
from beltline.stores.sqlite.many_rows import ManyRows, blobs, integers

NODE = 1  # the owner's number: one process serves a SQLite store

# Appends decisions.
ADD_JOURNAL = ManyRows("INSERT INTO journal (run, seq, entry)", 3)

# Keeps requests.
ADD_REQUESTS = ManyRows("INSERT INTO request (key, source, process, accepted_at, body, meta)", 6)

# Starts runs.
ADD_RUNS = ManyRows("INSERT INTO run (key, version_id, status, ready_at, owner)", 5)

# Takes identities that are free, or free again.
TAKE_IDENTITIES = ManyRows(
    "INSERT INTO identity (source, identity, accepted_at, until, key, body_hash)",
    6,
    "ON CONFLICT (source, identity) DO UPDATE SET accepted_at = excluded.accepted_at,"
    " until = excluded.until, key = excluded.key, body_hash = excluded.body_hash"
    " WHERE identity.until <= excluded.accepted_at",
)

# Finds those of the acceptances whose identity belongs to another request.
FIND_REPEATS = ManyRows(
    "WITH asked (source, identity, key) AS (",
    3,
    ") SELECT asked.key, identity.key, identity.body_hash FROM asked CROSS JOIN identity"
    " ON identity.source = asked.source AND identity.identity = asked.identity"
    " WHERE identity.key <> asked.key",
)

# Sets the rows of runs after their decisions.
CHANGE_RUNS = ManyRows(
    "WITH change (key, status, ready_at, owner) AS (",
    4,
    ") UPDATE run SET status = change.status, ready_at = change.ready_at, owner = change.owner,"
    " crashes = 0 FROM change WHERE run.key = change.key",
)

# Removes messages that were decided on.
DELETE_MESSAGES = "DELETE FROM inbox WHERE id IN (SELECT value FROM carray(?))"

# Whether any message waits at all: mostly none does.
ANY_MESSAGE = "SELECT EXISTS (SELECT 1 FROM inbox)"

# Makes runs ready at once that are let go of while a message waits for them.
WAKE_FOR_MESSAGES = (
    "UPDATE run SET ready_at = 0"
    " WHERE key IN (SELECT run FROM inbox WHERE run IN (SELECT value FROM carray(?)))"
)


def commit(db: apsw.Connection, batch: Batch) -> list[Repeat | None]:
    """Writes a batch; see `Store.commit`. Raises `StoreBroken` where two writers decided."""
    for acceptance in batch.acceptances:
        acceptance.check()
    journal, changes = batch.journal, batch.changes
    refused: set[bytes] = set()
    try:
        answers = accept(db, batch.acceptances) if batch.acceptances else []
        if any(answers):
            refused = {
                acceptance.request.key
                for acceptance, answer in zip(batch.acceptances, answers, strict=True)
                if answer
            }
            journal = [row for row in journal if row.key not in refused]
            changes = [change for change in changes if change.key not in refused]
        if journal:
            append(db, journal)
    except apsw.ConstraintError as error:
        raise StoreBroken(
            f"the same row was decided twice ({error}): two processes move the same runs"
        ) from error
    if batch.messages_done:
        db.execute(DELETE_MESSAGES, (integers(batch.messages_done),))
    if batch.awaited_no_more:
        awaited = [one for one in batch.awaited if one.key not in refused]
        events.settle(db, batch.awaited_no_more, awaited)
    for message in batch.messages:
        inbox.tell(db, message)
    if changes:
        change_runs(db, changes)
        move_lines_on(db, [(change.key, change.status, change.owned) for change in changes])
    return answers


def accept(db: apsw.Connection, acceptances: list[Acceptance]) -> list[Repeat | None]:
    """Stores those acceptances whose identity is free; answers for each."""
    answers: list[Repeat | None] = [None] * len(acceptances)
    if any(acceptance.request.identity is not None for acceptance in acceptances):
        repeats = settle_identities(db, acceptances)
        if repeats:
            answers = [repeats.get(acceptance.request.key) for acceptance in acceptances]
            acceptances = [
                acceptance for acceptance in acceptances if acceptance.request.key not in repeats
            ]
    requests = [acceptance.request for acceptance in acceptances]
    ADD_REQUESTS.run(
        db,
        [
            value
            for request in requests
            for value in (
                request.key,
                request.source,
                request.process,
                request.accepted_at,
                request.body,
                request.meta,
            )
        ],
    )
    ADD_RUNS.run(
        db,
        [
            value
            for acceptance in acceptances
            if (run := acceptance.run)
            for value in (
                run.key,
                run.version_id,
                run.status,
                run.ready_at,
                NODE if run.owned else None,
            )
        ],
    )
    hold(db, [request for request in requests if request.held])
    append(db, [row for acceptance in acceptances for row in acceptance.rows])
    return answers


def settle_identities(db: apsw.Connection, acceptances: list[Acceptance]) -> dict[bytes, Repeat]:
    """Takes the identities that are free; gives the repeats by the key of the refused request."""
    named = [
        acceptance.request for acceptance in acceptances if acceptance.request.identity is not None
    ]
    # Of two under one identity the second meets the first, so these are asked one by one.
    at_once = len({(request.source, request.identity) for request in named}) == len(named)
    repeats: dict[bytes, Repeat] = {}
    for group in [named] if at_once else [[request] for request in named]:
        TAKE_IDENTITIES.run(
            db,
            [
                value
                for request in group
                for value in (
                    request.source,
                    request.identity,
                    request.accepted_at,
                    request.identity_until,
                    request.key,
                    request.body_hash,
                )
            ],
        )
        hashes = {request.key: request.body_hash for request in group}
        asked = [
            value for request in group for value in (request.source, request.identity, request.key)
        ]
        for refused, key, body_hash in FIND_REPEATS.run(db, asked):
            repeats[refused] = Repeat(key, body_hash == hashes[refused])
    return repeats


def append(db: apsw.Connection, rows: list[JournalRow]) -> None:
    """Appends decisions to the journal."""
    ADD_JOURNAL.run(db, list(chain.from_iterable(map(astuple, rows))))


def change_runs(db: apsw.Connection, changes: list[RunChange]) -> None:
    """Sets the runs' rows; of several changes of one run the last stands."""
    latest = {change.key: change for change in changes}
    before = db.total_changes()
    CHANGE_RUNS.run(
        db,
        [
            value
            for change in latest.values()
            for value in (
                change.key,
                change.status,
                change.ready_at,
                NODE if change.owned else None,
            )
        ],
    )
    if db.total_changes() - before != len(latest):
        raise StoreBroken("a decision was made for a run that is not in the store")
    let_go = [change.key for change in latest.values() if not change.owned]
    if let_go and db.execute(ANY_MESSAGE).get:
        db.execute(WAKE_FOR_MESSAGES, (blobs(let_go),))
