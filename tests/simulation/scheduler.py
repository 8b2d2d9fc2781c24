"""A seeded scheduler in place of an event loop: it decides who runs next, and what time it is.

The engine awaits only its ports. Here every port hands control to this scheduler, which picks the
next coroutine by the seed, lets virtual time pass, or drops coroutines in the middle of what they
do. Nothing depends on the machine: the same seed gives the same choices.
"""

from __future__ import annotations

import heapq
import types
from array import array
from collections.abc import Callable, Collection, Coroutine, Generator
from random import Random
from typing import Any

START_MS = 1_700_000_000_000  # Unix milliseconds at which every simulation begins

_PAUSED = "paused"
_BLOCKED = "blocked"


class Task:
    """A coroutine on its way. `is_inside` ones belong to a simulated process and end with it;
    `process` is its number.
    """

    __slots__ = ("coroutine", "is_blocked", "is_gone", "is_inside", "name", "number", "process")

    def __init__(
        self,
        number: int,
        name: str,
        coroutine: Coroutine[Any, Any, None],
        *,
        is_inside: bool,
        process: int,
    ) -> None:
        self.process = process
        self.number = number
        self.name = name
        self.coroutine = coroutine
        self.is_inside = is_inside
        self.is_blocked = False
        self.is_gone = False


@types.coroutine
def _yield(how: str) -> Generator[str, None, None]:
    yield how


class Scheduler:
    """Runs tasks one step at a time.

    `tick` is the chance that a millisecond passes after a step, `stickiness` the chance that the
    task that ran last runs again, `laggard` the name of tasks that are chosen seldom.
    """

    def __init__(
        self, chance: Random, *, tick: float = 0.2, stickiness: float = 0.0, laggard: str = ""
    ) -> None:
        self._chance = chance
        self._tick = tick
        self._stickiness = stickiness
        self._laggard = laggard
        self._ready: list[Task] = []
        self._all: dict[int, Task] = {}
        self._timed: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self.now = START_MS
        self.steps = 0
        self.current: Task | None = None
        self.trace = array("L")
        self.paused: set[int] = set()  # processes that stand still

    # What tasks and ports ask for

    async def pause(self) -> None:
        """Lets any other task go first."""
        await _yield(_PAUSED)

    async def block(self) -> None:
        """Waits for `wake`."""
        await _yield(_BLOCKED)

    async def sleep(self, delay_ms: int) -> None:
        """Waits for virtual time to pass."""
        task = self.me()
        until = self.now + delay_ms
        self.at(until, lambda: self.wake(task))
        while self.now < until:
            await self.block()

    def me(self) -> Task:
        """The task that is running."""
        assert self.current is not None, "only a task can ask for itself"
        return self.current

    def wake(self, task: Task) -> None:
        """Lets a blocked task go on."""
        if task.is_blocked and not task.is_gone:
            task.is_blocked = False
            self._ready.append(task)

    def at(self, when: int, do: Callable[[], None]) -> None:
        """Calls `do` once virtual time has come to `when`."""
        self._number += 1
        heapq.heappush(self._timed, (max(when, self.now), self._number, do))

    def spawn(
        self,
        name: str,
        coroutine: Coroutine[Any, Any, None],
        *,
        is_inside: bool,
        process: int = 0,
    ) -> None:
        """Adds a task."""
        self._number += 1
        task = Task(self._number, name, coroutine, is_inside=is_inside, process=process)
        self._all[task.number] = task
        self._ready.append(task)

    def tasks(self) -> list[Task]:
        """Every task that has not ended."""
        return list(self._all.values())

    def drop_inside(self, process: int = 0, names: Collection[str] = ()) -> None:
        """A process dies: whatever its tasks (or those of these names) wait for never comes."""
        for task in [task for task in self.tasks() if task.is_inside and task.process == process]:
            if names and task.name not in names:
                continue
            task.is_gone = True
            del self._all[task.number]
            task.coroutine.close()
        self._ready = [task for task in self._ready if not task.is_gone]

    def close(self) -> None:
        """Drops everything."""
        for task in self.tasks():
            task.is_gone = True
            task.coroutine.close()
        self._all.clear()
        self._ready.clear()

    # Running

    @property
    def is_idle(self) -> bool:
        """Whether every task waits for time or for the outside, or stands still."""
        if self.paused:
            return all(self._stands_still(task) for task in self._ready)
        return not self._ready

    def _stands_still(self, task: Task) -> bool:
        return task.is_inside and task.process in self.paused

    def step(self) -> None:
        """One step of one task, or a jump to the next moment at which something is due."""
        self.steps += 1
        if self.is_idle and self._timed:
            self.now = max(self.now, self._timed[0][0])
        elif self._chance.random() < self._tick:
            self.now += 1
        while self._timed and self._timed[0][0] <= self.now:
            heapq.heappop(self._timed)[2]()
        if self._ready and not self.is_idle:
            self._run(self._choose())

    def _choose(self) -> Task:
        if self.paused:
            able = [task for task in self._ready if not self._stands_still(task)]
            task = able[self._chance.randrange(len(able))]
            self._ready.remove(task)
            return task
        ready = self._ready
        last = len(ready) - 1
        if last and self.current is ready[last] and self._chance.random() < self._stickiness:
            return ready.pop()
        at = self._chance.randrange(last + 1) if last else 0
        if ready[at].name == self._laggard and last:
            at = self._chance.randrange(last + 1)
        ready[at], ready[last] = ready[last], ready[at]
        return ready.pop()

    def _run(self, task: Task) -> None:
        self.current = task
        self.trace.append(task.number)
        try:
            how = task.coroutine.send(None)
        except StopIteration:
            task.is_gone = True
            self._all.pop(task.number, None)
            return
        if task.is_gone:
            return
        if how == _BLOCKED:
            task.is_blocked = True
        else:
            self._ready.append(task)
