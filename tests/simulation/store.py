"""A model of the store: the calls of the port over a `Disk`, which outlives the process.

It keeps the promises of `engine.ports.Store`, is held to the same conformance suite as the real
stores, and adds what a test needs: every call can be left before it happened, after it became
durable, or be refused for want of room.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from beltline.engine.ports import LeaseLost, NotFound, StoreAway, StoreBroken, StoreFull
from beltline.engine.records import (
    Acceptance,
    Allowance,
    Batch,
    Beat,
    Claimed,
    Format,
    JournalRow,
    Message,
    NewRequest,
    Repeat,
    RunFilter,
    RunRecord,
    StoredRun,
    StoredVersion,
    TokenRecord,
)
from tests.simulation.buckets import SimulatedBuckets
from tests.simulation.buffers import SimulatedBuffers
from tests.simulation.disk import Disk, write_disk
from tests.simulation.events import SimulatedEvents
from tests.simulation.memory import SimulatedMemory
from tests.simulation.verdicts import SimulatedVerdicts

Moment = Literal["before", "durable", "read"]
Fate = Literal["", "unsent", "unanswered", "late"]


class _Job:
    """One transaction that waits for its turn."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None


class Numbers:
    """The numbers of what a membership asks for; one that is left in doubt is asked for again."""

    def __init__(self) -> None:
        self._last = 0
        self._in_doubt = 0

    @contextmanager
    def one(self) -> Iterator[int]:
        """The number of what is asked for inside."""
        if not self._in_doubt:
            self._last += 1
        number = self._in_doubt or self._last
        self._in_doubt = 0
        try:
            yield number
        except (StoreAway, StoreFull):
            self._in_doubt = number
            raise


