"""A model of the store: what is durable stands on a `Disk`, which outlives the process.

It keeps the promises of `engine.ports.Store`, is held to the same conformance suite as the real
stores, and adds what a test needs: every call can be left before it happened, after it became
durable, or be refused for want of room.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from beltline.core.run import Status
from beltline.engine.ports import (
    Batch,
    Format,
    JournalRow,
    Message,
    NewRequest,
    NotFound,
    Repeat,
    RunChange,
    RunFilter,
    RunRecord,
    StoreBroken,
    StoredRun,
    StoredVersion,
    TokenRecord,
)

Moment = Literal["before", "durable", "read"]


class RunRow(msgspec.Struct):
    """The narrow row of a run."""

    version_id: int
    status: Status
    ready_at: int | None
    owned: bool
    crashes: int = 0


class Identity(msgspec.Struct, frozen=True):
    """Whose an identity is, and until when."""

    key: bytes
    until: int
    body_hash: bytes


class Disk(msgspec.Struct):
    """All that is durable. `identities` are by source and identity with a zero between them,
    `values` by space and key in the same way.
    """

    requests: dict[bytes, NewRequest] = {}
    runs: dict[bytes, RunRow] = {}
    held: dict[bytes, str] = {}
    identities: dict[str, Identity] = {}
    journal: dict[bytes, list[JournalRow]] = {}
    inbox: dict[int, Message] = {}
    messages: int = 0
    versions: list[StoredVersion] = []
    values: dict[str, tuple[bytes, int | None]] = {}
    tokens: dict[bytes, TokenRecord] = {}
    source_states: dict[str, str] = {}


class _Job:
    """One transaction that waits for its turn."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None


