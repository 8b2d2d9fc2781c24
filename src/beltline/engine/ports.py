"""What the engine needs from the world, as promises in words.

`tests/conformance` holds every implementation of a port to what its docstrings say. Times are Unix
milliseconds. A run's `key` is its id as 16 bytes; ids are UUIDv7, so keys are ordered by time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from beltline.core.inputs import Answer, Input
from beltline.core.turn import Call
from beltline.engine.buffer_store import BufferStore
from beltline.engine.event_store import EventStore
from beltline.engine.limit_store import LimitStore
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
from beltline.engine.verdict_store import VerdictStore

FULL_WINDOW_MS = 3_600_000

# Errors, by who must act


class StoreFull(Exception):
    """The world: no room is left. Nothing of the commit happened; try the same again later."""


class StoreBroken(Exception):
    """The operator: writing or syncing failed. What the file holds is not known any more, so the
    process must end and recover; the same write is never tried again.
    """


class StoreAway(Exception):
    """The world: the store cannot be reached, and what was asked may have happened or not. Asking
    the very same again is safe where the method says so.
    """


class LeaseLost(Exception):
    """The world: this node was silent for longer than its lease, and others have taken its runs
    over. Nothing of what was asked happened; what is in memory does not count any more, and the
    node has to join anew.
    """


class NotFound(LookupError):
    """The caller: there is no such run, process, version, or source."""


class Store(BufferStore, VerdictStore, LimitStore, EventStore, Protocol):
    """Where everything is durable.

    Every method that changes something returns only when the change has survived a power loss.
    Calls that wait at the same time may share one transaction; each still happens whole or not at
    all, and in the order of the calls. All raise `StoreFull` and `StoreBroken`, and `StoreAway`
    where the store is at the other end of a network.

    Several nodes may share a store. A run that is owned is moved by one of them, which its row
    names. What only an owner may do (`commit`, `claim`, `claim_one`, `beat`) is fenced: it happens
    only while the node's membership lasts, and raises `LeaseLost` after it.
    """

    # The nodes

    async def join(self) -> int:
        """Begins a membership: what this store commits and claims from now on belongs to it. Lets
        go of every run whose owner is gone without handing it over (a membership of this store
        before this one; on a store of one node, any), ready at once, and raises its `crashes`.
        Gives the number of these.

        Those of them that a window had let go, and that were perhaps never called for (they have at
        most one journal row), count in their window as uses of now. On a store of one node, whose
        clock may have been set meanwhile, such windows of up to `FULL_WINDOW_MS` begin full.
        """
        ...

    async def beat(self) -> Beat:
        """Tells the other nodes that this one lives, and does what `join` does for nodes that were
        silent for longer than their lease, by the store's own clock. Called often in each lease.
        """
        ...

    async def hand_over(self) -> int:
        """Ends the membership cleanly: lets go of every run that it owns, ready at once, counting
        nothing. Gives their number.
        """
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Has `wake` called, in the event loop, whenever another program may have made something
        ready. It may be called too often, and not every time: who needs to know looks now and then.
        """
        ...

    # The belt

    async def commit(self, batch: Batch) -> list[Repeat | None]:
        """Makes the batch durable. The answers stand in the order of `acceptances`: None for an
        accepted one, else the request that holds its identity (also one earlier in this batch).
        A journal row whose (key, seq) exists means that two writers decided: `StoreBroken`; so
        does a change for a run that is not there. After `StoreAway` the next call must be with the
        same batch: it happens once, however often it is asked.
        """
        ...

    async def claim(self, now: int, limit: int, *, crashes: int, max_bytes: int) -> Claimed:
        """Takes up to `limit` runs that nobody owns, are ready at `now` and have this number of
        `crashes` (5 stands for 5 and more), the earliest `ready_at` first, whatever their status.
        They are owned now.

        It stops before the run with which their bodies, metas and journal entries would together
        take more than `max_bytes`; the first is taken however large it is. Memory stays within a
        small multiple of what is taken. What a call took before it raised `StoreAway` comes with
        the next one.
        """
        ...

    async def claim_one(self, key: bytes) -> StoredRun | None:
        """Takes this run whatever its `ready_at`; None if it is owned or does not exist."""
        ...

    async def next_ready_at(self) -> int | None:
        """The earliest `ready_at` of the runs that nobody owns and that have no crashes."""
        ...

    # The inbox

    async def post(self, key: bytes, body: bytes, at: int) -> int:
        """Appends a message for a run and makes it ready at `at` if nobody owns it. Gives the
        message's id, which rises. Raises `NotFound`.
        """
        ...

    async def messages_after(self, id: int, limit: int) -> list[Message]:
        """Messages with a greater id for runs that this store's membership owns, in order of their
        ids. A message may be seen later than one with a greater id: look again from 0.
        """
        ...

    # What all nodes share, by the store's own clock

    async def allow(self, name: str, wanted: int, at_most: int, every_ms: int) -> Allowance:
        """Counts up to `wanted` uses of `name` for which there is room: in any `every_ms`
        milliseconds there are at most `at_most`, of all nodes together.
        """
        ...

    async def fire(self, schedule: str, due_at: int, acceptance: Acceptance) -> bool:
        """Accepts what a schedule makes at its time `due_at`, once: False, and nothing is stored,
        where this time or a later one was fired already. Its run must not be owned.
        """
        ...

    async def fired_at(self, schedule: str) -> int | None:
        """The latest time for which a schedule fired."""
        ...

    # Processes

    async def publish(self, process: str, format: Format, text: str, at: int) -> StoredVersion:
        """Stores a new version, or gives the newest one where its text is the same."""
        ...

    async def newest_versions(self) -> list[StoredVersion]:
        """The newest version of every process, by name."""
        ...

    async def version(self, process: str, version: int | None) -> StoredVersion:
        """One version; None for the newest. Raises `NotFound`."""
        ...

    async def version_by_id(self, id: int) -> StoredVersion:
        """The version that a run points to. Raises `NotFound`."""
        ...

    # Reading

    async def run(self, key: bytes) -> tuple[RunRecord, StoredRun | None]:
        """A run as it stands, without taking it; None in the second place for a held request.
        Raises `NotFound`.
        """
        ...

    async def runs(self, filter: RunFilter, limit: int) -> list[RunRecord]:
        """A page of runs and held requests, newest first."""
        ...

    async def counts(self) -> dict[str, int]:
        """Totals for metrics: `ready` (waiting to be claimed), `owned`, `held`, `stopped`. A run
        counts as stopped beside one of the others.
        """
        ...

    # What modules remember, and who may do what

    async def value(self, space: str, key: str, now: int) -> bytes | None:
        """A remembered JSON value that has not expired."""
        ...

    async def values(self, space: str, now: int) -> dict[str, bytes]:
        """All values of a space that have not expired, by key. For spaces that stay small."""
        ...

    async def put_value(self, space: str, key: str, value: bytes, expires_at: int | None) -> None:
        """Remembers a value, in place of an earlier one."""
        ...

    async def put_value_if_absent(
        self, space: str, key: str, value: bytes, expires_at: int | None, now: int
    ) -> bytes:
        """Remembers a value unless there is one that has not expired; gives the one that is
        there now, which is that of whoever came first, over all nodes.
        """
        ...

    async def delete_value(self, space: str, key: str, now: int) -> bool:
        """Forgets it; tells whether there was one that had not expired."""
        ...

    async def purge_values(self, now: int, limit: int) -> int:
        """Removes up to `limit` expired values; gives their number."""
        ...

    async def repeated(self, request: NewRequest) -> Repeat | None:
        """Whose the request's identity is, as a commit would tell it; None where it has none, or
        a free one.
        """
        ...

    async def purge_identities(self, now: int, limit: int) -> int:
        """Removes up to `limit` identities that were unique until `now` or earlier; gives their
        number.
        """
        ...

    async def tokens(self) -> list[TokenRecord]:
        """All access tokens."""
        ...

    async def put_token(self, token: TokenRecord) -> None:
        """Adds an access token."""
        ...

    async def source_state(self) -> dict[str, str]:
        """What people set on sources: source -> `paused` or `released`."""
        ...

    async def set_source_state(self, source: str, state: str) -> None:
        """Keeps what a person set on a source."""
        ...

    async def tend(self) -> None:
        """What a store needs now and then beside its work: room for the time that comes, and none
        for what is older than what is kept. To be called each minute or more often.
        """
        ...

    async def backup(self, path: str) -> None:
        """Writes a consistent copy of the whole store to a new file."""
        ...

    async def close(self) -> None:
        """Finishes what is under way and lets go of the files."""
        ...


