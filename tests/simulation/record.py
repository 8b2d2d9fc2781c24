"""What anyone can know of a simulated hub: what senders were told, what the journal says, what the
handlers outside saw. Checkers know this, the text of the definitions, and nothing else.

`at` is the scheduler's step in which something happened: a total order, unlike the time of day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

# The fields of a journal event by its name, as core/events.py promises them to readers.
FIELDS = {
    "run-started": ("process", "version", "to"),
    "step-started": (
        "step",
        "visit",
        "attempt",
        "module",
        "transport",
        "input",
        "reason",
        "given",
    ),
    "step-waiting": ("step", "visit", "until"),
    "step-deferred": ("step", "visit", "attempt", "until"),
    "step-completed": ("step", "visit", "attempt", "result", "size", "to", "because"),
    "step-failed": (
        "step",
        "visit",
        "attempt",
        "failures",
        "error",
        "then",
        "retry_at",
        "to",
    ),
    "step-skipped": ("step", "visit", "result", "size", "to", "reason", "because"),
    "step-left": ("step", "visit", "to", "reason"),
    "command-refused": ("command", "reason"),
    "step-parked": ("step", "visit", "attempt", "until", "reason", "was_called"),
    "undo-started": ("reason", "steps"),
    "run-stopped": ("reason",),
    "run-completed": ("result", "reason"),
    "run-cancelled": ("reason",),
    "answer-given": ("step", "visit", "status", "headers", "body"),
    "answer-ignored": ("step", "visit", "reason"),
    "event-awaited": ("step", "visit", "name", "key", "until"),
    "event-late": ("name", "key", "id"),
    "child-started": ("step", "visit", "run", "process", "waits", "item"),
    "item-completed": ("step", "visit", "item", "run", "result", "size"),
    "item-failed": ("step", "visit", "item", "run", "error"),
    "child-stopped": ("step", "visit", "run", "reason"),
    "approval-awaited": ("step", "visit", "title", "until"),
}


class Fact(msgspec.Struct, frozen=True):
    """One event of a run's journal. `row` numbers the decision that it belongs to, `at` is the
    step in which that row became durable, `time` the decision's own time.
    """

    name: str
    fields: dict[str, Any]
    row: int
    at: int
    time: int

    def __getattr__(self, name: str) -> Any:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None


class Sending(msgspec.Struct):
    """A request as its sender made it, and what the sender was told: `accepted`, `repeat`,
    `refused`, or nothing yet.
    """

    source: str
    process: str
    body: bytes
    identity: str | None
    held: bool
    told: str = ""
    key: bytes = b""
    same_body: bool = False
    sent_at_ms: int = 0
    told_at: int = 0
    sent_at: int = 0
    life: int = 0  # of the process that took it in
    urgent: int = 0  # its priority


class Seen(msgspec.Struct, frozen=True):
    """A call as its handler saw it. `input` is the hash that the handler made of what it got.
    `time` is the virtual time, `unit` the number of the request that it came with; one that
    `is_away` found nobody on its connection.
    """

    key: bytes
    step: str
    visit: int
    attempt: int
    input: str
    idempotency: str
    at: int
    life: int
    time: int = 0
    connection: str | None = None
    unit: int = 0
    is_away: bool = False


class Terms(msgspec.Struct, frozen=True):
    """What a source's settings say, in milliseconds where they are times. A rate is `at_most` in
    any `every_ms`; a batch has `collect` requests, or fewer after `or_after_ms`.
    """

    kind: str  # rate, at-once, collect, schedule, paused
    at_most: int = 0
    every_ms: int = 0
    is_spread: bool = False
    collect: int = 0
    or_after_ms: int = 0
    keeps_order: bool = False
    passes_stopped: bool = False
    ageing_ms: int = 0
    expires_ms: int = 0


class Departure(msgspec.Struct, frozen=True):
    """One transaction of the store in which requests left a source's buffer: `released` by its
    settings, `let go` by a person (who ends them where `message` is `cancel`) or since they were
    too late (`set-aside`), `collected` into the request `into`.

    `now` is the time that has truly passed, in ms, whatever clocks said; `window` the number and
    the time that it was counted by; there may have been no room (no keys). `due` is the time of a
    schedule for which they went.
    """

    at: int
    now: int
    how: str
    source: str
    keys: tuple[bytes, ...]
    window: tuple[int, int] | None = None
    due: int | None = None
    message: str = ""
    into: bytes = b""


class CalledBack(msgspec.Struct, frozen=True):
    """An answer that came later, and that its worker was told is stored, at this step."""

    key: bytes
    step: str
    visit: int
    attempt: int
    at: int


class Asked(msgspec.Struct):
    """A person's command. `mark` stands in its reason or result; `posted` once it was stored."""

    key: bytes
    kind: str
    mark: str
    plain: bool
    posted: bool = False


