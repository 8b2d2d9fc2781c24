"""What the supervisor is asked to decide on: answers of handlers, time, and people's commands.

Answers are events of the outside world (past tense), commands are imperative. Each names the run's
visit by step, visit and attempt where that matters; `decide` fences off what came too late.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from beltline.core.events import Error


class Start(msgspec.Struct, frozen=True):
    """Put a fresh run on the belt."""


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """A handler gave its result for one attempt; `result` holds JSON values only."""

    step: str
    visit: int
    attempt: int
    result: Any
    size: int = 0


class AttemptFailed(msgspec.Struct, frozen=True, tag="attempt-failed"):
    """A handler gave no result. `final` forbids a retry; `after_ms` is the earliest wait."""

    step: str
    visit: int
    attempt: int
    error: Error
    final: bool = False
    after_ms: int | None = None


class Deferred(msgspec.Struct, frozen=True):
    """A handler took the work of one attempt over, and will answer later, by a message."""

    step: str
    visit: int
    attempt: int


class TimePassed(msgspec.Struct, frozen=True):
    """Look for everything that is due: timeouts, retries, waits."""


class Recovered(msgspec.Struct, frozen=True):
    """The run was loaded again; answers to its outstanding attempts may be lost, but for those of
    the visits `answered` (step, number), which are here and are decided on next. With `wakes` its
    parked steps are to look again at once: who parked them may have had another clock.
    """

    answered: frozenset[tuple[str, int]] = frozenset()
    wakes: bool = False


EXPIRED = "expired"


class SetAside(msgspec.Struct, frozen=True, tag="set-aside"):
    """Make the run's attempts dead letters, for a person to decide: it was moving at every one of
    several crashes, or its request had waited for too long. `kind` is the error's; where that is
    `EXPIRED` nothing of the run is to go on, and its waits become dead letters, too.
    """

    reason: str
    kind: str = "crash"


class Retry(msgspec.Struct, frozen=True, tag="retry"):
    """Try dead letters again: all, or those of one step. `given` replaces the parameters, which
    makes it a new visit with a new idempotency key.
    """

    step: str | None = None
    given: dict[str, Any] | None = None
    by: str = ""


class Skip(msgspec.Struct, frozen=True, tag="skip"):
    """Give a dead letter's result and route as if its step had completed."""

    step: str | None = None
    result: Any = None
    by: str = ""


class GoTo(msgspec.Struct, frozen=True, tag="goto"):
    """Take a dead letter's token to another step."""

    to: str
    step: str | None = None
    by: str = ""


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """End the run where it stands. With `undo` what its steps have done is undone first."""

    reason: str = ""
    by: str = ""
    undo: bool = False


class Parked(msgspec.Struct, frozen=True):
    """The dispatcher gives a call back: its connection or module takes none before `until` (Unix
    ms), for this `reason`. Unless it `was_called`, the attempt has surely reached no handler.
    """

    step: str
    visit: int
    attempt: int
    until: int
    reason: str
    was_called: bool = False


class Resolve(msgspec.Struct, frozen=True, tag="resolve"):
    """A person decides what a step asks for approval. `visit` None: the one that waits. `given` are
    the values of the step's fields.
    """

    step: str
    approved: bool
    visit: int | None = None
    comment: str = ""
    given: dict[str, Any] = {}
    by: str = ""


class EventArrived(msgspec.Struct, frozen=True, tag="event-arrived"):
    """An outside event for every visit that waits for its name and key; `data` is any JSON. `at` is
    when it was taken in (Unix ms).
    """

    id: str
    name: str
    key: str
    data: Any
    at: int


class ChildBegun(msgspec.Struct, frozen=True):
    """The run that a visit starts is part of this commit; `why_not` where it cannot be started."""

    step: str
    visit: int
    run: str
    why_not: str = ""


class ChildEnded(msgspec.Struct, frozen=True, tag="child-ended"):
    """The run that a visit waits for has ended; `reason` says why it was cancelled."""

    step: str
    visit: int
    run: str
    status: Literal["completed", "cancelled"]
    result: Any = None
    reason: str = ""


class ChildHalted(msgspec.Struct, frozen=True, tag="child-halted"):
    """The run that a visit waits for has its first dead letter."""

    step: str
    visit: int
    run: str
    reason: str


Answer = Answered | AttemptFailed
Command = Retry | Skip | GoTo | Cancel | Resolve
# What may come for a run from outside its node.
Message = Command | SetAside | Answer | EventArrived | ChildEnded | ChildHalted
Input = Start | Deferred | Parked | TimePassed | Recovered | ChildBegun | Message

encode_message = msgspec.json.Encoder().encode
decode_message = msgspec.json.Decoder(Message).decode