# What carries calls and time


class Posted(msgspec.Struct, frozen=True):
    """Something for the belt to decide on."""

    key: bytes
    input: Input


class Mailbox(Protocol):
    """What the belt still has to decide on, in order of arrival; any thread may post."""

    def post(self, items: Sequence[Any]) -> None:
        """Adds items and wakes the belt."""
        ...

    async def take(self, limit: int) -> list[Any]:
        """Up to `limit` items; waits until there is one."""
        ...

    def clear(self) -> list[Any]:
        """All items, which are gone from here."""
        ...


class Bell(Protocol):
    """Wakes one coroutine; rings that nobody waited for are kept as one."""

    def ring(self) -> None:
        """Wakes the waiting coroutine, or the next one that waits."""
        ...

    async def wait(self, until: int | None = None) -> None:
        """Returns at the next ring, or at `until`, whichever is first."""
        ...


class Clock(Protocol):
    """The time of day."""

    def now(self) -> int:
        """Unix milliseconds; never less than what it gave before in this process."""
        ...

    def follow(self, shared: int) -> None:
        """It is `shared` now by the clock that all nodes share: from here on this one goes by it,
        whatever the machine's own says.
        """
        ...


class Report(Protocol):
    """Tells an operator what no run's journal can."""

    def __call__(self, event: str, run: str, reason: str) -> None:
        """One line of the log."""
        ...


