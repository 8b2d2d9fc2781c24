"""Where two tokens of one run can meet in a step that is not a join: it then runs twice."""

from __future__ import annotations

from heapq import heappop, heappush

import msgspec

from beltline.definition.ways import Group, Ways

# Following the branches of one fork ends where they have met, so a process costs about as many
# looks as it has routes. Only forks whose branches never meet cost more; past this many looks
# (about half a second) the rest is left unexamined, and the check says so.
_LOOKS = 500_000


class Meeting(msgspec.Struct, frozen=True):
    """`step` can be entered twice: by what began at `first` and at `second`, which get their
    tokens together after `fork` (None: at the start of the run).
    """

    step: int
    fork: int | None
    first: int
    second: int


class Meetings(msgspec.Struct, frozen=True):
    """All meetings found, one per step, in file order. `unexamined` is the first fork that was
    not followed, None where all were.
    """

    found: list[Meeting]
    unexamined: int | None = None


def find_meetings(ways: Ways) -> Meetings:
    """Looks for steps, other than joins, that tokens of one fork reach by different ways."""
    rank = {step: index for index, step in enumerate(ways.order)}
    forks: list[tuple[int | None, Group]] = [(None, ways.start)]
    for source in ways.order:
        forks.extend((source, group) for group in ways.exits[source].groups)
    found: dict[int, Meeting] = {}
    looks = 0
    followed: set[Group] = set()
    for fork, group in forks:
        branches = tuple(dict.fromkeys(group))
        if len(branches) < 2 or branches in followed:
            continue
        followed.add(branches)
        if looks > _LOOKS:
            return Meetings([found[step] for step in sorted(found)], fork)
        looks += _follow(ways, rank, fork, branches, found)
    return Meetings([found[step] for step in sorted(found)])


def _follow(
    ways: Ways,
    rank: dict[int, int],
    fork: int | None,
    branches: Group,
    found: dict[int, Meeting],
) -> int:
    """Goes along the branches of one fork in topological order, carrying the name of the branch.

    Where two names meet, the step gets its own: behind it there is one token (a join) or a
    meeting that has been reported. Routes that lead back are not followed. Returns the cost.
    """
    branch_of: dict[int, int] = {step: step for step in branches}
    came_from: dict[int, int] = {}
    waiting = [(rank[step], step) for step in branches]
    waiting.sort()
    # How many waiting steps each branch has: with one branch left nothing can meet any more.
    alive = dict.fromkeys(branches, 1)
    looks = 0
    while waiting and len(alive) > 1:
        step = heappop(waiting)[1]
        branch = branch_of[step]
        for target in ways.successors[step]:
            looks += 1
            if target == fork or rank[target] <= rank[step]:
                continue
            known = branch_of.get(target)
            if known is None:
                branch_of[target] = branch
                alive[branch] = alive.get(branch, 0) + 1
                heappush(waiting, (rank[target], target))
            elif known != branch:
                if target not in ways.joins and target not in found:
                    first = came_from.get(known, known)
                    second = came_from.get(branch, branch)
                    found[target] = Meeting(target, fork, first, second)
                if known != target:
                    alive[known] -= 1
                    if not alive[known]:
                        del alive[known]
                    branch_of[target] = target
                    came_from[target] = came_from.get(known, known)
                    alive[target] = alive.get(target, 0) + 1
        alive[branch] -= 1
        if not alive[branch]:
            del alive[branch]
    return looks + len(branches)
