"""The belt: takes what happened, has the supervisor decide on it, and gathers the outcome.

One coroutine owns every run in memory. It takes items from the mailbox in order, turns each into
decisions, applies them, and adds journal rows and calls to the committer's gathering work:

    Submitted (a new request) ─┐
    Loaded    (a claimed run) ─┤
    Noticed   (a message)     ─┼─> decide ─> advance ─> gathering work
    Posted    (an answer)     ─┘

State in memory may be ahead of the store by the commit that is under way; nothing outside sees it
before that commit, since calls and answers leave only after it, and commits keep their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from beltline.core.child import Child
from beltline.core.decide import advance, awaited, decide
from beltline.core.events import Journal, StepCompleted
from beltline.core.inputs import (
    Answer,
    Answered,
    AttemptFailed,
    Cancel,
    ChildBegun,
    Input,
    Parked,
    Recovered,
    SetAside,
    Start,
    TimePassed,
    decode_message,
    encode_message,
)
from beltline.core.inputs import Message as Said
from beltline.core.limits import Limits
from beltline.core.run import Run, Status, new_run, replay
from beltline.core.visit import Awaited
from beltline.engine.children import Children
from beltline.engine.committer import Committer
from beltline.engine.dispatcher import Dispatcher
from beltline.engine.ids import id_of, key_of
from beltline.engine.loader import Loader
from beltline.engine.moving import Moving, MovingRuns, Timers
from beltline.engine.ports import (
    Clock,
    Dispatched,
    Mailbox,
    Posted,
    Report,
)
from beltline.engine.records import (
    Acceptance,
    Expectation,
    JournalRow,
    Message,
    NewMessage,
    NewRun,
    RunChange,
    StoredRun,
)
from beltline.engine.work import Barrier, Loaded, Newcomer, Noticed, Submitted

# Run-ahead over pure steps stops here and goes on through the transport, so that one run with a
# long chain of them does not hold up the others.
RUN_AHEAD = 256

# A run whose version or journal cannot be read here is looked at again so often: its module may
# have come back.
UNLOADABLE_MS = 60_000


class Belt:
    """Moves runs."""

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        committer: Committer,
        dispatcher: Dispatcher,
        runs: MovingRuns,
        timers: Timers,
        clock: Clock,
        loader: Loader,
        children: Children,
        report: Report,
        limits: Limits,
    ) -> None:
        self._children = children
        self._mailbox = mailbox
        self._committer = committer
        self._dispatcher = dispatcher
        self._runs = runs
        self._timers = timers
        self._clock = clock
        self._loader = loader
        self._report = report
        self._limits = limits
        # Runs are loaded a batch at a time, or less where less has room.
        self._enough_room = max(1, min(limits.batch, limits.moving_runs // 2))
        self.decisions = 0
        self.steps_completed = 0
        self.answers_fenced = 0
        self._handle: dict[type, Callable[[Any, int], None]] = {
            Posted: self._posted,
            Submitted: self._submitted,
            Loaded: self._loaded,
            Noticed: self._noticed,
            Barrier: self._barrier,
        }

    async def run(self) -> None:
        """Decides for as long as the node lives."""
        while True:
            items = await self._mailbox.take(self._limits.batch)
            now = self._clock.now()
            for item in items:
                self._handle[type(item)](item, now)
            self._committer.ring()
            if self._loader.has_backlog and self._runs.room() >= self._enough_room:
                self._loader.ring()
            await self._committer.room()

    # What comes in

    def _posted(self, posted: Posted, now: int) -> None:
        input = self._dispatcher.settle(posted.key, posted.input)
        moving = self._runs.get(posted.key)
        if moving is None:
            self.answers_fenced += 1  # it ended or left; whoever loads it asks again
            return
        if type(input) is TimePassed:
            moving.watched = 0
        begins_again = type(input) in (Recovered, Parked) or (
            type(input) is TimePassed and moving.run.is_parked
        )
        has_moved = self._go_on(moving, input, now)
        if not has_moved and type(input) is not TimePassed:
            self.answers_fenced += 1
        # Neither beginning again nor waiting for a turn is progress: a run that kills the process
        # must stay suspected.
        self._settle(moving, has_moved and not begins_again)

    def _submitted(self, submitted: Submitted, now: int) -> None:
        request = submitted.request
        work = self._committer.gathering
        if submitted.process is None:
            work.newcomers.append(Newcomer(submitted, Acceptance(request), None, []))
            return
        must_queue = submitted.process.starts_runs  # a repeat must not leave children behind
        if must_queue or self._loader.has_backlog or not self._runs.room():
            # Requests that already wait in the store go first.
            queued = NewRun(request.key, submitted.version_id, "moving", now, owned=False)
            work.newcomers.append(Newcomer(submitted, Acceptance(request, queued), None, []))
            return
        run = _fresh_run(request.key, submitted.process, request.body, request.meta)
        moving = Moving(run, "moving")
        self._runs.add(moving)
        rows, calls = self._turns(run, Start(), now)
        owned = run.is_moving
        row = NewRun(run.key, submitted.version_id, run.status, 0 if owned else run.next_at, owned)
        moving.status = row.status
        work.newcomers.append(Newcomer(submitted, Acceptance(request, row, rows), moving, calls))
        if not owned:
            self._runs.remove(moving)

    def _loaded(self, loaded: Loaded, now: int) -> None:
        stored = loaded.stored
        self._runs.came(stored)
        run = self._folded(loaded)
        if run is None:
            self._committer.gathering.changes[stored.key] = RunChange(
                stored.key, "stopped", now + UNLOADABLE_MS, owned=False
            )
            return
        # What the row of a run says that has been here before is not known: it is written anew.
        moving = Moving(run, None if stored.entries else "moving", stored.crashes)
        self._runs.add(moving)
        is_set_aside = stored.crashes >= self._limits.crashes or _is_withdrawn(run, stored)
        said = self._take_messages(moving, stored.messages)
        answers: list[Answer] = [one for one in said if isinstance(one, Answered | AttemptFailed)]
        has_answer = False
        for input in self._first_inputs(run, stored, answers):
            has_moved = self._go_on(moving, input, now, is_set_aside=is_set_aside)
            has_answer = has_answer or (has_moved and input in answers)
        for order in said:
            if not isinstance(order, Answered | AttemptFailed):
                self._go_on(moving, order, now)
        # Crashes stay counted until an answer comes: were they cleared by the commit that
        # dispatches again, a run that kills the process would never be found out. One that is set
        # aside, and that a person retries at once, counts anew.
        self._settle(moving, changed=is_set_aside or has_answer or not stored.crashes)

    def _folded(self, loaded: Loaded) -> Run | None:
        """The run as its journal tells it. None where that cannot be told on this node: one
        damaged run must not stop the others, and is looked at again later.
        """
        stored, process = loaded.stored, loaded.process
        if process is None:
            self._report("a run cannot be loaded", id_of(stored.key), loaded.why_not)
            return None
        try:
            run = _fresh_run(stored.key, process, stored.body, stored.meta)
            replay(run, [Journal.decode(entry) for entry in stored.entries])
        except (ValueError, LookupError, RecursionError) as damaged:
            self._report("a run cannot be loaded", id_of(stored.key), repr(damaged))
            return None
        return run

    def _first_inputs(self, run: Run, stored: StoredRun, answers: list[Answer]) -> list[Input]:
        """What a loaded run is to be decided on first. `answers` were told to be taken: they come
        before what time has passed, and their visits are not called again.
        """
        if stored.crashes >= self._limits.crashes:
            reason = f"moving at {stored.crashes} crashes in a row; its step may cause them"
            start: list[Input] = [] if run.started else [Start()]
            return [*start, *answers, SetAside(reason)]
        if not run.started:
            return [Start()]
        answered = frozenset((a.step, a.visit) for a in answers if awaited(run, a) is not None)
        # A suspect stays here while it is parked (see `_settle`): not by a clock that is gone.
        return [Recovered(answered, wakes=stored.crashes > 0), *answers, TimePassed()]

    def _noticed(self, noticed: Noticed, now: int) -> None:
        moving = self._runs.get(noticed.message.key)
        if moving is not None and noticed.message.id not in moving.messages:
            said = self._take_messages(moving, [noticed.message])
            has_moved = [self._go_on(moving, one, now) for one in said]
            self._settle(moving, any(has_moved))

    def _barrier(self, barrier: Barrier, _now: int) -> None:
        self._committer.gathering.barriers.append(barrier)

    def _take_messages(self, moving: Moving, messages: list[Message]) -> list[Said]:
        """What messages say. They are deleted by the commit of what is decided on them."""
        said: list[Said] = []
        for message in messages:
            moving.messages.add(message.id)
            self._committer.gathering.messages_done.append(message.id)
            try:
                one = decode_message(message.body)
            except msgspec.DecodeError as wrong:  # of a newer version, say
                self._report("a message is not understood", moving.run.id, str(wrong))
                continue
            if isinstance(one, Answered | AttemptFailed):
                self._dispatcher.heard(moving.run.key, one)
            said.append(one)
        return said

    # What follows

    def _go_on(self, moving: Moving, input: Input, now: int, *, is_set_aside: bool = False) -> bool:
        """Decides on `input` for a run that the store knows; tells whether anything follows. A run
        that is set aside is called no more, not even in place.
        """
        run, work = moving.run, self._committer.gathering
        outstanding = len(run.open) - (type(input) is Answered or type(input) is AttemptFailed)
        rows, calls = self._turns(run, input, now, may_call=not is_set_aside)
        work.journal.extend(rows)
        if outstanding > 0 and (run.ended or (rows and type(input) is Cancel)):
            # Decided on in this same commit, and not to be made any more.
            work.calls = [call for call in work.calls if call.key != run.key]
        if not run.ended:
            work.calls.extend(calls)
        return bool(rows)

    def _turns(
        self, run: Run, input: Input, now: int, *, may_call: bool = True
    ) -> tuple[list[JournalRow], list[Dispatched]]:
        """Decides on `input`, and on the answers of pure steps that follow from it at once. Gives
        the journal's rows, and the calls for after their commit.
        """
        rows: list[JournalRow] = []
        calls: list[Dispatched] = []
        pending: list[Input] = [input]  # grows while it is worked off
        bytes_before, answer_before = run.document_bytes, run.answer
        for one in pending:
            decision = decide(run, one, now)
            events = decision.events
            if not events:
                continue
            rows.append(JournalRow(run.key, run.seq, Journal.encode(now, events)))
            advance(run, decision)
            for (step, visit), from_outside in decision.awaits.items():
                self._note_awaited(run.key, step, visit, from_outside, now)
            for child in decision.children:
                pending.extend(self._begin_child(child, now, may_call=may_call))
            for id, message in decision.messages:
                self._tell_run(id, message, now)
            if type(events[0]) is StepCompleted:
                self.steps_completed += 1
            if not may_call:
                continue
            for call in decision.calls:
                dispatched = Dispatched(run.key, run.id, call, run.process.name)
                if call.step.is_inline and len(rows) < RUN_AHEAD:
                    pending.append(self._dispatcher.call_inline(dispatched))
                else:
                    calls.append(dispatched)
        self.decisions += len(rows)
        self._runs.grew(run, run.document_bytes - bytes_before)
        if run.answer is not answer_before:
            self._committer.gathering.answered.append(run.key)
        return rows, calls

    def _begin_child(self, child: Child, now: int, *, may_call: bool) -> list[Input]:
        """Starts a child, and gives what its parent hears of it at once."""
        begun = ChildBegun(child.parent.step, child.parent.visit, child.id)
        if not may_call:
            return [msgspec.structs.replace(begun, why_not="its parent is set aside")]
        made = self._children.begin(child, now)
        if isinstance(made, ChildBegun):
            return [made]
        self._committer.gathering.children.append(made)
        return [] if child.parent.waits else [begun]

    def _tell_run(self, id: str, message: Said, now: int) -> None:
        key = key_of(id)
        assert key is not None  # it is the id of a run
        body = encode_message(message)
        self._committer.gathering.messages.append(NewMessage(key, body, now))

    def _note_awaited(
        self, key: bytes, step: str, visit: int, from_outside: Awaited | None, now: int
    ) -> None:
        expectation = None
        if from_outside is not None:
            kind, name, event_key = from_outside.kind, from_outside.name, from_outside.key
            assert kind != "child"  # the end of a child comes by a message
            expectation = Expectation(key, step, visit, kind, name, event_key, now)
        self._committer.gathering.awaits[key, step, visit] = expectation

    def _settle(self, moving: Moving, changed: bool) -> None:
        """Keeps the run's row and watch true after decisions."""
        run = moving.run
        if moving.crashes and not changed and run.is_parked and not run.is_moving:
            # It has not been called yet, so it stays suspected, and here: to let go of it would
            # clear its crashes.
            self._timers.watch(moving)
            return
        if not run.is_moving:
            self._committer.gathering.changes[run.key] = RunChange(
                run.key, run.status, run.next_at, owned=False
            )
            self._runs.remove(moving)
            if moving.crashes:
                self._loader.ring()
            return
        status: Status = "stopped" if run.stopped else "moving"
        if changed and (status != moving.status or moving.crashes):
            self._committer.gathering.changes[run.key] = RunChange(run.key, status, 0, owned=True)
            moving.status = status
            if moving.crashes:
                crashes, moving.crashes = moving.crashes, 0
                if not self._runs.of_crashes(crashes):
                    self._loader.ring()  # the next ones of these may be tried
        self._timers.watch(moving)


def _is_withdrawn(run: Run, stored: StoredRun) -> bool:
    """Whether a message ends or stops a run before it has begun: nothing of it is to be called."""
    if run.started:
        return False
    for message in stored.messages:
        try:
            if isinstance(decode_message(message.body), Cancel | SetAside):
                return True
        except msgspec.DecodeError:
            continue  # told where it is decided on
    return False


def _fresh_run(key: bytes, process: Any, body: bytes, meta: bytes) -> Run:
    return new_run(
        id_of(key),
        key,
        process,
        msgspec.json.decode(body),
        msgspec.json.decode(meta),
        len(body) + len(meta),
    )
