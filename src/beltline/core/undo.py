"""Undoing: a run is cancelled, and before that what its completed visits did is undone.

    cancel with undo ──> undo-started: nothing else of the run goes on
                           └──> for each completed visit whose step names an `undo`, the last first:
                                a visit of that step ──> its end, or a dead letter for a person
                                                           └──> none is left: run-cancelled

They come one after the other. Each sees the document with the result of the visit that it undoes at
that step's place. The routes of such a step are not followed.
"""

from __future__ import annotations

from beltline.core.events import RunCancelled, UndoStarted
from beltline.core.turn import Turn
from beltline.core.visit import Undoing


def begin(turn: Turn, reason: str) -> None:
    """The run goes no further, and is undone."""
    undoing = turn.undoing = Undoing(reason, turn.run.done[::-1])
    turn.events.append(UndoStarted(reason, tuple(done.step for done in undoing.left)))
    for key, visit in turn.run.open.items():
        turn.let_go.extend(visit.children)
        turn.close(key)
    turn.gathered = {}


def go_on(turn: Turn, undoing: Undoing) -> None:
    """While nothing is under way the next one is undone; in the end the run is cancelled."""
    steps = turn.run.process.steps
    while not turn.ended and not turn.has_tokens():
        if undoing.left:
            turn.start(steps[steps[undoing.left[0].step].undo])
        else:
            turn.events.append(RunCancelled(undoing.reason))
            turn.ended = True
        turn.settle()
