"""One node: the engine's parts put together, and the order of its start and end.

A node lives one membership after the other. When others took its runs over, since it was silent for
too long, nothing that it has in memory counts any more: it begins anew, as after a crash, but the
process and those who wait at its door stay.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, Protocol

from beltline.core.limits import Limits
from beltline.definition.source import Source
from beltline.engine.belt import Belt
from beltline.engine.call_rules import CallRules, NoRules
from beltline.engine.collecting import Collector
from beltline.engine.committer import Committer
from beltline.engine.dispatcher import Dispatcher
from beltline.engine.ids import RunIds
from beltline.engine.intake import Intake
from beltline.engine.loader import Loader, Processes
from beltline.engine.moving import MovingRuns, Timers
from beltline.engine.ports import (
    Bell,
    Clock,
    Dispatched,
    Mailbox,
    Reply,
    Report,
    Store,
    Transport,
)
from beltline.engine.pulse import Pulse
from beltline.engine.releaser import Releaser, Versions
from beltline.engine.work import Barrier, Submitted


class NodeProcesses(Processes, Versions, Protocol):
    """The processes that runs go through."""


class Definitions(NamedTuple):
    """What is configured: the processes as they are published, the sources by their names, and how
    calls of steps go out.
    """

    processes: NodeProcesses
    sources: Mapping[str, Source]
    rules: CallRules = NoRules()


class Node:
    """A belt with all that it needs. `coroutines()` are to run side by side until one raises
    (`StoreBroken`: the process must end; `LeaseLost`: `begin_anew`, `join`, and run the new ones)
    or the node is stopped.
    """

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        definitions: Definitions,
        mailbox: Mailbox,
        clock: Clock,
        entropy: Callable[[int], bytes],
        new_bell: Callable[[], Bell],
        new_reply: Callable[[], Reply],
        report: Report,
        limits: Limits,
    ) -> None:
        self._mailbox = mailbox
        self._processes = definitions.processes
        self._new_bell = new_bell
        self._new_reply = new_reply
        self._report = report
        self._limits = limits
        self.store = store
        self.clock = clock
        ids = self._ids = RunIds(entropy)
        self.releaser = Releaser(
            store,
            definitions.processes,
            definitions.sources,
            clock,
            new_bell(),
            report,
            self._expect,
            Collector(store, ids, definitions.processes.newest, self._expect, limits),
            limits,
        )
        self.dispatcher = Dispatcher(
            transport,
            definitions.rules,
            store,
            mailbox,
            clock,
            new_bell(),
            report,
            self._is_awaited,
            limits,
        )
        self._assemble()
        self.intake = Intake(mailbox, self.committer, ids, clock, new_reply)
        store.listen(self._wake)

    def _wake(self) -> None:
        self.loader.wake()  # that of the membership that lasts now

    def _is_awaited(self, call: Dispatched) -> bool:
        return self.runs.awaits(call)

    def _expect(self, at: int) -> None:
        self.loader.expect(at)

    def _assemble(self) -> None:
        """Everything that holds what one membership moves."""
        new_bell, limits, clock = self._new_bell, self._limits, self.clock
        self.runs = MovingRuns(limits)
        self.timers = Timers(self.runs, clock, self._mailbox, new_bell())
        self.loader = Loader(
            self.store, self._processes, self._mailbox, self.runs, clock, new_bell(), limits
        )
        self.committer = Committer(
            self.store,
            self.dispatcher,
            self._mailbox,
            self.runs,
            self.timers,
            clock,
            new_bell,
            self.loader.expect,
            self.releaser,
            limits,
        )
        self.pulse = Pulse(
            self.store,
            self.committer,
            self.loader,
            clock,
            new_bell(),
            self._report,
            limits.beat_ms,
        )
        self.belt = Belt(
            mailbox=self._mailbox,
            committer=self.committer,
            dispatcher=self.dispatcher,
            runs=self.runs,
            timers=self.timers,
            clock=clock,
            loader=self.loader,
            report=self._report,
            limits=limits,
        )

    async def join(self) -> int:
        """To be awaited before the coroutines run: becomes one of the nodes of the store. Gives
        the number of runs that unclean ends left behind.
        """
        # A clock that was set back while no node ran: whoever comes now comes after all who wait.
        if (last := await self.store.last_in_line()) is not None:
            self._ids.begin_after(last)
        return await self.store.join()

    def begin_anew(self) -> None:
        """After `LeaseLost`, when no coroutine runs any more: forgets all that was in memory.
        Senders whose requests were not made durable hear so; those that nobody has looked at yet
        are kept.
        """
        self.committer.abandon("this node had lost touch with its store")
        kept = [item for item in self._mailbox.clear() if isinstance(item, Submitted | Barrier)]
        self.dispatcher.forget()
        watchers, is_draining = self.committer.watchers, self.committer.is_draining
        self._assemble()
        self.committer.watchers = watchers
        self.committer.is_draining = self.loader.is_draining = is_draining
        self.intake.go_through(self.committer)
        self._mailbox.post(kept)

    def coroutines(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run, in no order."""
        parts = (
            self.belt,
            self.committer,
            self.loader,
            self.timers,
            self.pulse,
            self.releaser,
            self.dispatcher,
        )
        return [part.run() for part in parts]

    def watch(self, key: bytes) -> Reply:
        """A reply that is given the run's status once it is at rest; ask before it can be."""
        reply = self._new_reply()
        self.committer.watch(key, reply)
        return reply

    def unwatch(self, key: bytes, reply: Reply) -> None:
        """Whoever waited for the run has gone."""
        self.committer.unwatch(key, reply)

    async def flush(self) -> None:
        """Returns when everything posted so far is decided on and durable."""
        reply = self._new_reply()
        self._mailbox.post([Barrier(reply)])
        await reply.wait()

    def drain(self) -> None:
        """Begins a clean stop: nothing is accepted, loaded or dispatched any more, while answers
        that are on their way are still recorded. `store.hand_over` ends it.
        """
        self.intake.is_closed = True
        self.loader.is_draining = True
        self.releaser.is_draining = True
        self.committer.is_draining = True
        self.dispatcher.drain()