class Brought(msgspec.Struct):
    """An outside event, and what its sender was told: to how many `runs` it was given. With none it
    is kept at least until `keep_until`. `sent_at` is when it was sent first.
    """

    id: str
    place: tuple[str, str]
    sent_at: int = 0
    told_at: int = 0
    keep_until: int = 0
    runs: int = 0
    is_told: bool = False


class Stored(msgspec.Struct, frozen=True):
    """A request as it can be read in the end."""

    source: str
    process: str
    body: bytes
    meta: bytes
    identity: str | None
    identity_until: int
    accepted_at: int


class Crash(msgspec.Struct, frozen=True):
    """The process died without warning; these runs were its own. `life` is the one that ended."""

    at: int
    life: int
    owned: tuple[bytes, ...]


class Note(msgspec.Struct, frozen=True):
    """What became of a membership at the store, in order: `joined`, `took` (keys), `wrote` (a row
    of the run), `ended` (by its own store when `own`, else since it was silent: `lease_until` and
    `now` by the store's clock then).
    """

    what: str
    member: int
    at: int
    keys: tuple[bytes, ...] = ()
    own: bool = False
    lease_until: int = 0
    now: int = 0


class Sample(msgspec.Struct, frozen=True):
    """A run in memory at a moment when everything was durable: `seq` events old."""

    key: bytes
    seq: int
    state: bytes


class Record(msgspec.Struct):
    """All of one seed."""

    definitions: dict[str, dict[str, Any]]
    window_ms: int  # for which an identity holds
    sendings: list[Sending] = []
    rows: list[tuple[int, bytes, int, bytes]] = []  # at, key, seq, entry
    calls: list[Seen] = []
    callbacks: list[CalledBack] = []
    commands: list[Asked] = []
    events: list[Brought] = []
    crashes: list[Crash] = []
    nodes: int = 1
    notes: list[Note] = []
    unended: list[tuple[int, int]] = []  # members that last in the end, and their leases' ends
    ended_at: int = 0  # by the store's clock
    samples: list[Sample] = []
    requests: dict[bytes, Stored] = {}
    statuses: dict[bytes, str] = {}
    reports: list[str] = []
    inbox: int = 0
    held: tuple[bytes, ...] = ()
    sources: dict[str, Terms] = {}  # those with a buffer, as they were set in the end
    departures: list[Departure] = []
    places: dict[str, int] = {}  # how often people put requests of a source elsewhere
    switched: set[str] = set()  # the sources whose settings were changed
    clock_was_set: bool = False  # while no process ran, or under the only one
    calm_at: int = 0  # the true time from which on nothing went wrong
    most_in_memory: int = 0
    memory_limit: int = 0
    rate_per_s: float = 0.0  # of the connection; 0: no limit
    burst: int = 0
    ended_in_time: bool = False

    def journals(self) -> dict[bytes, list[Fact]]:
        """Every run's events in order."""
        ordered = sorted(self.rows, key=lambda row: (row[1], row[2]))
        journals: dict[bytes, list[Fact]] = {}
        for number, (at, key, _, entry) in enumerate(ordered):
            _, time, events = json.loads(entry)
            journals.setdefault(key, []).extend(_facts(events, number, at, time))
        return journals


def _facts(events: list[list[Any]], row: int, at: int, time: int) -> Iterator[Fact]:
    for name, *values in events:
        fields = dict.fromkeys(FIELDS[name])
        fields.update(zip(FIELDS[name], values, strict=False))
        yield Fact(name, fields, row, at, time)
