"""What the belt decided since the last commit: the rows to make durable, and what to do then."""

from __future__ import annotations

import msgspec

from beltline.core.model import Process
from beltline.engine.moving import Moving
from beltline.engine.ports import Dispatched, Reply
from beltline.engine.records import (
    Acceptance,
    Batch,
    Expectation,
    JournalRow,
    Message,
    NewMessage,
    NewRequest,
    RunChange,
    StoredRun,
)


class Submitted(msgspec.Struct):
    """A request that asks to be accepted. `process` None: it is held, and gets no run yet.

    `reply` is given `Accepted`, `Repeat`, or `Refused`.
    """

    request: NewRequest
    process: Process | None
    version_id: int
    reply: Reply


class Loaded(msgspec.Struct):
    """A claimed run with its process; None where its version cannot be loaded (`why_not`)."""

    stored: StoredRun
    process: Process | None
    why_not: str = ""


class Noticed(msgspec.Struct):
    """A message for a run that may be in memory."""

    message: Message


class Barrier(msgspec.Struct):
    """Asks to be told (True) when all that was posted before is decided on and durable; False
    where it never will be.
    """

    reply: Reply


class Accepted(msgspec.Struct, frozen=True):
    """The request is durable."""

    key: bytes
    held: bool


class Refused(msgspec.Struct, frozen=True):
    """The request was not stored; or nobody knows, where that `is_in_doubt`."""

    reason: str
    is_in_doubt: bool = False


class Newcomer(msgspec.Struct):
    """A request on its way into the store; `moving` is its run where it moves at once."""

    submitted: Submitted
    acceptance: Acceptance
    moving: Moving | None
    calls: list[Dispatched]


class Work:
    """One commit's worth of decisions, in order."""

    __slots__ = (
        "answered",
        "awaits",
        "barriers",
        "calls",
        "changes",
        "children",
        "journal",
        "messages",
        "messages_done",
        "newcomers",
    )

    def __init__(self) -> None:
        self.newcomers: list[Newcomer] = []
        self.journal: list[JournalRow] = []
        self.changes: dict[bytes, RunChange] = {}
        self.messages_done: list[int] = []
        self.calls: list[Dispatched] = []
        self.barriers: list[Barrier] = []
        # What visits (run, step, visit) wait for from outside; None: no more.
        self.awaits: dict[tuple[bytes, str, int], Expectation | None] = {}
        self.children: list[Acceptance] = []  # runs that other runs start
        self.messages: list[NewMessage] = []
        self.answered: list[bytes] = []  # runs whose senders have their answer

    def __len__(self) -> int:
        rows = len(self.newcomers) + len(self.journal) + len(self.changes)
        return rows + len(self.messages_done) + len(self.barriers)

    def batch(self) -> Batch:
        """What the store is to make durable."""
        return Batch(
            [*(newcomer.acceptance for newcomer in self.newcomers), *self.children],
            self.journal,
            list(self.changes.values()),
            self.messages_done,
            [one for one in self.awaits.values() if one is not None],
            list(self.awaits),
            self.messages,
        )
