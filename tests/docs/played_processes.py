"""A process file played by hand: the pure supervisor, with a run for each `call` and each item.

A play is a text with a line for each move, and where the runs stand after it:

    start          -> packed billed       two tokens
    billed         -> packed (sent)       `billed` was answered; a token waits at the join `sent`
    packed         -> sent
    sent           -> completed

The moves:

    start                  the first run begins
    STEP                   a call of this step is answered, by what it was given; `2:STEP` is one of
                           the run 2, counted from 0 as they began
    late STEP              so is one that nobody waits for any more; it may change nothing
    event NAME DATA        an event; where no run waits for it, it is kept for one that comes
    brief-event NAME DATA  an event that is not kept
    +1h                    time passes
    cancel, undo           what a person may do with the first run

Calls of `set` are answered at once. That events are kept is the store's work, only imitated here;
tests/integration/test_pattern_files.py has it in a whole hub.

Where several runs are, ` / ` stands between them, as they began. Those that were called and have
completed are left out.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec

from beltline.core.child import Child
from beltline.core.decide import Decision
from beltline.core.duration import parse_duration_ms
from beltline.core.inputs import (
    Answered,
    Cancel,
    ChildBegun,
    EventArrived,
    Input,
    Start,
    TimePassed,
)
from beltline.core.model import Process
from beltline.core.run import Run, new_run
from beltline.core.turn import Call
from beltline.definition.process import read_process
from beltline.home_files import HomeFiles
from tests.unit.core.belt_of_one import ID, KEY, Hand

ORDER = "A-7"


def process_of(file: Path, files: HomeFiles) -> Process:
    """The process of a file that has no errors."""
    read = read_process(
        file.read_text("utf-8"),
        name=file.stem,
        file=str(file),
        modules=files.catalog,
        connections=None,
    )
    assert read.process is not None, "\n".join(map(str, read.errors))
    return read.process


class Member(Hand):
    """One run of several, with an id of its own."""

    def _fresh(self, process: Process) -> Run:
        request = copy.deepcopy(self.request)
        return new_run(self.meta["id"], KEY, process, request, self.meta, 0)


class Play:
    """A run of one process, and those that it calls."""

    def __init__(self, processes: dict[str, Process], name: str, request: dict[str, Any]) -> None:
        self._processes = processes
        self._runs = [Member(processes[name], {"order": ORDER, **request}, {"id": ID})]
        self._calls: list[tuple[Member, Call]] = []
        self._kept: list[EventArrived] = []
        self._open: list[tuple[Member, Call]] = []

    @property
    def first(self) -> Run:
        """The run that calls the others."""
        return self._runs[0].run

    @property
    def said(self) -> list[str]:
        """The messages of all calls of `log`, as they were made."""
        return [call.input["message"] for _, call in self._calls if call.step.module == "log"]

    @property
    def where(self) -> str:
        """Where the runs stand, in the words of a play."""
        places = [_place(member.run) for member in self._runs]
        return " / ".join(p for n, p in enumerate(places) if n == 0 or p != "completed")

    def move(self, told: str) -> None:
        """Makes one move of a play."""
        word, _, rest = told.partition(" ")
        if word == "start":
            self._take(self._runs[0], Start())
        elif word in ("event", "brief-event"):
            self._bring(rest, is_kept=word == "event")
        elif word.startswith("+"):
            self._wait(parse_duration_ms(word[1:]))
        elif word in ("cancel", "undo"):
            self._take(self._runs[0], Cancel("no more", undo=word == "undo"))
        elif word == "late":
            assert self._answer(self._call_of(rest, is_late=True)).events == []
        else:
            self._answer(self._call_of(word, is_late=False))

    def _call_of(self, told: str, *, is_late: bool) -> tuple[Member, Call]:
        number, _, step = told.rpartition(":")
        for member, call in self._open:
            is_meant = not number or member is self._runs[int(number)]
            is_open = (call.step.id, call.visit) in member.run.open and not member.run.ended
            if call.step.id == step and is_meant and is_open != is_late:
                return member, call
        raise AssertionError(f"{told} is not {'given up' if is_late else 'under way'}")

    def _answer(self, asked: tuple[Member, Call]) -> Decision:
        member, call = asked
        self._open.remove(asked)
        size = len(msgspec.json.encode(call.input))
        return self._take(
            member, Answered(call.step.id, call.visit, call.attempt, call.input, size)
        )

    def _bring(self, told: str, *, is_kept: bool) -> None:
        name, _, data = told.partition(" ")
        now = self._runs[0].now
        value = json.loads(data) if data.startswith("{") else data
        event = EventArrived(f"{name} at {now}", name, ORDER, value, now)
        waiting = [member for member in self._runs if _awaits(member.run, event)]
        for member in waiting:
            self._take(member, event)
        if is_kept and not waiting:
            self._kept.append(event)

    def _wait(self, delay_ms: int) -> None:
        for member in self._runs:
            member.now += delay_ms
        for member in list(self._runs):
            self._take(member, TimePassed())

    def _take(self, member: Member, input: Input) -> Decision:
        """Decides, and does what the belt does once that is durable."""
        decision = member.take(input)
        asked = [(member, call) for call in decision.calls]
        self._calls.extend(asked)
        self._open.extend(asked)
        for child in decision.children:
            self._begin(member, child)
        for id, message in decision.messages:
            (told,) = (one for one in self._runs if one.run.id == id)
            self._take(told, message)
        for event in [event for event in self._kept if _awaits(member.run, event)]:
            self._kept.remove(event)
            self._take(member, event)
        for one in asked:
            if one[1].step.module == "set":
                self._answer(one)
        return decision

    def _begin(self, member: Member, child: Child) -> None:
        told = {"id": child.id, "parent": msgspec.to_builtins(child.parent), "item": child.item}
        begun = Member(self._processes[child.process], child.request, told)
        begun.now = member.now
        self._runs.append(begun)
        self._take(begun, Start())
        if not child.parent.waits:
            self._take(member, ChildBegun(child.parent.step, child.parent.visit, child.id))


def _awaits(run: Run, event: EventArrived) -> bool:
    wanted = [visit.awaits for visit in run.open.values() if visit.awaits is not None]
    return not run.ended and any((one.name, one.key) == (event.name, event.key) for one in wanted)


def _place(run: Run) -> str:
    if run.ended:
        return run.ended
    tokens = {id: [id for step, _ in run.open if step == id] for id in run.process.steps}
    for id, count in run.gathered.items():
        if count:
            tokens[id].append(f"({id})")
    return " ".join(token for at_step in tokens.values() for token in at_step)
