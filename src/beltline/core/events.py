"""What a run's journal says: every event that can happen to a run, in the past tense.

One journal row holds the events of one decision, in order, as JSON that can be read without this
code: `[format, at, [["step-completed", "find-contact", 1, 1, {…}, …], …]]`. Each event is an array
that begins with its name. A format once written stays readable: a change of an event's fields
appends fields with defaults, and anything else is a new `FORMAT`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

FORMAT = 1


class Error(msgspec.Struct, frozen=True):
    """Why an attempt failed. `kind` is for conditions, `message` for people.

    Kinds: `retry` (the handler asked for it), `reject`, `exception`, `timeout`, `expression`,
    `input`, `result`, `limit`, `crash`, `module`, `expired`, `transport` (no answer that a module
    gives came back).
    """

    kind: str
    message: str


class Because(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a completed step led where it led: the deciding conditions and what they read."""

    by: tuple[str, ...] = ()
    saw: dict[str, Any] = {}
    notes: tuple[str, ...] = ()


class RunStarted(msgspec.Struct, frozen=True, array_like=True, tag="run-started"):
    """A request went on the belt; tokens arrived at `to`."""

    process: str
    version: int
    to: tuple[str, ...]


class StepStarted(msgspec.Struct, frozen=True, array_like=True, tag="step-started"):
    """An attempt of a visit was decided on, and is dispatched once this is durable.

    `input` is the hash of the resolved parameters, empty where they did not resolve. `given` holds
    parameters that a person gave in their place. `reason` is empty for a first attempt.
    """

    step: str
    visit: int
    attempt: int
    module: str
    transport: str
    input: str
    reason: str = ""
    given: dict[str, Any] | None = None


class StepWaiting(msgspec.Struct, frozen=True, array_like=True, tag="step-waiting"):
    """A visit waits for a moment, in Unix milliseconds."""

    step: str
    visit: int
    until: int


class StepDeferred(msgspec.Struct, frozen=True, array_like=True, tag="step-deferred"):
    """The handler of an attempt took its work over and will answer later: the visit waits for that
    answer, at most until the attempt's deadline, in Unix milliseconds.
    """

    step: str
    visit: int
    attempt: int
    until: int


class StepCompleted(msgspec.Struct, frozen=True, array_like=True, tag="step-completed"):
    """A visit gave its result (`size` bytes as JSON); its token went to `to`."""

    step: str
    visit: int
    attempt: int
    result: Any
    size: int
    to: tuple[str, ...]
    because: Because | None = None


class StepFailed(msgspec.Struct, frozen=True, array_like=True, tag="step-failed"):
    """An attempt failed. `then` says what follows: `retry` (at `retry_at`), `on-error` (to `to`),
    or `dead-letter` (a person decides).
    """

    step: str
    visit: int
    attempt: int
    failures: int
    error: Error
    then: Literal["retry", "on-error", "dead-letter"]
    retry_at: int | None = None
    to: tuple[str, ...] = ()


class StepSkipped(msgspec.Struct, frozen=True, array_like=True, tag="step-skipped"):
    """A person gave the result of a dead letter; its token went to `to`."""

    step: str
    visit: int
    result: Any
    size: int
    to: tuple[str, ...]
    reason: str
    because: Because | None = None


class StepLeft(msgspec.Struct, frozen=True, array_like=True, tag="step-left"):
    """A person took the token of a dead letter elsewhere (`to`), or gave its visit up for a new
    one of the same step, which starts next (`to` is empty then).
    """

    step: str
    visit: int
    to: tuple[str, ...]
    reason: str


class CommandRefused(msgspec.Struct, frozen=True, array_like=True, tag="command-refused"):
    """A person's command came too late or does not fit the run's state."""

    command: str
    reason: str


class RunStopped(msgspec.Struct, frozen=True, array_like=True, tag="run-stopped"):
    """The run has its first dead letter; other branches go on."""

    reason: str


class RunCompleted(msgspec.Struct, frozen=True, array_like=True, tag="run-completed"):
    """No token is left. `result` is the process's declared output."""

    result: Any = None
    reason: str = ""


class RunCancelled(msgspec.Struct, frozen=True, array_like=True, tag="run-cancelled"):
    """A person ended the run; late answers are fenced off."""

    reason: str


