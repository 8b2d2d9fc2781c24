"""What is durable: the tables of the simulated store, and what a transaction does to them.

A disk outlives the process. Each method is one transaction: it happens whole, or raises before it
has changed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from beltline.core.run import Status
from beltline.engine.ports import FULL_WINDOW_MS, LeaseLost, NotFound, StoreBroken
from beltline.engine.records import (
    Acceptance,
    Batch,
    JournalRow,
    Message,
    NewRequest,
    Repeat,
    RunChange,
    RunRecord,
    StoredRun,
    StoredVersion,
    TokenRecord,
)
from beltline.engine.verdict_store import Verdict
from tests.simulation.accounts import Account
from tests.simulation.held import Held

MANY_CRASHES = 5  # asking for this number asks for all greater ones too
OUTRANKING: tuple[Status, ...] = ("cancelled", "stopped")  # told also while the run is owned


class RunRow(msgspec.Struct):
    """The narrow row of a run. `owner` is a membership, `claim` the number of the claim that took
    it.
    """

    version_id: int
    status: Status
    ready_at: int | None
    owner: int | None = None
    crashes: int = 0
    claim: int = 0

    @property
    def owned(self) -> bool:
        """Whether a node moves it."""
        return self.owner is not None


class Member(msgspec.Struct):
    """The membership of a node: `lease_until` by the disk's clock, and what it did last."""

    lease_ms: int
    lease_until: int
    has_ended: bool = False
    commits: int = 0
    answers: list[Repeat | None] = []
    claims: int = 0


class Identity(msgspec.Struct, frozen=True):
    """Whose an identity is, and until when."""

    key: bytes
    until: int
    body_hash: bytes


