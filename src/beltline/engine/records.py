"""The rows that go into a store and come out of it.

Times are Unix milliseconds. A run's `key` is its id as 16 bytes; ids are UUIDv7, so keys are
ordered by time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from beltline.core.run import Status

# What a commit holds


class NewRequest(msgspec.Struct, frozen=True):
    """A request as it is kept: never changed afterwards.

    `body` and `meta` are JSON. `identity` is unique per source until `identity_until`; `body_hash`
    tells a true repeat from another request under the same identity.

    A `held` request waits in its source's buffer and has no run. Of one `line` (where it has any)
    requests go one after the other: each when the run of the one before it has ended, or has
    stopped where it `passes_stopped`. Of those that may go the least `place` goes first. At
    `expires_at` it has waited for too long.
    """

    key: bytes
    source: str
    process: str
    accepted_at: int
    body: bytes
    meta: bytes
    body_hash: bytes = b""
    identity: str | None = None
    identity_until: int = 0
    held: bool = False
    line: str = ""
    passes_stopped: bool = False
    place: int = 0
    expires_at: int | None = None


class NewRun(msgspec.Struct, frozen=True):
    """The row of a run that starts with its request, under the same key.

    `owned` says that the accepting node moves it at once; otherwise it waits to be claimed from
    `ready_at` on. `version_id` is the store's number of the process version.
    """

    key: bytes
    version_id: int
    status: Status
    ready_at: int | None
    owned: bool


class JournalRow(msgspec.Struct, frozen=True):
    """The events of one decision; `seq` is the number of the first of them, unique in the run."""

    key: bytes
    seq: int
    entry: bytes


class RunChange(msgspec.Struct, frozen=True):
    """A run's row after a decision. It also clears the run's crashes.

    `owned` False lets go of the run: it is claimed again from `ready_at` on, or never by itself
    where that is None. A run that still has messages (after `messages_done` of the same batch) is
    ready at once when it is let go of, whatever `ready_at` says.
    """

    key: bytes
    status: Status
    ready_at: int | None
    owned: bool


class Expectation(msgspec.Struct, frozen=True):
    """What a visit of a run waits for from outside, since `at`: an event of this `name` and
    `event_key`, or a person's decision on what has the title `name`. It is one thing at a time.
    """

    key: bytes
    step: str
    visit: int
    kind: Literal["event", "approval"]
    name: str
    event_key: str
    at: int


class NewMessage(msgspec.Struct, frozen=True):
    """A message of one run for another, as `Store.post` takes it: nothing happens where there is no
    such run.
    """

    key: bytes
    body: bytes
    at: int


class Acceptance(msgspec.Struct, frozen=True):
    """A request, with its run where it is released at once, and the run's first journal rows where
    the accepting node moves it itself.
    """

    request: NewRequest
    run: NewRun | None = None
    rows: list[JournalRow] = []

    def check(self) -> None:
        """Refuses a request that would have neither a run nor a place in a buffer, or both. Raises
        `ValueError`.
        """
        request, run = self.request, self.run
        if request.held == (run is not None):
            raise ValueError("a request is either held or has a run")
        if run is None:
            if self.rows:
                raise ValueError("a held request has no journal")
        elif run.key != request.key or any(row.key != request.key for row in self.rows):
            raise ValueError("a request, its run and its journal have one key")

    def check_scheduled(self) -> None:
        """The same for what a schedule makes: its run waits to be claimed, and it has no identity,
        since its schedule and time are one. Raises `ValueError`.
        """
        self.check()
        if self.rows or (self.run is not None and self.run.owned):
            raise ValueError("the run of a schedule waits to be claimed")
        if self.request.identity is not None:
            raise ValueError("a request of a schedule has no identity")


class Batch(msgspec.Struct):
    """All that one transaction makes durable, or nothing of it.

    Rows, changes and expectations of a run whose acceptance turns out to be a repeat are dropped
    with it. To the visits `awaited_no_more` (run, step, visit) nothing is given from here on; what
    is `awaited` takes the oldest event that was kept for it, if there is one.
    """

    acceptances: list[Acceptance] = []
    journal: list[JournalRow] = []
    changes: list[RunChange] = []
    messages_done: list[int] = []
    awaited: list[Expectation] = []
    awaited_no_more: list[tuple[bytes, str, int]] = []
    messages: list[NewMessage] = []


class Repeat(msgspec.Struct, frozen=True):
    """The answer for an acceptance whose identity is taken: nothing of it was stored.

    `key` is the first request's; `same_body` tells whether this is the same request again.
    """

    key: bytes
    same_body: bool


class Window(msgspec.Struct, frozen=True):
    """At most `at_most` uses of `name` in any `every_ms` milliseconds, of all nodes together."""

    name: str
    at_most: int
    every_ms: int


class Due(msgspec.Struct, frozen=True):
    """A time at which a source's schedule lets up to `at_most` of the requests go that came before
    it (None: all).
    """

    at: int
    at_most: int | None


class ReleaseOrder(msgspec.Struct, frozen=True):
    """What may leave a source's buffer now, up to `limit` requests.

    `versions` gives the process versions that they are to go through; those of other processes
    stay. A `window` counts them. With `due` they are counted for that time of the schedule, which
    begins when it is asked for first; earlier times end with it.
    """

    source: str
    versions: dict[str, int]
    limit: int
    window: Window | None = None
    due: Due | None = None


class Released(msgspec.Struct, frozen=True):
    """How many requests left the buffer, and how long it takes until the window may have room for
    another one, by the clock that it is counted by (None where there is no window).
    """

    number: int
    wait_ms: int | None = None


class Collection(msgspec.Struct, frozen=True):
    """Held requests that become one: `acceptance` is the one, `members` the runs with which each
    of them ends, `rows` their journals.
    """

    acceptance: Acceptance
    members: list[NewRun]
    rows: list[JournalRow]


# What a store gives


class StoredRequest(msgspec.Struct, frozen=True):
    """A request as it came in; `body` and `meta` are JSON."""

    key: bytes
    source: str
    process: str
    accepted_at: int
    body: bytes
    meta: bytes


class HeldRequest(msgspec.Struct, frozen=True):
    """A request that waits in a buffer. Of one `line` the first goes when `behind` has ended: a
    run, or a request that waits itself; None where nothing of its line is in the way.
    """

    key: bytes
    source: str
    process: str
    line: str
    place: int
    expires_at: int | None
    behind: bytes | None


class HeldCount(msgspec.Struct, frozen=True):
    """How many requests a source holds, and the key of the oldest one."""

    number: int
    oldest: bytes


class HeldFilter(msgspec.Struct, frozen=True):
    """Which held requests of a source: of one process, of one line, of those at `keys`; from
    `since` on and before `until`, by the times of their keys. With `may_go` only those that are
    behind nobody.
    """

    source: str
    process: str | None = None
    line: str | None = None
    keys: tuple[bytes, ...] | None = None
    since: int | None = None
    until: int | None = None
    may_go: bool = False


class Message(msgspec.Struct, frozen=True):
    """Something for a run from outside its node: a command as `core.inputs` encodes it."""

    id: int
    key: bytes
    body: bytes


class StoredRun(msgspec.Struct, frozen=True):
    """A claimed run with all that its state is folded from."""

    key: bytes
    version_id: int
    crashes: int
    body: bytes
    meta: bytes
    entries: list[bytes]
    messages: list[Message]

    @property
    def size(self) -> int:
        """The bytes of what is loaded."""
        return len(self.body) + len(self.meta) + sum(map(len, self.entries))


class Claimed(msgspec.Struct, frozen=True):
    """The runs that a claim took, and whether it left others that it could have taken too."""

    runs: list[StoredRun]
    more: bool


class Beat(msgspec.Struct, frozen=True):
    """What a store tells a node that lives: the time by the clock that all nodes share (None where
    there is but one node), how many runs it let go of whose owners were silent, and whether any run
    with crashes waits to be claimed.
    """

    now: int | None
    recovered: int
    has_suspects: bool


class Allowance(msgspec.Struct, frozen=True):
    """How many uses were counted, at which time of the store, and the time from which there may be
    room for another one.
    """

    granted: int
    at: int
    next_at: int


Format = Literal["yaml", "json", "php"]


class StoredVersion(msgspec.Struct, frozen=True):
    """A published version of a process; `text` as its author wrote it (in `format`)."""

    id: int
    process: str
    version: int
    format: Format
    text: str
    hash: str
    published_at: int


class RunRecord(msgspec.Struct, frozen=True):
    """A run or a held request as lists and pages show it; `version_id` None for a held one.

    The status is what the run's row says; but while the run is owned it is "moving", unless the
    row says "cancelled" or "stopped": a run may be stopped and moving, and a person must see it.
    """

    key: bytes
    source: str
    process: str
    version_id: int | None
    status: Status
    ready_at: int | None
    accepted_at: int
    owned: bool
    crashes: int


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs to list, newest first; `before` is the key that the last page ended with.

    `status` is the one that the record tells. `since` and `until` bound `accepted_at`: from `since`
    on, and before `until`.
    """

    process: str | None = None
    source: str | None = None
    status: Status | None = None
    since: int | None = None
    until: int | None = None
    before: bytes | None = None


class TokenRecord(msgspec.Struct, frozen=True):
    """An access token: its SHA-256, never the token."""

    hash: bytes
    role: str
    name: str
    created_at: int