class StepParked(msgspec.Struct, frozen=True, array_like=True, tag="step-parked"):
    """An attempt could not go out, or found nobody: the visit waits until a moment (Unix ms) and is
    dispatched again. No failure is counted. `was_called` holds where it may have reached a handler.
    """

    step: str
    visit: int
    attempt: int
    until: int
    reason: str
    was_called: bool = False


class UndoStarted(msgspec.Struct, frozen=True, array_like=True, tag="undo-started"):
    """The run goes no further: what its completed visits did is undone, the last one first. `steps`
    are theirs, in that order. Then the run is cancelled.
    """

    reason: str
    steps: tuple[str, ...]


class AnswerGiven(msgspec.Struct, frozen=True, array_like=True, tag="answer-given"):
    """A step gave the answer for the sender, which hears it if it waits. `body` is any JSON."""

    step: str
    visit: int
    status: int
    headers: dict[str, str]
    body: Any


class AnswerIgnored(msgspec.Struct, frozen=True, array_like=True, tag="answer-ignored"):
    """A step had an answer for the sender, which nobody hears any more."""

    step: str
    visit: int
    reason: str


class EventAwaited(msgspec.Struct, frozen=True, array_like=True, tag="event-awaited"):
    """A visit waits for an outside event of this name and key, until a moment in Unix milliseconds
    (None: for as long as it takes).
    """

    step: str
    visit: int
    name: str
    key: str
    until: int | None


class EventLate(msgspec.Struct, frozen=True, array_like=True, tag="event-late"):
    """An outside event was given to the run, and no visit of it waits for that any more."""

    name: str
    key: str
    id: str


class ApprovalAwaited(msgspec.Struct, frozen=True, array_like=True, tag="approval-awaited"):
    """A visit waits for a person to decide, until a moment in Unix milliseconds (None: for as long
    as it takes). What is to be decided stands in the visit's parameters.
    """

    step: str
    visit: int
    title: str
    until: int | None


class ChildStarted(msgspec.Struct, frozen=True, array_like=True, tag="child-started"):
    """A visit started a run of another process, and waits for its end, or goes on at once. `item`
    numbers the item that it is for, from 0, where there is a run for each.
    """

    step: str
    visit: int
    run: str
    process: str
    waits: bool
    item: int | None = None


class ItemCompleted(msgspec.Struct, frozen=True, array_like=True, tag="item-completed"):
    """The run for an item of a visit has ended, with this result (`size` bytes as JSON)."""

    step: str
    visit: int
    item: int
    run: str
    result: Any
    size: int


class ItemFailed(msgspec.Struct, frozen=True, array_like=True, tag="item-failed"):
    """The run for an item of a visit gives no result: it was cancelled, or cannot be started. No
    further item begins.
    """

    step: str
    visit: int
    item: int
    run: str
    error: Error


class ChildStopped(msgspec.Struct, frozen=True, array_like=True, tag="child-stopped"):
    """The run that a visit waits for has a dead letter; once it is mended, it goes on."""

    step: str
    visit: int
    run: str
    reason: str


Event = (
    RunStarted
    | StepStarted
    | StepWaiting
    | StepDeferred
    | StepCompleted
    | StepFailed
    | StepSkipped
    | StepLeft
    | CommandRefused
    | RunStopped
    | RunCompleted
    | RunCancelled
    | StepParked
    | UndoStarted
    | AnswerGiven
    | AnswerIgnored
    | EventAwaited
    | EventLate
    | ApprovalAwaited
    | ChildStarted
    | ChildStopped
    | ItemCompleted
    | ItemFailed
)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One journal row: the events of one decision, at one moment in Unix milliseconds."""

    format: int
    at: int
    events: list[Event]


class UnknownFormat(ValueError):
    """A journal row was written by a newer version of Beltline."""


class Journal:
    """Turns entries into the bytes of a row and back."""

    _encode: ClassVar[Any] = msgspec.json.Encoder().encode
    _decode: ClassVar[Any] = msgspec.json.Decoder(Entry).decode

    @classmethod
    def encode(cls, at: int, events: list[Event]) -> bytes:
        """The row's bytes. `events` hold JSON values only."""
        encoded: bytes = cls._encode(Entry(FORMAT, at, events))
        return encoded

    @classmethod
    def decode(cls, row: bytes) -> Entry:
        """The row's entry. Raises `UnknownFormat`, or `msgspec.DecodeError` for damaged rows."""
        if not row.startswith(b"[1,"):
            raise UnknownFormat(f"journal row of an unknown format: {row[:12]!r}")
        entry: Entry = cls._decode(row)
        return entry
