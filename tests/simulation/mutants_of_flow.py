"""The planted bugs of flow: answers to senders, outside events, runs of runs, and undoing."""

from __future__ import annotations

from beltline.core import decide, turn, undo
from beltline.core.engine_steps import call, for_each
from beltline.engine import work
from tests.simulation.planting import Mutant, mutant

_TURN = turn.Turn

MUTANTS_OF_FLOW: tuple[Mutant, ...] = (
    mutant(
        "that the sender has its answer is forgotten",
        "senders_are_answered_once",
        (_TURN, "__init__", "self.answered = run.answer is not None", "self.answered = False"),
    ),
    mutant(
        "what a run waits for is not kept",
        "events_find_their_runs",
        (work.Work, "batch", "if one is not None", "if False"),
    ),
    mutant(
        "an event is decided on and nothing says that it came too late",
        "events_find_their_runs",
        (decide, "_event_arrived", "if not waiting:", "if False:"),
    ),
    mutant(
        "a child tells of the result before its last",
        "children_follow_parents",
        (call, "_result", "for event in reversed(turn.events):", "for event in ():"),
    ),
    mutant(
        "a parent that ends leaves its child behind",
        "children_follow_parents",
        (call, "messages", "if turn.ended:", "if False:"),
    ),
    mutant(
        "a child begins in another commit than its parent's decision, which may never be",
        "children_follow_parents",
        (work.Work, "batch", ", *self.children]", "]"),
    ),
    mutant(
        "a run that is done cancels what it does not wait for",
        "children_follow_parents",
        (call, "messages", "place not in turn.closed", "True"),
    ),
    mutant(
        "a parent that ends leaves the runs of its items behind, but for one",
        "children_follow_parents",
        (call, "messages", "in visit.children", "in visit.children[:1]"),
    ),
    mutant(
        "a run that is undone leaves its children behind",
        "children_follow_parents",
        (undo, "begin", "turn.let_go.extend(visit.children)", "pass"),
    ),
    mutant(
        "the first visit is undone first",
        "undone_in_reverse",
        (undo, "go_on", "undoing.left[0]", "undoing.left[-1]"),
    ),
    mutant(
        "a run is over once one visit is undone",
        "undone_in_reverse",
        (undo, "go_on", "if undoing.left:", "if len(undoing.left) == len(turn.run.done) > 0:"),
    ),
    mutant(
        "the results of items stand in the order of their ends",
        "items_make_the_result",
        (for_each, "_result", 'in range(len(value["items"]))', "in results"),
    ),
    mutant(
        "more items are under way at once than may be",
        "items_make_the_result",
        (
            for_each,
            "_go_on",
            "visit.attempt, value, following)",
            (
                "visit.attempt, value, following)\n            for n in left:"
                "\n                _start(turn, step, visit.number, visit.attempt, value, n)"
            ),
        ),
    ),
    mutant(
        "an item begins though one has failed",
        "items_make_the_result",
        (for_each, "_failed", "{**items.failed, item: error}", "items.failed"),
    ),
)
