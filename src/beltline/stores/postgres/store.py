"""The store in a PostgreSQL database that several nodes share.

Each method of the port is one statement, mostly one call of a function in the database: it happens
whole or not at all, and no lock outlives a node that is paused or cut off. (A list is several, and
only looks.) Calls that keep an order go through a lane of their own:

    commits      the belt's commits, one at a time, numbered
    membership   join, beat, claims, hand over
    changes      what people and modules write
    reads        two lanes for everything that only looks
    listener     a connection that the database wakes this node on
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg

from beltline import __version__
from beltline.engine.ports import NotFound, StoreAway, StoreBroken
from beltline.engine.records import (
    Acceptance,
    Allowance,
    Batch,
    Beat,
    Claimed,
    Format,
    Message,
    NewRequest,
    Repeat,
    RunFilter,
    RunRecord,
    StoredRun,
    StoredVersion,
    TokenRecord,
)
from beltline.stores.postgres import commits, listing, partitions, reading, statements
from beltline.stores.postgres.address import Address
from beltline.stores.postgres.buffers import BufferCalls
from beltline.stores.postgres.commits import encoded
from beltline.stores.postgres.lane import CLOSED, Lane, Lanes
from beltline.stores.postgres.limits import LimitCalls
from beltline.stores.postgres.listener import Listener
from beltline.stores.postgres.schema import Schema
from beltline.stores.postgres.sharing import Sharing
from beltline.stores.postgres.verdicts import VerdictCalls

READ_LANES = 2  # one may be busy with a long list
READ_S = 10.0
# A list is planned for its values, so that only the partitions of its time are looked at; what is
# gained by compiling or by several workers is less than what they cost to begin.
READING = {
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
TEND_EVERY_S = 60.0
CONNECTIONS = 3 + READ_LANES + 1  # of one node, at the most


class PostgresStore(BufferCalls, VerdictCalls, LimitCalls):
    """Fulfils `engine.ports.Store`. Made by `open_postgres`, which brings the schema up to date."""

    def __init__(self, address: Address, sharing: Sharing, schema: Schema) -> None:
        self._address = address
        self._sharing = sharing
        self._schema = schema
        answer_s = sharing.answer_s
        self._commits = Lane(address, answer_s)
        self._membership = Lane(address, answer_s)
        self._changes = Lane(address, READ_S)
        self._reads = Lanes(address, READ_LANES, READ_S, READING)
        self._listener = Listener(address)
        self._home = asyncio.get_running_loop()
        self._me: int | None = None
        self._committed = 0  # the number of the last commit, and of the last claim, of this
        self._claimed = 0  # membership; the next one may have been asked for already
        self._committing = asyncio.Lock()
        self._claiming = asyncio.Lock()
        self._broken: StoreBroken | None = None
        self._is_closed = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._tend_at = 0.0

    @property
    def commits(self) -> int:
        """How many commits of the belt there were in this membership."""
        return self._committed

    @contextlib.asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        """Around each call of the port: refuses it after the end, and is waited for by `close`."""
        if self._broken:
            raise StoreBroken(*self._broken.args) from self._broken
        if self._is_closed:
            raise RuntimeError(CLOSED)
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _change(self, statement: str, *values: Any) -> list[Any]:
        return await self._at_home(self._rows(self._changes, statement, *values))

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        return await self._at_home(self._rows(self._reads, statement, *values))

    async def _rows(self, lane: Lane | Lanes, statement: str, *values: Any) -> list[Any]:
        async with self._call():
            return await lane.rows(statement, *values)

    async def _at_home(self, call: Coroutine[Any, Any, list[Any]]) -> list[Any]:
        """Awaits a call in the loop that the connections belong to: handlers, which remember and
        recall, run in loops of their own.
        """
        if asyncio.get_running_loop() is self._home:
            return await call
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call, self._home))

    def _member(self) -> int:
        if self._me is None:
            raise RuntimeError("a store that has not joined can move no runs")
        return self._me

    # The nodes

    async def join(self) -> int:
        async with self._call():
            await self._tend(contract=False)
            sharing = self._sharing
            rows = await self._membership.rows(
                statements.JOIN,
                self._me,
                sharing.name or f"{os.uname().nodename} {os.getpid()}",
                __version__,
                self._schema.newest,
                sharing.lease_ms,
            )
            self._me, recovered = rows[0]
            self._committed = self._claimed = 0
            return int(recovered)

    async def beat(self) -> Beat:
        async with self._call():
            rows = await self._membership.rows(statements.BEAT, self._member())
            return Beat(*rows[0])

    async def hand_over(self) -> int:
        async with self._call():
            return int(await self._membership.value(statements.HAND_OVER, self._member()))

    def listen(self, wake: Callable[[], None]) -> None:
        self._listener.add(wake)

    # The belt

    async def commit(self, batch: Batch) -> list[Repeat | None]:
        async with self._call(), self._committing:
            number = self._committed + 1
            arguments = commits.arguments(batch)
            try:
                refused = await self._commits.rows(
                    commits.COMMIT, self._member(), number, *arguments
                )
            except asyncpg.UniqueViolationError as error:
                raise self._break_down(
                    f"the same row was decided twice ({error}): two nodes move the same run"
                ) from error
            except asyncpg.PostgresError as error:
                raise self._break_down(f"the store failed ({error}): restart the hub") from error
            except StoreBroken as error:
                raise self._break_down(str(error)) from error
            self._committed = number
            return commits.answers(batch, refused)

    def _break_down(self, reason: str) -> StoreBroken:
        self._broken = self._broken or StoreBroken(reason)
        return self._broken

    async def claim(self, now: int, limit: int, *, crashes: int, max_bytes: int) -> Claimed:
        async with self._call(), self._claiming:
            number = self._claimed + 1
            rows = await self._membership.rows(
                statements.CLAIM, self._member(), number, now, limit, crashes, max_bytes
            )
            self._claimed = number
            # A row without a key, at the end, tells that others are left.
            runs = [reading.stored_run(row) for row in rows if row[0] is not None]
            return Claimed(runs, more=len(runs) < len(rows))

    async def claim_one(self, key: bytes) -> StoredRun | None:
        async with self._call():
            taken = await self._membership.value(statements.CLAIM_ONE, self._member(), key)
            if not taken:
                return None
            return reading.stored_run((await self._reads.rows(statements.LOAD, [key]))[0])

    async def next_ready_at(self) -> int | None:
        rows = await self._read(statements.NEXT_READY_AT)
        return rows[0][0] if rows else None

    # The inbox

    async def post(self, key: bytes, body: bytes, at: int) -> int:
        async with self._call():
            arguments = (os.urandom(16), key, body, at)
            try:
                id = await self._changes.value(statements.POST, *arguments)
            except StoreAway:
                # Its token makes it one message, however often it is asked for.
                id = await self._changes.value(statements.POST, *arguments)
            if id is None:
                raise NotFound("there is no such run")
            return int(id)

    async def messages_after(self, id: int, limit: int) -> list[Message]:
        rows = await self._read(statements.MESSAGES_AFTER, id, self._member(), limit)
        return [Message(*row) for row in rows]

    # What all nodes share

    async def allow(self, name: str, wanted: int, at_most: int, every_ms: int) -> Allowance:
        rows = await self._change(statements.ALLOW, name, wanted, at_most, every_ms)
        return Allowance(*rows[0])

    async def fire(self, schedule: str, due_at: int, acceptance: Acceptance) -> bool:
        acceptance.check_scheduled()
        request, run = acceptance.request, acceptance.run
        rows = await self._change(
            statements.FIRE,
            *(schedule, due_at),
            *(request.key, request.source, request.process, request.accepted_at),
            *(request.body, request.meta),
            *(commits.encoded(request.line), request.passes_stopped),
            *(request.place, request.expires_at),
            *((run.version_id, run.status, run.ready_at) if run else (None, None, None)),
        )
        return bool(rows[0][0])

    async def fired_at(self, schedule: str) -> int | None:
        rows = await self._read(statements.FIRED_AT, schedule)
        return rows[0][0] if rows else None

    # Processes

    async def publish(self, process: str, format: Format, text: str, at: int) -> StoredVersion:
        digest = hashlib.sha256(text.encode()).hexdigest()
        rows = await self._change(statements.PUBLISH, process, format, text, digest, at)
        return StoredVersion(*rows[0])

    async def newest_versions(self) -> list[StoredVersion]:
        return [StoredVersion(*row) for row in await self._read(statements.NEWEST_VERSIONS)]

    async def version(self, process: str, version: int | None) -> StoredVersion:
        if version is None:
            rows = await self._read(statements.NEWEST_VERSION, process)
        else:
            rows = await self._read(statements.NUMBERED_VERSION, process, version)
        return _found(rows, f"process {process!r} has no version {version or 'yet'}")

    async def version_by_id(self, id: int) -> StoredVersion:
        rows = await self._read(statements.VERSION_BY_ID, id)
        return _found(rows, f"there is no process version with id {id}")

    # Reading

    async def run(self, key: bytes) -> tuple[RunRecord, StoredRun | None]:
        rows = await self._read(reading.ONE_RUN, key)
        if not rows:
            raise NotFound("there is no such run")
        row = tuple(rows[0])
        record = reading.run_record(row)
        if record.version_id is None:
            return record, None
        return record, reading.stored_run((record.key, record.version_id, record.crashes, *row[9:]))

    async def runs(self, filter: RunFilter, limit: int) -> list[RunRecord]:
        return await self._at_home(self._page(filter, limit))

    async def _page(self, filter: RunFilter, limit: int) -> list[RunRecord]:
        now = round(time.time() * 1_000)
        async with self._call(), self._reads.one() as lane:
            page: list[RunRecord] = await lane.work(lambda db: listing.page(db, filter, limit, now))
            return page

    async def counts(self) -> dict[str, int]:
        rows = await self._read(reading.COUNTS)
        return dict(zip(("ready", "owned", "held", "stopped"), rows[0], strict=True))

    # What modules remember, and who may do what

    async def value(self, space: str, key: str, now: int) -> bytes | None:
        rows = await self._read(statements.VALUE, encoded(space), encoded(key), now)
        return rows[0][0] if rows else None

    async def values(self, space: str, now: int) -> dict[str, bytes]:
        rows = await self._read(statements.VALUES, encoded(space), now)
        return {key.decode("utf-8", "surrogatepass"): value for key, value in rows}

    async def put_value(self, space: str, key: str, value: bytes, expires_at: int | None) -> None:
        await self._change(statements.PUT_VALUE, encoded(space), encoded(key), value, expires_at)

    async def put_value_if_absent(
        self, space: str, key: str, value: bytes, expires_at: int | None, now: int
    ) -> bytes:
        given = (encoded(space), encoded(key), value, expires_at, now)
        first: bytes = (await self._change(statements.PUT_VALUE_IF_ABSENT, *given))[0][0]
        return first

    async def delete_value(self, space: str, key: str, now: int) -> bool:
        rows = await self._change(statements.DELETE_VALUE, encoded(space), encoded(key), now)
        return any(was_live for (was_live,) in rows)

    async def purge_values(self, now: int, limit: int) -> int:
        return int((await self._change(statements.PURGE_VALUES, now, limit))[0][0])

    async def repeated(self, request: NewRequest) -> Repeat | None:
        if request.identity is None:
            return None
        asked = (request.source, encoded(request.identity), request.accepted_at)
        rows = await self._read(statements.TAKEN_BY, *asked)
        return Repeat(rows[0][0], rows[0][1] == request.body_hash) if rows else None

    async def purge_identities(self, now: int, limit: int) -> int:
        return int((await self._change(statements.PURGE_IDENTITIES, now, limit))[0][0])

    async def tokens(self) -> list[TokenRecord]:
        return [TokenRecord(*row) for row in await self._read(statements.TOKENS)]

    async def put_token(self, token: TokenRecord) -> None:
        await self._change(
            statements.ADD_ACCESS, token.hash, token.role, token.name, token.created_at
        )

    async def source_state(self) -> dict[str, str]:
        return dict(await self._read(statements.SOURCE_STATES))

    async def set_source_state(self, source: str, state: str) -> None:
        await self._change(statements.SET_SOURCE_STATE, source, state)

    # The whole

    async def tend(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() < self._tend_at:
            return
        self._tend_at = loop.time() + TEND_EVERY_S
        async with self._call():
            await self._tend(contract=True)

    async def _tend(self, *, contract: bool) -> None:
        async def work(db: Any) -> None:
            now = await db.fetchval("SELECT beltline.now_ms()")
            width = self._sharing.width_ms
            await partitions.cover(db, now - width, now + partitions.AHEAD * width, width)
            if self._sharing.keep_ms:
                await partitions.drop_before(db, now - self._sharing.keep_ms)
                await partitions.sweep_before(db, now - self._sharing.keep_ms)
            if contract:
                await self._schema.contract(db)

        # Someone else holds what is needed: it is done at the next time.
        with contextlib.suppress(asyncpg.LockNotAvailableError):
            await self._changes.work(work)

    async def backup(self, path: str) -> None:
        from beltline.stores.transfer.moving import back_up  # noqa: PLC0415 - it knows all stores

        async with self._call():
            await back_up(self._address, path)

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self._idle.wait()
            await self._listener.close()
            for lane in (self._commits, self._membership, self._changes, self._reads):
                await lane.close()


def _found(rows: list[Any], otherwise: str) -> StoredVersion:
    if not rows:
        raise NotFound(otherwise)
    return StoredVersion(*rows[0])
