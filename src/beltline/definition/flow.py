"""The checks of a process as a whole: what its routes make unlikely to be meant.

All of them warn: a process with such routes runs, and does what is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from beltline.core.problem import Place
from beltline.definition.certainty import finished_before
from beltline.definition.finding import Report
from beltline.definition.mentions import mention_in_tests, mention_in_values
from beltline.definition.parallel import find_meetings
from beltline.definition.step import ReadStep
from beltline.definition.ways import Exits, Ways

_NAMES_SHOWN = 3


def check_flow(report: Report, start: tuple[str, ...], steps: Mapping[str, ReadStep]) -> None:
    """Warns of unreachable steps, of `prev` that disagrees with the routes, of data that may not
    be there yet, and of parallel ways into a step that is no join. All ids must be known.
    """
    ids = list(steps)
    ways = _ways(start, steps, ids)
    reached = set(ways.order)
    undoing = {read.step.undo for read in steps.values()}
    for number, read in enumerate(steps.values()):
        if number not in reached and read.step.id in undoing:
            _check_undoing(report, read)
        elif number not in reached:
            report.warning(
                (*read.place, "id"),
                f'no route leads to the step "{read.step.id}"',
                "Name it in a `next`, a condition or `start`, or remove it.",
            )
        _check_prev(report, read, ways, number, ids)
    _check_reads(report, steps, ways, ids)
    _check_meetings(report, steps, ways, ids)


def _check_undoing(report: Report, read: ReadStep) -> None:
    """Warns of routes of a step that is there to undo another one alone: nothing follows them."""
    written = report.document.data["steps"][read.place[1]]
    for key in ("next", "condition", "on_error", "on_timeout"):
        if key in written:
            report.warning(
                (*read.place, key),
                f'"{read.step.id}" only undoes, and {key} is not followed then',
                f"Remove {key}.",
                of_key=True,
            )


def _ways(start: tuple[str, ...], steps: Mapping[str, ReadStep], ids: list[str]) -> Ways:
    number = {id: index for index, id in enumerate(ids)}

    def group(names: tuple[str, ...]) -> tuple[int, ...]:
        return tuple([number[name] for name in names])

    exits = [
        Exits(
            next=group(read.step.next),
            outcomes=tuple(group(outcome) for outcome in read.outcomes),
            on_error=group(read.step.on_error),
            on_timeout=group(read.step.on_timeout),
            is_fixed=read.step.routing is None
            and not read.step.on_error
            and not read.step.on_timeout,
        )
        for read in steps.values()
    ]
    joins = frozenset(number[read.step.id] for read in steps.values() if read.step.is_join)
    return Ways(exits, group(start), joins)


def _check_prev(report: Report, read: ReadStep, ways: Ways, number: int, ids: list[str]) -> None:
    written = report.document.data["steps"][read.place[1]].get("prev")
    if written is None:
        return
    leading = {ids[source] for source in ways.all_predecessors[number]}
    at = (*read.place, "prev")
    names = [written] if isinstance(written, str) else written
    for index, name in enumerate(names):
        if name not in leading:
            report.warning(
                at if isinstance(written, str) else (*at, index),
                f'prev names "{name}", but no route of "{name}" leads to "{read.step.id}"',
                f'Name "{read.step.id}" in a route of "{name}", or remove "{name}" here.',
            )
    missing = leading.difference(names)
    if missing:
        first = [id for id in (ids[n] for n in ways.all_predecessors[number]) if id in missing]
        report.warning(at, f"prev does not name {_list_of(first)}, which can lead here")


def _list_of(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _check_reads(report: Report, steps: Mapping[str, ReadStep], ways: Ways, ids: list[str]) -> None:
    """Warns where a step reads what may not have been written."""
    number = {id: index for index, id in enumerate(ids)}
    finished = finished_before(ways)
    definitions = report.document.data["steps"]
    for index in ways.order:
        read = steps[ids[index]]
        step, data = read.step, definitions[read.place[1]]
        for root in sorted(step.input.roots or ()):
            if root in number and not finished[index] >> number[root] & 1:
                place = mention_in_values(data.get("with"), (*read.place, "with"), root)
                _warn_of_read(report, place, root, step.id)
        if step.routing is None:
            continue
        for root in sorted(step.routing.roots or ()):
            if root in number and root != step.id and not finished[index] >> number[root] & 1:
                at = (*read.place, "condition")
                asked = mention_in_tests(data["condition"], at, root)
                if asked is not None:
                    _warn_of_read(report, asked, root, step.id)


def _warn_of_read(report: Report, place: Place, root: str, id: str) -> None:
    if root == id:
        report.warning(place, f'step "{id}" reads its own result, which is not there at first')
        return
    report.warning(
        place,
        f'step "{id}" reads "{root}", which may not have finished when "{id}" starts',
        f'Lead every way to "{id}" through "{root}", or ask with `exists` first.',
    )


def _check_meetings(
    report: Report, steps: Mapping[str, ReadStep], ways: Ways, ids: list[str]
) -> None:
    """Warns where one run can enter a step twice at once."""
    meetings = find_meetings(ways)
    for meeting in meetings.found:
        id = ids[meeting.step]
        first, second = sorted((meeting.first, meeting.second))
        behind = "start" if meeting.fork is None else f'"{ids[meeting.fork]}"'
        if first == second:
            ways_in = f'two ways from "{ids[first]}"'
        else:
            ways_in = f'"{ids[first]}" and "{ids[second]}", which run in parallel after {behind},'
        is_end = steps[id].step.implementation == "stop@1"
        what = "ends the run when the first has come" if is_end else "then runs once for each"
        report.warning(
            (*steps[id].place, "id"),
            f'{ways_in} can both lead to "{id}", which {what}',
            f'Name the steps before "{id}" in its `prev` to make it a join.',
        )
    if meetings.unexamined is not None:
        report.warning(
            (*steps[ids[meetings.unexamined]].place, "id"),
            "the routes from here on have too many parallel ways to look for steps that run twice",
        )