class SimulatedStore:
    """Fulfils `engine.ports.Store`.

    `pause` is awaited before a call happens and before it is answered. `refuse` may give the
    error that the next transaction fails with; `StoreBroken` leaves open whether it happened.
    `wrote` is told of every journal row in the moment it is durable.
    """

    def __init__(
        self,
        disk: Disk,
        pause: Callable[[Moment], Awaitable[None]],
        *,
        refuse: Callable[[], Exception | None] = lambda: None,
        wrote: Callable[[JournalRow], None] = lambda row: None,
    ) -> None:
        self._disk = disk
        self._pause = pause
        self._refuse = refuse
        self._wrote = wrote
        self._jobs: deque[_Job] = deque()
        self._broken: StoreBroken | None = None
        self._is_closed = False
        self.under_way = 0  # transactions that have not been answered

    async def _write(self, work: Callable[[], Any]) -> Any:
        """One transaction; those that were asked for earlier happen before it."""
        self._check_open()
        job = _Job(work)
        self._jobs.append(job)
        self.under_way += 1
        try:
            await self._pause("before")
            while not job.done:
                self._carry_out(self._jobs.popleft())
            await self._pause("durable")
        finally:
            self.under_way -= 1
        if job.error is not None:
            raise job.error
        return job.result

    def _carry_out(self, job: _Job) -> None:
        job.done = True
        job.error = self._broken or self._refuse()
        if isinstance(job.error, StoreBroken):
            self._broken = job.error
            return
        if job.error is not None:
            return
        try:
            job.result = job.work()
        except StoreBroken as broken:
            job.error = self._broken = broken
        except (NotFound, ValueError) as wrong:
            job.error = wrong

    async def _read(self, work: Callable[[], Any]) -> Any:
        """A look at what is durable; it may be old by the time it is seen."""
        self._check_open()
        await self._pause("before")
        result = work()
        await self._pause("read")
        return result

    def _check_open(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._is_closed:
            raise RuntimeError("the store is closed")

    # The belt

    async def commit(self, batch: Batch) -> list[Repeat | None]:
        answers: list[Repeat | None] = await self._write(lambda: self._commit(batch))
        return answers

    def _commit(self, batch: Batch) -> list[Repeat | None]:
        disk = self._disk
        answers = self._settle_identities(batch)
        refused = {
            acceptance.request.key
            for acceptance, answer in zip(batch.acceptances, answers, strict=True)
            if answer
        }
        accepted = [a for a in batch.acceptances if a.request.key not in refused]
        rows = [row for acceptance in accepted for row in acceptance.rows]
        rows += [row for row in batch.journal if row.key not in refused]
        changes = [change for change in batch.changes if change.key not in refused]
        runs = {a.request.key for a in accepted if a.run is not None}
        self._check_rows(rows, changes, runs)
        for acceptance in accepted:
            request, run = acceptance.request, acceptance.run
            disk.requests[request.key] = request
            if request.identity is not None:
                name = _joined(request.source, request.identity)
                disk.identities[name] = Identity(
                    request.key, request.identity_until, request.body_hash
                )
            if run is None:
                disk.held[request.key] = request.source
            else:
                disk.runs[request.key] = RunRow(
                    run.version_id, run.status, run.ready_at, run.owned
                )
        for row in rows:
            disk.journal.setdefault(row.key, []).append(row)
            self._wrote(row)
        for id in batch.messages_done:
            disk.inbox.pop(id, None)
        for change in changes:
            self._change(change)
        return answers

    def _settle_identities(self, batch: Batch) -> list[Repeat | None]:
        """Answers for each acceptance; nothing is taken yet."""
        answers: list[Repeat | None] = []
        here: dict[str, Identity] = {}
        for acceptance in batch.acceptances:
            request, run = acceptance.request, acceptance.run
            if request.held == (run is not None):
                raise ValueError("a request is either held or has a run")
            if run is None and acceptance.rows:
                raise ValueError("a held request has no journal")
            if any(row.key != request.key for row in (run, *acceptance.rows) if row is not None):
                raise ValueError("a request, its run and its journal have one key")
            answer = None
            if request.identity is not None:
                name = _joined(request.source, request.identity)
                first = here.get(name) or self._disk.identities.get(name)
                if first is not None and first.until > request.accepted_at:
                    answer = Repeat(first.key, first.body_hash == request.body_hash)
                else:
                    here[name] = Identity(request.key, request.identity_until, request.body_hash)
            answers.append(answer)
        return answers

    def _check_rows(
        self, rows: list[JournalRow], changes: list[RunChange], new: set[bytes]
    ) -> None:
        taken: set[tuple[bytes, int]] = set()
        for row in rows:
            there = self._disk.journal.get(row.key, ())
            if (row.key, row.seq) in taken or any(row.seq == old.seq for old in there):
                raise StoreBroken(f"journal row {row.seq} of one run was decided twice")
            taken.add((row.key, row.seq))
        for change in changes:
            if change.key not in self._disk.runs and change.key not in new:
                raise StoreBroken("a decision was made for a run that is not in the store")

    def _change(self, change: RunChange) -> None:
        row = self._disk.runs[change.key]
        row.status = change.status
        row.ready_at = change.ready_at
        row.owned = change.owned
        row.crashes = 0
        if not change.owned and any(m.key == change.key for m in self._disk.inbox.values()):
            row.ready_at = 0

    async def claim(self, now: int, limit: int, *, crashes: int) -> list[StoredRun]:
        keys = await self._write(lambda: self._take(now, limit, crashes))
        return await self._loaded(keys)

    def _take(self, now: int, limit: int, crashes: int) -> list[bytes]:
        ready = [
            (row.ready_at, number, key)
            for number, (key, row) in enumerate(self._disk.runs.items())
            if not row.owned
            and row.ready_at is not None
            and row.ready_at <= now
            and (row.crashes == crashes or row.crashes > crashes >= 5)
        ]
        keys = [key for _, _, key in sorted(ready)[:limit]]
        for key in keys:
            self._disk.runs[key].owned = True
        return keys

    async def claim_one(self, key: bytes) -> StoredRun | None:
        def take() -> list[bytes]:
            row = self._disk.runs.get(key)
            if row is None or row.owned:
                return []
            row.owned = True
            return [key]

        loaded = await self._loaded(await self._write(take))
        return loaded[0] if loaded else None

    async def _loaded(self, keys: list[bytes]) -> list[StoredRun]:
        if not keys:
            return []
        loaded: list[StoredRun] = await self._read(lambda: [self._stored(key) for key in keys])
        return loaded

    def _stored(self, key: bytes) -> StoredRun:
        disk = self._disk
        request, row = disk.requests[key], disk.runs[key]
        return StoredRun(
            key=key,
            version_id=row.version_id,
            crashes=row.crashes,
            body=request.body,
            meta=request.meta,
            entries=[
                row.entry for row in sorted(disk.journal.get(key, ()), key=lambda row: row.seq)
            ],
            messages=[message for message in disk.inbox.values() if message.key == key],
        )

    async def next_ready_at(self) -> int | None:
        def look() -> int | None:
            return min(
                (
                    row.ready_at
                    for row in self._disk.runs.values()
                    if not row.owned and row.ready_at is not None and not row.crashes
                ),
                default=None,
            )

        at: int | None = await self._read(look)
        return at

    async def recover(self) -> int:
        return await self._let_go(1)

    async def hand_over(self) -> int:
        return await self._let_go(0)

    async def _let_go(self, crashes: int) -> int:
        def let_go() -> int:
            owned = [row for row in self._disk.runs.values() if row.owned]
            for row in owned:
                row.owned = False
                row.ready_at = 0
                row.crashes += crashes
            return len(owned)

        number: int = await self._write(let_go)
        return number

    # The inbox

    async def post(self, key: bytes, body: bytes, at: int) -> int:
        def append() -> int:
            disk = self._disk
            row = disk.runs.get(key)
            if row is None:
                raise NotFound("there is no such run")
            if not row.owned:
                row.ready_at = at if row.ready_at is None else min(row.ready_at, at)
            disk.messages += 1
            disk.inbox[disk.messages] = Message(disk.messages, key, body)
            return disk.messages

        id: int = await self._write(append)
        return id

    async def messages_after(self, id: int, limit: int) -> list[Message]:
        def look() -> list[Message]:
            return [m for m in self._disk.inbox.values() if m.id > id][:limit]

        messages: list[Message] = await self._read(look)
        return messages

    # Buffers

    async def release(self, source: str, version_id: int, now: int, limit: int) -> int:
        def let_go() -> int:
            disk = self._disk
            keys = sorted(key for key, owner in disk.held.items() if owner == source)[:limit]
            for key in keys:
                del disk.held[key]
                disk.runs[key] = RunRow(version_id, "waiting", now, False)
            return len(keys)

        number: int = await self._write(let_go)
        return number

    async def held(self, source: str | None) -> dict[str, int]:
        def count() -> dict[str, int]:
            counts: dict[str, int] = {}
            for owner in self._disk.held.values():
                if source is None or owner == source:
                    counts[owner] = counts.get(owner, 0) + 1
            return counts

        found: dict[str, int] = await self._read(count)
        return found

    # Processes

    async def publish(self, process: str, format: Format, text: str, at: int) -> StoredVersion:
        def add() -> StoredVersion:
            versions = self._disk.versions
            earlier = [version for version in versions if version.process == process]
            if earlier and earlier[-1].text == text:
                return earlier[-1]
            digest = hashlib.sha256(text.encode()).hexdigest()
            stored = StoredVersion(
                len(versions) + 1, process, len(earlier) + 1, format, text, digest, at
            )
            versions.append(stored)
            return stored

        version: StoredVersion = await self._write(add)
        return version

    async def newest_versions(self) -> list[StoredVersion]:
        def look() -> list[StoredVersion]:
            newest = {version.process: version for version in self._disk.versions}
            return [newest[name] for name in sorted(newest)]

        versions: list[StoredVersion] = await self._read(look)
        return versions

    async def version(self, process: str, version: int | None) -> StoredVersion:
        what = f"process {process!r} has no version {version or 'yet'}"
        return await self._version(
            lambda v: v.process == process and version in (None, v.version), what
        )

    async def version_by_id(self, id: int) -> StoredVersion:
        return await self._version(lambda v: v.id == id, f"there is no process version {id}")

    async def _version(self, fits: Callable[[StoredVersion], bool], what: str) -> StoredVersion:
        found = await self._read(lambda: [v for v in self._disk.versions if fits(v)])
        if not found:
            raise NotFound(what)
        version: StoredVersion = found[-1]
        return version

    # Reading

    async def run(self, key: bytes) -> tuple[RunRecord, StoredRun | None]:
        def look() -> tuple[RunRecord, StoredRun | None] | None:
            if key not in self._disk.requests:
                return None
            return self._record(key), self._stored(key) if key in self._disk.runs else None

        found: tuple[RunRecord, StoredRun | None] | None = await self._read(look)
        if found is None:
            raise NotFound("there is no such run")
        return found

    def _record(self, key: bytes) -> RunRecord:
        request, row = self._disk.requests[key], self._disk.runs.get(key)
        if row is None:
            row = RunRow(0, "waiting", None, False)
        return RunRecord(
            key=key,
            source=request.source,
            process=request.process,
            version_id=row.version_id or None,
            status="moving" if row.owned else row.status,
            ready_at=row.ready_at,
            accepted_at=request.accepted_at,
            owned=row.owned,
            crashes=row.crashes,
        )

    async def runs(self, filter: RunFilter, limit: int) -> list[RunRecord]:
        def fits(record: RunRecord) -> bool:
            return (
                filter.process in (None, record.process)
                and filter.source in (None, record.source)
                and filter.status in (None, record.status)
                and (filter.since is None or record.accepted_at >= filter.since)
                and (filter.until is None or record.accepted_at < filter.until)
                and (filter.before is None or record.key < filter.before)
            )

        def look() -> list[RunRecord]:
            keys = sorted(self._disk.requests, reverse=True)
            return [record for record in map(self._record, keys) if fits(record)][:limit]

        found: list[RunRecord] = await self._read(look)
        return found

    async def counts(self) -> dict[str, int]:
        def count() -> dict[str, int]:
            rows = list(self._disk.runs.values())
            idle = [row for row in rows if not row.owned]
            return {
                "ready": sum(row.ready_at is not None for row in idle),
                "owned": len(rows) - len(idle),
                "held": len(self._disk.held),
                "stopped": sum(row.status == "stopped" for row in idle),
            }

        found: dict[str, int] = await self._read(count)
        return found

    # What modules remember, and who may do what

    async def value(self, space: str, key: str, now: int) -> bytes | None:
        value, until = await self._read(
            lambda: self._disk.values.get(_joined(space, key), (None, None))
        )
        return value if until is None or until > now else None

    async def put_value(self, space: str, key: str, value: bytes, expires_at: int | None) -> None:
        await self._write(
            lambda: self._disk.values.__setitem__(_joined(space, key), (value, expires_at))
        )

    async def delete_value(self, space: str, key: str, now: int) -> bool:
        found = await self._write(lambda: self._disk.values.pop(_joined(space, key), None))
        return found is not None and (found[1] is None or found[1] > now)

    async def purge_values(self, now: int, limit: int) -> int:
        def purge() -> int:
            values = self._disk.values
            expired = [(until, name) for name, (_, until) in values.items() if until is not None]
            gone = [name for until, name in sorted(expired) if until <= now][:limit]
            for name in gone:
                del values[name]
            return len(gone)

        number: int = await self._write(purge)
        return number

    async def tokens(self) -> list[TokenRecord]:
        def look() -> list[TokenRecord]:
            return sorted(self._disk.tokens.values(), key=lambda t: (t.created_at, t.hash))

        found: list[TokenRecord] = await self._read(look)
        return found

    async def put_token(self, token: TokenRecord) -> None:
        await self._write(lambda: self._disk.tokens.__setitem__(token.hash, token))

    async def source_state(self) -> dict[str, str]:
        found: dict[str, str] = await self._read(lambda: dict(self._disk.source_states))
        return found

    async def set_source_state(self, source: str, state: str) -> None:
        await self._write(lambda: self._disk.source_states.__setitem__(source, state))

    # The whole

    async def backup(self, path: str) -> None:
        def copy() -> None:
            with Path(path).open("xb") as file:
                file.write(msgspec.msgpack.encode(self._disk))

        await self._read(copy)

    async def close(self) -> None:
        while self._jobs:
            self._carry_out(self._jobs.popleft())
        self._is_closed = True


def _joined(first: str, second: str) -> str:
    return f"{first}\0{second}"


def restored(path: Path) -> Disk:
    """The disk that a backup holds."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Disk)


def asyncio_store(disk: Disk | None = None) -> SimulatedStore:
    """The model under asyncio, for the conformance suite; give the same disk to open it again."""
    import asyncio  # noqa: PLC0415 - the simulation itself has no event loop

    sleep = partial(asyncio.sleep, 0)
    return SimulatedStore(Disk() if disk is None else disk, lambda moment: sleep())