class SimulatedStore(
    SimulatedBuffers, SimulatedVerdicts, SimulatedBuckets, SimulatedEvents, SimulatedMemory
):
    """Fulfils `engine.ports.Store`.

    `pause` is awaited before a call happens and before it is answered. `refuse` may give the
    error that the next transaction fails with; `StoreBroken` leaves open whether it happened.
    `wrote` is told of every journal row in the moment it is durable, `note` of what becomes of
    memberships and of who takes which run, and of what leaves its buffer.

    With a lease the store is at the other end of a network: `doubt` tells whether what a node asks
    for is lost on its way, or its answer is; `later` carries out what arrives only after the node
    has given up. Without one there is but one node, and whoever joins takes over from all.
    """

    def __init__(
        self,
        disk: Disk,
        pause: Callable[[Moment], Awaitable[None]],
        *,
        refuse: Callable[[], Exception | None] = lambda: None,
        wrote: Callable[[JournalRow], None] = lambda row: None,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        lease_ms: int = 0,
        doubt: Callable[[], Fate] = lambda: "",
        later: Callable[[Callable[[], None]], None] = lambda work: None,
        note: Callable[..., None] = lambda *what: None,
        local_now: Callable[[], int] = lambda: 0,
    ) -> None:
        self._now = now
        self._local_now = local_now  # the clock of the node, which decides nothing here
        self._lease_ms = lease_ms
        self._doubt = doubt
        self._later = later
        self._note = note
        self._me: int | None = None
        self._commit_numbers, self._claim_numbers = Numbers(), Numbers()
        self._disk = disk
        self._accounts = disk.accounts if lease_ms else {}  # else they are gone with the process
        self._pause = pause
        self._refuse = refuse
        self._wrote = wrote
        self._jobs: deque[_Job] = deque()
        self._broken: StoreBroken | None = None
        self._is_closed = False
        self.under_way = 0  # transactions that have not been answered

    async def _write(self, work: Callable[[], Any], fate: Fate = "") -> Any:
        """One transaction; those that were asked for earlier happen before it."""
        self._check_open()
        job = _Job(work)
        if fate not in ("unsent", "late"):
            self._jobs.append(job)
        self.under_way += 1
        try:
            await self._pause("before")
            if fate == "unsent":
                raise StoreAway("the question was lost")
            if fate == "late":
                self._later(lambda: self._carry_out(job))
                raise StoreAway("the question is still on its way")
            while not job.done:
                self._carry_out(self._jobs.popleft())
            await self._pause("durable")
        finally:
            self.under_way -= 1
        if fate == "unanswered":
            raise StoreAway("the answer was lost")
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
        except (NotFound, ValueError, LeaseLost) as wrong:
            job.error = wrong

    async def _read(self, work: Callable[[], Any]) -> Any:
        """A look at what is durable; it may be old by the time it is seen."""
        self._check_open()
        if self._doubt():
            await self._pause("before")
            raise StoreAway("the answer was lost")
        return await self._look(work)

    async def _look(self, work: Callable[[], Any]) -> Any:
        await self._pause("before")
        result = work()
        await self._pause("read")
        return result

    def is_owner(self, key: bytes) -> bool:
        """Whether this store's membership moves the run, as the disk has it."""
        return self._disk.runs[key].owner == self._me

    def _check_open(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._is_closed:
            raise RuntimeError("the store is closed")

    # The nodes

    async def join(self) -> int:
        before = self._me

        def join() -> tuple[int, int]:
            me, recovered, ended = self._disk.join(before, self._now(), self._lease_ms)
            self._note("ended", ended, before)
            self._note("joined", me)
            return me, recovered

        self._me, recovered = await self._write(join, self._doubt())
        self._commit_numbers, self._claim_numbers = Numbers(), Numbers()
        return int(recovered)

    async def beat(self) -> Beat:
        if not self._lease_ms:
            return Beat(None, 0, has_suspects=False)
        me = self._me

        def beat() -> Beat:
            recovered, ended = self._disk.beat(me, self._now())
            self._note("ended", ended, None)
            return Beat(self._now(), recovered, self._disk.has_suspects())

        told: Beat = await self._write(beat, self._doubt())
        return told

    async def hand_over(self) -> int:
        me = self._me

        def hand_over() -> int:
            self._note("ended", [me], me)
            return self._disk.hand_over(me)

        number: int = await self._write(hand_over)
        return number

    def listen(self, wake: Callable[[], None]) -> None:
        """Nothing wakes."""

    # The belt

    async def commit(self, batch: Batch) -> list[Repeat | None]:
        me = self._me
        with self._commit_numbers.one() as number:
            answers: list[Repeat | None] = await self._write(
                lambda: self._disk.commit_numbered(me, number, batch, self._wrote_by(me)),
                self._doubt(),
            )
        return answers

    def _wrote_by(self, me: int | None) -> Callable[[JournalRow], None]:
        def wrote(row: JournalRow) -> None:
            self._note("wrote", me, row.key, row.seq)
            self._wrote(row)

        return wrote

    async def claim(self, now: int, limit: int, *, crashes: int, max_bytes: int) -> Claimed:
        me = self._me
        with self._claim_numbers.one() as number:

            def take() -> tuple[list[bytes], bool]:
                keys, more = self._disk.take(me, number, now, limit, crashes, max_bytes)
                self._note("took", me, keys)
                return keys, more

            keys, more = await self._write(take, self._doubt())
            return Claimed(await self._loaded(keys), more)

    async def claim_one(self, key: bytes) -> StoredRun | None:
        def take() -> list[bytes]:
            self._disk.fence(self._me)
            row = self._disk.runs.get(key)
            if row is None or row.owned:
                return []
            row.owner = self._me
            return [key]

        loaded = await self._loaded(await self._write(take))
        return loaded[0] if loaded else None

    async def _loaded(self, keys: list[bytes]) -> list[StoredRun]:
        if not keys:
            return []
        loaded: list[StoredRun] = await self._look(lambda: [self._disk.stored(key) for key in keys])
        return loaded

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

    # The inbox

    async def post(self, key: bytes, body: bytes, at: int) -> int:
        id: int = await self._write(lambda: self._disk.post(key, body, at))
        return id

    async def messages_after(self, id: int, limit: int) -> list[Message]:
        def look() -> list[Message]:
            rows = self._disk.runs
            return [
                message
                for message in self._disk.inbox.values()
                if message.id > id and rows[message.key].owner == self._me
            ][:limit]

        messages: list[Message] = await self._read(look)
        return messages

    # What all nodes share

    async def allow(self, name: str, wanted: int, at_most: int, every_ms: int) -> Allowance:
        allowance: Allowance = await self._write(
            lambda: self._disk.allow(name, wanted, at_most, every_ms, self._now())
        )
        return allowance

    async def fire(self, schedule: str, due_at: int, acceptance: Acceptance) -> bool:
        acceptance.check_scheduled()
        fired: bool = await self._write(lambda: self._disk.fire(schedule, due_at, acceptance))
        return fired

    async def fired_at(self, schedule: str) -> int | None:
        at: int | None = await self._read(lambda: self._disk.fired.get(schedule))
        return at

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
            stored = self._disk.stored(key) if key in self._disk.runs else None
            return self._disk.record(key), stored

        found: tuple[RunRecord, StoredRun | None] | None = await self._read(look)
        if found is None:
            raise NotFound("there is no such run")
        return found

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
            return [record for record in map(self._disk.record, keys) if fits(record)][:limit]

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
                "stopped": sum(row.status == "stopped" for row in rows),
            }

        found: dict[str, int] = await self._read(count)
        return found

    # Whose identities are, and who may do what

    async def repeated(self, request: NewRequest) -> Repeat | None:
        answer: Repeat | None = await self._read(lambda: self._disk.repeated(request, {}))
        return answer

    async def purge_identities(self, now: int, limit: int) -> int:
        number: int = await self._write(lambda: self._disk.purge_identities(now, limit))
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

    async def tend(self) -> None:
        """Nothing is to be done beside the work."""

    async def backup(self, path: str) -> None:
        await self._read(lambda: write_disk(self._disk, Path(path)))

    async def close(self) -> None:
        while self._jobs:
            self._carry_out(self._jobs.popleft())
        self._is_closed = True