class Reply(Protocol):
    """One answer for one waiter."""

    def give(self, answer: Any) -> None:
        """Sets the answer; only the first counts, and a waiter that has gone does not matter."""
        ...

    async def wait(self) -> Any:
        """The answer."""
        ...


Reached = Literal["", "yes", "no", "away", "broken"]


class Dispatched(msgspec.Struct):
    """A call on its way out: which run it belongs to, what it asks, and for which process.

    The outgoing client tells here what it met on the step's connection: how many `requests` it
    made, and whether the last one `reached` the other side. "no": nothing was sent; "away":
    something before it answered that it is not there; "broken": the way broke in between. `trouble`
    has the words.
    """

    key: bytes
    run: str
    call: Call
    process: str = ""
    requests: int = 0
    reached: Reached = ""
    trouble: str = ""


class Transport(Protocol):
    """Carries calls to handlers and posts their answers.

    For each dispatched call it posts to its mailbox at most one `Posted` with `Answered` or
    `AttemptFailed` while the process lives; a lost answer is the belt's to notice, by the
    deadline. Where a handler will answer later it posts `Deferred` instead, and the answer comes by
    the run's inbox. It never raises and never blocks: what goes wrong with a call is its answer.
    """

    def dispatch(self, calls: list[Dispatched]) -> None:
        """Takes over calls whose decisions are durable."""
        ...

    def dispatch_batch(self, calls: list[Dispatched]) -> None:
        """Takes over calls of one module that go to its batch handler together. Each has an answer
        of its own.
        """
        ...

    def call_inline(self, call: Dispatched) -> Answer:
        """Runs a `pure` handler here and now and gives its answer."""
        ...
