"""The planted bugs of buffers: who goes, how many, and what becomes of those that do not."""

from __future__ import annotations

from beltline.engine import belt, ids, release_plan, releaser
from beltline.sources import request
from tests.simulation import buffers, disk, held
from tests.simulation.planting import Mutant, between_nodes, mutant

MUTANTS_OF_BUFFERS: tuple[Mutant, ...] = (
    mutant(
        "a window is counted by the clock of the node",
        "windows_hold",
        (buffers.SimulatedBuffers, "release", "clock = self._now\n", "clock = lambda: now\n"),
    ),
    mutant(
        "windows are forgotten at a start",
        "windows_hold",
        (disk.Disk, "join", "self.begin_full(now)", "self.uses.clear()"),
    ),
    mutant(
        "after a start windows go by their stamps, whatever was done to the clock",
        "windows_hold",
        (disk.Disk, "join", "self.begin_full(now)", "pass"),
    ),
    mutant(
        "what is to be spread goes all at once",
        "windows_hold",
        (release_plan, "window_of", "if rate.spread:", "if False:"),
    ),
    mutant(
        "a due time lets its number go at every look",
        "windows_hold",
        (buffers, "release", "disk.due[order.source] = (due.at, left - len(keys))", "pass"),
    ),
    between_nodes(
        "a window is looked at outside of the transaction that uses it",
        "windows_hold",
        (
            buffers.SimulatedBuffers,
            "release",
            """clock = self._now

    def go() -> Released:
        keys, released = release(self._disk, order, now, clock())
""",
            """clock, window, asked = self._now, order.window, order
    if window is not None:
        left = await self._look(lambda: self._disk.room(window, clock()))
        if left < 1:
            return Released(0, window.every_ms // 4)
        asked = ReleaseOrder(order.source, order.versions, min(order.limit, left))

    def go() -> Released:
        keys, released = release(self._disk, asked, now, clock())
        if window is not None:
            self._disk.uses.setdefault(window.name, []).append((clock(), len(keys)))
            released = Released(len(keys), 0)
""",
        ),
    ),
    between_nodes(
        "what a takeover finds released and not begun is not counted again",
        "windows_hold",
        (disk.Disk, "recover", "if silent:", "if False:"),
    ),
    mutant(
        "the next of a key goes when the run of the one before has begun",
        "lines_keep_order",
        (
            held.Held,
            "move_line_on",
            'has_ended = change.status in ("completed", "cancelled") and not change.owned',
            "has_ended = True",
        ),
    ),
    mutant(
        "a run that has stopped is passed where it is to hold",
        "lines_keep_order",
        (
            held.Held,
            "move_line_on",
            '(passes and change.status == "stopped")',
            'change.status == "stopped"',
        ),
    ),
    mutant(
        "after a start with an earlier clock the newer of a key go first",
        "lines_keep_order",
        (ids.RunIds, "begin_after", "if at >= self._last:", "if False:"),
    ),
    mutant(
        "what a person lets go stays in its buffer",
        "left_once",
        (
            buffers,
            "let_go",
            "start(disk, there, versions, now)\n",
            """kept = {} if message else {key: disk.held[key] for key in there}
    start(disk, there, versions, now)
    disk.held.update(kept)
""",
        ),
    ),
    between_nodes(
        "what another node has collected is collected again",
        "collected_once",
        (
            buffers,
            "collect",
            """if any(run.key not in disk.held for run in collection.members):
        return False
    for run in collection.members:
        del disk.held[run.key]
""",
            """for run in collection.members:
        disk.held.pop(run.key, None)
""",
        ),
    ),
    mutant(
        "what is dropped has no run that says so",
        "nothing_accepted_is_lost",
        (
            buffers,
            "let_go",
            """start(disk, there, versions, now)
    if message is not None:
        for key in there:
            disk.post(key, message, now)
""",
            """if message is None:
        start(disk, there, versions, now)
    else:
        for key in there:
            del disk.held[key]
""",
        ),
    ),
    mutant(
        "what is dropped is begun first",
        "withdrawn_is_not_called",
        (belt, "_is_withdrawn", "return True", "return False"),
    ),
    mutant(
        "a point of priority is worth next to nothing of waiting",
        "places_are_kept",
        (
            request,
            "new_request",
            "_priority(buffering.priority, document, scope) * buffering.ageing_ms",
            "_priority(buffering.priority, document, scope)",
        ),
    ),
    mutant(
        "who comes last goes first",
        "places_are_kept",
        (
            request,
            "new_request",
            'line, place, expires_at = "", offered.at, None',
            'line, place, expires_at = "", -offered.at, None',
        ),
    ),
    mutant(
        "a window is looked at seldom",
        "backlogs_drain",
        (releaser.Releaser, "_release", "now + released.wait_ms", "now + 4 * released.wait_ms"),
    ),
)