class Disk(Held, msgspec.Struct):
    """All that is durable. `identities` are by source and identity with a zero between them,
    `values` by space and key in the same way.
    """

    requests: dict[bytes, NewRequest] = {}
    accounts: dict[str, Account] = {}
    runs: dict[bytes, RunRow] = {}
    identities: dict[str, Identity] = {}
    journal: dict[bytes, list[JournalRow]] = {}
    inbox: dict[int, Message] = {}
    messages: int = 0
    versions: list[StoredVersion] = []
    values: dict[str, tuple[bytes, int | None]] = {}
    tokens: dict[bytes, TokenRecord] = {}
    source_states: dict[str, str] = {}
    fired: dict[str, int] = {}
    members: dict[int, Member] = {}
    verdicts: dict[bytes, Verdict] = {}

    # Nodes

    def fence(self, me: int | None) -> Member:
        """The membership, if it lasts. Raises `LeaseLost`."""
        member = self.members.get(me or 0)
        if member is None or member.has_ended:
            raise LeaseLost(f"the membership {me} has ended")
        return member

    def join(self, before: int | None, now: int, lease_ms: int) -> tuple[int, int, list[int]]:
        """A new membership; gives its number, how many runs were recovered, and the memberships
        that were ended for it.
        """
        if not lease_ms:
            self.begin_full(now)
        recovered, ended = self.recover(now, before, None)
        me = len(self.members) + 1
        self.members[me] = Member(lease_ms, now + lease_ms)
        return me, recovered, ended

    def beat(self, me: int | None, now: int) -> tuple[int, list[int]]:
        """Renews the lease, and takes over from the silent, unless it was silent itself."""
        member = self.fence(me)
        was_silent = member.lease_until <= now
        member.lease_until = now + member.lease_ms
        return (0, []) if was_silent else self.recover(now, None, me)

    def recover(self, now: int, also: int | None, but_not: int | None) -> tuple[int, list[int]]:
        """Ends the memberships whose lease ran out, and `also`; gives the number of their runs."""
        silent = [
            number
            for number, member in self.members.items()
            if not member.has_ended
            and number != but_not
            and (number == also or member.lease_until <= now or not member.lease_ms)
        ]
        for number in silent:
            self.members[number].has_ended = True
        if silent:
            is_only = not any(self.members[number].lease_ms for number in silent)
            longer_than = FULL_WINDOW_MS if is_only else 0
            self.count_again(self.perhaps_not_called(silent), now, longer_than=longer_than)
        return self.free(silent, 1), silent

    def perhaps_not_called(self, owners: list[int]) -> dict[str, int]:
        """How many runs of each source these memberships have begun at most."""
        counts: dict[str, int] = {}
        for key, row in self.runs.items():
            if row.owner in owners and len(self.journal.get(key, ())) < 2:
                source = self.requests[key].source
                counts[source] = counts.get(source, 0) + 1
        return counts

    def hand_over(self, me: int | None) -> int:
        """Ends a membership cleanly."""
        member = self.members.get(me or 0)
        if member is not None:
            member.has_ended = True
        return self.free([me or 0], 0)

    def has_suspects(self) -> bool:
        """Whether runs with crashes wait to be claimed."""
        return any(
            row.crashes and not row.owned and row.ready_at is not None for row in self.runs.values()
        )

    def commit_numbered(
        self, me: int | None, number: int, batch: Batch, wrote: Callable[[JournalRow], None]
    ) -> list[Repeat | None]:
        """A commit of a node; one that happened already gives its answers again."""
        known = self.members.get(me or 0)
        if known is not None and known.commits >= number:
            return known.answers
        member = self.fence(me)
        member.answers = self.commit(batch, wrote, me)
        member.commits = number
        return member.answers

    # The belt

    def commit(
        self, batch: Batch, wrote: Callable[[JournalRow], None], me: int | None = None
    ) -> list[Repeat | None]:
        """See `Store.commit`; `wrote` is told of every journal row."""
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
        self._check_rows(rows, changes, runs, me)
        for acceptance in accepted:
            request, run = acceptance.request, acceptance.run
            self.requests[request.key] = request
            if request.identity is not None:
                name = joined(request.source, request.identity)
                self.identities[name] = Identity(
                    request.key, request.identity_until, request.body_hash
                )
            if run is None:
                self.hold(request)
            else:
                owner = me if run.owned else None
                self.runs[request.key] = RunRow(run.version_id, run.status, run.ready_at, owner)
        for row in rows:
            self.journal.setdefault(row.key, []).append(row)
            wrote(row)
        for id in batch.messages_done:
            self.inbox.pop(id, None)
        for change in changes:
            self.change(change, me)
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
            answer = self.repeated(request, here)
            if request.identity is not None and answer is None:
                name = joined(request.source, request.identity)
                here[name] = Identity(request.key, request.identity_until, request.body_hash)
            answers.append(answer)
        return answers

    def repeated(self, request: NewRequest, here: dict[str, Identity]) -> Repeat | None:
        """Whose the request's identity is; `here` are those of the same batch."""
        if request.identity is None:
            return None
        name = joined(request.source, request.identity)
        first = here.get(name) or self.identities.get(name)
        if first is None or first.until <= request.accepted_at:
            return None
        return Repeat(first.key, first.body_hash == request.body_hash)

    def _check_rows(
        self, rows: list[JournalRow], changes: list[RunChange], new: set[bytes], me: int | None
    ) -> None:
        taken: set[tuple[bytes, int]] = set()
        for row in rows:
            there = self.journal.get(row.key, ())
            if (row.key, row.seq) in taken or any(row.seq == old.seq for old in there):
                raise StoreBroken(f"journal row {row.seq} of one run was decided twice")
            taken.add((row.key, row.seq))
        for change in changes:
            run = self.runs.get(change.key)
            if change.key not in new and (run is None or run.owner != me):
                raise StoreBroken("a decision was made for a run that this node does not own")

    def change(self, change: RunChange, me: int | None) -> None:
        """Sets a run's row."""
        row = self.runs[change.key]
        row.status = change.status
        row.ready_at = change.ready_at
        row.owner = me if change.owned else None
        row.crashes = 0
        self.move_line_on(change)
        if not change.owned and any(m.key == change.key for m in self.inbox.values()):
            row.ready_at = 0

    def take(
        self, me: int | None, number: int, now: int, limit: int, crashes: int, max_bytes: int
    ) -> tuple[list[bytes], bool]:
        """Takes runs that are ready; gives their keys, and whether others are left. A claim that
        happened already gives the same again.
        """
        member = self.fence(me)
        if member.claims >= number:
            rows = self.runs.items()
            return [key for key, row in rows if row.owner == me and row.claim == number], True
        keys, more = self.find(now, limit, crashes, max_bytes)
        self.mark(me, number, keys)
        return keys, more

    def mark(self, me: int | None, number: int, keys: list[bytes]) -> None:
        """These runs are a node's from now on."""
        self.fence(me).claims = number
        for key in keys:
            self.runs[key].owner, self.runs[key].claim = me, number

    def find(self, now: int, limit: int, crashes: int, max_bytes: int) -> tuple[list[bytes], bool]:
        """Runs that may be taken, and whether there are others."""
        ready = [
            (row.ready_at, number, key)
            for number, (key, row) in enumerate(self.runs.items())
            if not row.owned
            and row.ready_at is not None
            and row.ready_at <= now
            and (row.crashes == crashes or row.crashes > crashes >= MANY_CRASHES)
        ]
        keys: list[bytes] = []
        left = max_bytes
        for _, _, key in sorted(ready)[:limit]:
            left -= self._size(key)
            if left < 0 and keys:
                break
            keys.append(key)
        return keys, len(keys) < len(ready)

    def _size(self, key: bytes) -> int:
        """The bytes of a run that are loaded."""
        request = self.requests[key]
        entries = sum(len(row.entry) for row in self.journal.get(key, ()))
        return len(request.body) + len(request.meta) + entries

    def stored(self, key: bytes) -> StoredRun:
        """A run with all that its state is folded from."""
        request, row = self.requests[key], self.runs[key]
        return StoredRun(
            key=key,
            version_id=row.version_id,
            crashes=row.crashes,
            body=request.body,
            meta=request.meta,
            entries=[
                row.entry for row in sorted(self.journal.get(key, ()), key=lambda row: row.seq)
            ],
            messages=[message for message in self.inbox.values() if message.key == key],
        )

    def record(self, key: bytes) -> RunRecord:
        """A run, or a held request, as lists show it."""
        request, row = self.requests[key], self.runs.get(key)
        if row is None:
            row = RunRow(0, "waiting", None)
        return RunRecord(
            key=key,
            source=request.source,
            process=request.process,
            version_id=row.version_id or None,
            status="moving" if row.owned and row.status not in OUTRANKING else row.status,
            ready_at=row.ready_at,
            accepted_at=request.accepted_at,
            owned=row.owned,
            crashes=row.crashes,
        )

    def free(self, owners: list[int], crashes: int) -> int:
        """Lets go of the runs of memberships, and counts so many crashes; gives their number."""
        owned = [row for row in self.runs.values() if row.owner in owners]
        for row in owned:
            row.owner = None
            row.ready_at = 0
            row.crashes += crashes
        return len(owned)

    def post(self, key: bytes, body: bytes, at: int) -> int:
        """Appends a message; gives its id. Raises `NotFound`."""
        row = self.runs.get(key)
        if row is None:
            raise NotFound("there is no such run")
        if not row.owned:
            row.ready_at = at if row.ready_at is None else min(row.ready_at, at)
        self.messages += 1
        self.inbox[self.messages] = Message(self.messages, key, body)
        return self.messages

    def purge_identities(self, now: int, limit: int) -> int:
        """Removes identities that are free again; gives their number."""
        free = [name for name, identity in self.identities.items() if identity.until <= now]
        for name in free[:limit]:
            del self.identities[name]
        return len(free[:limit])

    def fire(self, schedule: str, due_at: int, acceptance: Acceptance) -> bool:
        """Accepts what a schedule makes, once."""
        if self.fired.get(schedule, due_at - 1) >= due_at:
            return False
        self.fired[schedule] = due_at
        self.commit(Batch([acceptance], [], [], []), lambda row: None)
        return True


def joined(first: str, second: str) -> str:
    """Two names as one key."""
    return f"{first}\0{second}"


def write_disk(disk: Disk, path: Path) -> None:
    """Writes a copy to a new file. Raises `FileExistsError`."""
    with path.open("xb") as file:
        file.write(msgspec.msgpack.encode(disk))


def read_disk(path: Path) -> Disk:
    """The disk that was written to a file."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Disk)
