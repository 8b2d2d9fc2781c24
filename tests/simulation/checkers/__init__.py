"""The checkers: each looks at the record of one seed for one kind of wrong, on its own.

They share no code with the engine, nor with each other beyond reading the record; only
`replay_equals_state` asks the core, since its subject is that the core agrees with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.simulation.checkers import (
    attempts_within_limits,
    backlogs_drain,
    callbacks_are_kept,
    calls_committed_first,
    children_follow_parents,
    collected_once,
    commands_decided_once,
    events_find_their_runs,
    everything_ends,
    items_make_the_result,
    leases_are_kept,
    left_once,
    limits_are_kept,
    lines_keep_order,
    memory_is_bounded,
    nothing_accepted_is_lost,
    one_key_for_one_visit,
    only_owners_decide,
    order_follows_routes,
    outages_cost_nothing,
    parked_steps_wait,
    places_are_kept,
    poison_is_set_aside,
    repeats_get_the_first_answer,
    replay_equals_state,
    results_recorded_once,
    senders_are_answered_once,
    undone_in_reverse,
    windows_hold,
    withdrawn_is_not_called,
)
from tests.simulation.record import Record

Checker = Callable[[Record], Iterator[str]]
"""Gives what is wrong, in words; nothing where nothing is."""

CHECKERS: dict[str, Checker] = {
    module.__name__.rpartition(".")[2]: module.check
    for module in (
        nothing_accepted_is_lost,
        repeats_get_the_first_answer,
        results_recorded_once,
        order_follows_routes,
        attempts_within_limits,
        calls_committed_first,
        callbacks_are_kept,
        one_key_for_one_visit,
        commands_decided_once,
        poison_is_set_aside,
        memory_is_bounded,
        replay_equals_state,
        everything_ends,
        only_owners_decide,
        leases_are_kept,
        senders_are_answered_once,
        events_find_their_runs,
        children_follow_parents,
        items_make_the_result,
        undone_in_reverse,
        windows_hold,
        lines_keep_order,
        left_once,
        collected_once,
        withdrawn_is_not_called,
        places_are_kept,
        backlogs_drain,
        limits_are_kept,
        outages_cost_nothing,
        parked_steps_wait,
    )
}


def complaints(record: Record) -> dict[str, list[str]]:
    """What each checker has found, where it has found something."""
    found = {name: list(check(record)) for name, check in CHECKERS.items()}
    return {name: texts for name, texts in found.items() if texts}
