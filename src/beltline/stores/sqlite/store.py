"""The store in one SQLite file: each method of the port is a job for the writer or a reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

import apsw

from beltline.engine.limit_store import Ask, Drawn, Rule
from beltline.engine.records import (
    Acceptance,
    Allowance,
    Batch,
    Beat,
    Claimed,
    Collection,
    Format,
    HeldCount,
    HeldFilter,
    HeldRequest,
    Message,
    NewRequest,
    Released,
    ReleaseOrder,
    Repeat,
    RunFilter,
    RunRecord,
    StoredRequest,
    StoredRun,
    StoredVersion,
    TokenRecord,
    Window,
)
from beltline.engine.verdict_store import Verdict, VerdictFilter
from beltline.stores.errors import StoreUnavailable
from beltline.stores.sqlite import (
    buffers,
    claims,
    commits,
    inbox,
    memory,
    processes,
    reading,
    schema,
    shared,
)
from beltline.stores.sqlite import verdicts as verdict_rows
from beltline.stores.sqlite.backup import write_backup
from beltline.stores.sqlite.connection import (
    create_file,
    make_durable,
    open_reader,
    open_writer,
    sync_folder,
)
from beltline.stores.sqlite.limits import Buckets
from beltline.stores.sqlite.lock import ServerLock
from beltline.stores.sqlite.threads import CLOSED, Health, Job, Reader, Writer, refuse_rest

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2  # one may be busy with a long list


class SqliteStore:
    """Fulfils `engine.ports.Store`.

    `vfs` names the file system that apsw uses, for tests of faults.
    """

    def __init__(
        self, path: Path, *, exclusive: bool = False, durable: bool = True, vfs: str | None = None
    ) -> None:
        self._path = path
        self._vfs = vfs
        create_file(path)
        self._lock: ServerLock | None = None
        connections: list[apsw.Connection] = []
        try:
            if exclusive:
                self._lock = ServerLock(path)
            writer = open_writer(path, durable=durable, vfs=vfs)
            connections.append(writer)
            bring_up_to_date(writer, path, locked=exclusive)
            if exclusive:
                make_durable(writer)
            connections += [open_reader(path, vfs=vfs) for _ in range(READERS)]
            sync_folder(path)
        except BaseException as error:
            for db in connections:
                db.close()
            if self._lock:
                self._lock.release()
            if isinstance(error, apsw.Error | OSError):
                raise StoreUnavailable(f"the store {path} cannot be opened: {error}") from error
            raise
        self._closing: asyncio.Future[None] | None = None
        self._buckets = Buckets()
        self._health = Health()
        self._writes: SimpleQueue[Job | None] = SimpleQueue()
        self._reads: SimpleQueue[Job | None] = SimpleQueue()
        self._readers = [
            Reader(f"store-reader-{number}", db, self._reads, self._health)
            for number, db in enumerate(connections[1:], 1)
        ]
        self._writer = Writer(
            "store-writer", writer, self._writes, self._health, readers=self._reads
        )

    @property
    def commits(self) -> int:
        """How many transactions were committed since the store was opened."""
        return self._writer.commits

    async def _write(
        self,
        work: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        result: T = await self._enqueue(self._writes, Job(lambda db: work(db, *args, **kwargs)))
        return result

    async def _read(
        self,
        work: Callable[Concatenate[apsw.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        result: T = await self._enqueue(self._reads, Job(lambda db: work(db, *args, **kwargs)))
        return result

    async def _enqueue(self, queue: SimpleQueue[Job | None], job: Job) -> Any:
        self._health.check()
        if self._closing:
            raise RuntimeError(CLOSED)
        queue.put(job)
        return await job.future

    # The nodes: there is but one

    async def join(self) -> int:
        def join(db: apsw.Connection) -> int:
            shared.begin_windows(db)
            return claims.recover(db)

        return await self._write(join)

    async def beat(self) -> Beat:
        return Beat(None, 0, has_suspects=False)  # they come with `join` alone

    async def hand_over(self) -> int:
        return await self._write(claims.hand_over)

    def listen(self, wake: Callable[[], None]) -> None:
        """Nothing wakes: other programs write to the file by themselves."""

    # The belt

    async def commit(self, batch: Batch) -> list[Repeat | None]:
        return await self._write(commits.commit, batch)

    async def claim(self, now: int, limit: int, *, crashes: int, max_bytes: int) -> Claimed:
        job = Job(
            lambda db: claims.claim(db, now, limit, crashes, max_bytes), then=claims.load_taken
        )
        claimed: Claimed | None = await self._enqueue(self._writes, job)
        return claimed or Claimed([], more=False)

    async def claim_one(self, key: bytes) -> StoredRun | None:
        job = Job(lambda db: claims.claim_one(db, key), then=claims.load)
        claimed: list[StoredRun] = await self._enqueue(self._writes, job)
        return claimed[0] if claimed else None

    async def next_ready_at(self) -> int | None:
        return await self._read(claims.next_ready_at)

    # The inbox

    async def post(self, key: bytes, body: bytes, at: int) -> int:
        job = Job(lambda db: inbox.post(db, key, body, at), guarded=True)
        message: int = await self._enqueue(self._writes, job)
        return message

    async def messages_after(self, id: int, limit: int) -> list[Message]:
        return await self._read(inbox.messages_after, id, limit)

    # Buffers

    async def release(self, order: ReleaseOrder, now: int) -> Released:
        return await self._write(buffers.release, order, now)

    async def let_go(
        self, keys: Sequence[bytes], versions: Mapping[str, int], now: int, message: bytes | None
    ) -> int:
        return await self._write(buffers.let_go, keys, versions, now, message)

    async def collect(self, collection: Collection) -> bool:
        collection.acceptance.check_scheduled()
        return await self._write(buffers.collect, collection)

    async def put_first(self, keys: Sequence[bytes], *, first: bool) -> int:
        return await self._write(buffers.put_first, keys, first=first)

    async def held(self, source: str | None) -> dict[str, HeldCount]:
        return await self._read(buffers.held, source)

    async def waiting(
        self, filter: HeldFilter, limit: int, after: tuple[int, bytes] | None = None
    ) -> list[HeldRequest]:
        return await self._read(buffers.waiting, filter, limit, after)

    async def last_in_line(self) -> bytes | None:
        return await self._read(buffers.last_in_line)

    async def requests(self, keys: Sequence[bytes]) -> list[StoredRequest]:
        return await self._read(buffers.requests, keys)

    async def expired(self, processes: Sequence[str], now: int, limit: int) -> list[HeldRequest]:
        return await self._read(buffers.expired, processes, now, limit)

    # Requests that started nothing

    async def keep_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        await self._write(verdict_rows.keep, verdicts)

    async def verdicts(self, filter: VerdictFilter, limit: int) -> list[Verdict]:
        return await self._read(verdict_rows.verdicts, filter, limit)

    async def verdict(self, key: bytes) -> Verdict | None:
        return await self._read(verdict_rows.verdict, key)

    async def settle_verdict(self, key: bytes, settled_as: bytes, by: str) -> None:
        await self._write(verdict_rows.settle, key, settled_as, by)

    async def purge_verdicts(self, before: int, most: int, limit: int) -> int:
        return await self._write(verdict_rows.purge, before, most, limit)

    # What all nodes share

    async def allow(self, name: str, wanted: int, at_most: int, every_ms: int) -> Allowance:
        return await self._write(shared.allow, Window(name, at_most, every_ms), wanted)

    async def draw(self, rule: Rule, ask: Ask) -> Drawn:
        return self._buckets.draw(rule, ask)

    async def fire(self, schedule: str, due_at: int, acceptance: Acceptance) -> bool:
        acceptance.check_scheduled()
        return await self._write(shared.fire, schedule, due_at, acceptance)

    async def fired_at(self, schedule: str) -> int | None:
        return await self._read(shared.fired_at, schedule)

    # Processes

    async def publish(self, process: str, format: Format, text: str, at: int) -> StoredVersion:
        return await self._write(processes.publish, process, format, text, at)

    async def newest_versions(self) -> list[StoredVersion]:
        return await self._read(processes.newest_versions)

    async def version(self, process: str, version: int | None) -> StoredVersion:
        return await self._read(processes.version, process, version)

    async def version_by_id(self, id: int) -> StoredVersion:
        return await self._read(processes.version_by_id, id)

    # Reading

    async def run(self, key: bytes) -> tuple[RunRecord, StoredRun | None]:
        return await self._read(reading.run, key)

    async def runs(self, filter: RunFilter, limit: int) -> list[RunRecord]:
        return await self._read(reading.runs, filter, limit)

    async def counts(self) -> dict[str, int]:
        return await self._read(reading.counts)

    # What modules remember, and who may do what

    async def value(self, space: str, key: str, now: int) -> bytes | None:
        return await self._read(memory.value, space, key, now)

    async def values(self, space: str, now: int) -> dict[str, bytes]:
        return await self._read(memory.values, space, now)

    async def put_value(self, space: str, key: str, value: bytes, expires_at: int | None) -> None:
        await self._write(memory.put_value, space, key, value, expires_at)

    async def put_value_if_absent(
        self, space: str, key: str, value: bytes, expires_at: int | None, now: int
    ) -> bytes:
        return await self._write(memory.put_value_if_absent, space, key, value, expires_at, now)

    async def delete_value(self, space: str, key: str, now: int) -> bool:
        return await self._write(memory.delete_value, space, key, now)

    async def purge_values(self, now: int, limit: int) -> int:
        return await self._write(memory.purge_values, now, limit)

    async def repeated(self, request: NewRequest) -> Repeat | None:
        return await self._read(memory.repeated, request)

    async def purge_identities(self, now: int, limit: int) -> int:
        return await self._write(memory.purge_identities, now, limit)

    async def tokens(self) -> list[TokenRecord]:
        return await self._read(memory.tokens)

    async def put_token(self, token: TokenRecord) -> None:
        await self._write(memory.put_token, token)

    async def source_state(self) -> dict[str, str]:
        return await self._read(memory.source_state)

    async def set_source_state(self, source: str, state: str) -> None:
        await self._write(memory.set_source_state, source, state)

    # The whole

    async def tend(self) -> None:
        """Nothing is to be done beside the work."""

    async def backup(self, path: str) -> None:
        await self._read(lambda _db: write_backup(self._path, Path(path), vfs=self._vfs))

    async def close(self) -> None:
        if self._closing:
            await asyncio.shield(self._closing)
            return
        self._closing = asyncio.ensure_future(asyncio.to_thread(self._close))
        await asyncio.shield(self._closing)

    def _close(self) -> None:
        # The writer first: it may still hand jobs on to the readers.
        self._writes.put(None)
        self._writer.join()
        for _ in self._readers:
            self._reads.put(None)
        for reader in self._readers:
            reader.join()
        refuse_rest(self._writes)
        refuse_rest(self._reads)
        for worker in (*self._readers, self._writer):
            worker.close()
        if self._lock:
            self._lock.release()


def bring_up_to_date(db: apsw.Connection, path: Path, *, locked: bool) -> None:
    """Applies missing migrations, never under a running server: raises `StoreInUse` then."""
    if schema.is_current(db, path):
        return
    lock = None if locked else ServerLock(path)
    try:
        schema.migrate(db, path)
    finally:
        if lock:
            lock.release()
